"""A connection that is lost between a commit and its answer: what was written is neither written nor sent again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from pushkeeper.core.delivery.outcome import Unavailable, Verdict
from support.databases import own_database
from support.shift import ACCEPTED, shift

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

TOKENS = ["token-0", *(f"phone-{number}" for number in range(5))]
AGAIN_AT_ONCE = Verdict(
    code="fcm_internal",
    outcome=Unavailable(first_wait_s=0.01, longest_wait_s=0.01, at_once_first=True),
    status=503,
    reason="UNAVAILABLE",
)


class Commits:
    """The commits of the task `settle`, of which the next ones are lost: before they reach the server, or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lose: list[str] = []
        original = asyncpg.Connection.execute

        async def execute(connection: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
            current = asyncio.current_task()
            if query != "COMMIT;" or current is None or current.get_name() != "settle" or not self.lose:
                return await original(connection, query, *args, **more)
            if self.lose.pop(0) == "after":
                await original(connection, query, *args, **more)
            connection.terminate()
            raise ConnectionResetError

        monkeypatch.setattr(asyncpg.Connection, "execute", execute)


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_what_was_put_back_into_the_queue_is_sent_once_more_and_no_more_than_that(
    database: Database, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    commits = Commits(monkeypatch)
    async with own_database(database) as own, shift(own) as at:
        with capture_logs() as said:
            for token in TOKENS[1:]:
                await at.register(0, token)
            at.start()
            await at.push()
            await at.until_sent(len(TOKENS))
            # Some of a batch are over, some are due again, and some are still under way: the batch goes on.
            commits.lose = [lost] * 2
            at.service.answer(ACCEPTED, *TOKENS[:2])
            at.service.answer(AGAIN_AT_ONCE, *TOKENS[2:4])
            await at.until_sent(len(TOKENS) + 2)
            at.service.accept()
            await at.until_ended({("accepted", "fcm_accepted"): len(TOKENS)})
            await at.until(lambda: not at.worker._in_hand)
        assert commits.lose == []
        events = [line["event"] for line in said]
        assert events.count("slice_was_committed") == (2 if lost == "after" else 0)
        sent = Counter(push.token.value for push in at.service.sent)
        assert sent == Counter(TOKENS) + Counter(TOKENS[2:4])
        assert await own.value("select sum(accepted) from route_hours") == len(TOKENS)
