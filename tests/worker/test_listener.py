"""The listener: what others notify is heard, and while it is not, everything is looked at again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushkeeper.store.db.database import Database
from pushkeeper.worker import listener
from pushkeeper.worker.listener import Listener

if TYPE_CHECKING:
    import pytest

SAFETY_S = 60.0


async def test_a_worker_that_hears_nothing_looks_again_and_again_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "POLL_S", 0.01)
    away = await Database.open(database.url, connections=1)
    await away.close()
    looked: asyncio.Queue[str] = asyncio.Queue()
    deaf = Listener(away, [("news", looked.put_nowait)])
    running = asyncio.create_task(deaf.run())
    async with asyncio.timeout(SAFETY_S):
        assert [await looked.get() for _ in range(3)] == ["", "", ""]
    assert deaf.polls
    running.cancel()
    await asyncio.wait([running])


async def test_a_worker_that_hears_looks_once_and_then_when_it_is_told(database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    hearing = Listener(database, [("news", heard.put_nowait)])
    running = asyncio.create_task(hearing.run())
    async with asyncio.timeout(SAFETY_S):
        assert await heard.get() == ""
        await database.value("select pg_notify('news', 'something')")
        assert await heard.get() == "something"
    assert not hearing.polls
    running.cancel()
    await asyncio.wait([running])
