"""A task that is cancelled while it uses the database ends, also where the rollback then fails."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from pushkeeper.store.admin import workspaces
from support.faults import NOT_NOW, UNEXPECTED, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

    Use = Callable[[Callable[[Connection], Awaitable[None]]], Awaitable[None]]

STATE = "select current_user, now() = statement_timestamp() as begins_here"


async def uses(database: Database) -> dict[str, Use]:
    """Each way to have a connection for a while."""
    made, _ = await workspaces.create(database, f"cancelled-{secrets.token_hex(6)}")
    return {
        "jobs": database.in_transaction,
        "tenant": database.of(made.workspace_id).in_transaction,
        "owner": database.owned.in_transaction,
        "owner, outside of a transaction": database.owned.ask,
        "report": database.reading(made.workspace_id).ask,
        "survey": database.surveying(made.workspace_id).ask,
    }


async def run(use: Use, work: Callable[[Connection], Awaitable[None]]) -> None:
    await use(work)


@pytest.mark.parametrize("name", [*NOT_NOW, *UNEXPECTED])
async def test_a_cancelled_task_ends_whatever_its_rollback_raises(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    faults = Faults(monkeypatch)
    for way, use in (await uses(database)).items():
        before = [dict(row) for row in await database.rows(STATE)]
        began = asyncio.Event()

        async def hold(connection: Connection, began: asyncio.Event = began) -> None:
            await connection.execute("select 1")
            began.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(run(use, hold), name="holding")
        await began.wait()
        faults.meet(["holding"], [(NOT_NOW | UNEXPECTED)[name]])
        task.cancel()
        await asyncio.wait([task], timeout=30)
        assert task.cancelled(), way
        assert faults.left["holding"] == [], way
        faults.left.clear()
        # Nobody is lent a connection that is still in that transaction, or has its role.
        assert [dict(row) for row in await database.rows(STATE)] == before, way
