"""Patience: a call waits for its database for a limited time, all its waits together, in any number of tasks."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from pushkeeper.errors import Unreachable
from pushkeeper.store.db import group_commit, patience
from support.engine import eventually

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

PROMISED_S = 10.0


def test_all_that_a_call_may_wait_for_is_less_than_is_promised() -> None:
    # A call that comes after one that was answered at the last moment waits as long as that rests, and is refused then.
    assert patience.CALL_S + group_commit._LONGEST_REST_S < PROMISED_S
    # A frozen server is found out while calls still wait, so that not each of them has to.
    assert patience.ANSWER_S < patience.CALL_S


def test_concurrent_waits_are_counted_once_and_work_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr(patience, "monotonic", lambda: now)
    with patience.limited(10.0):
        with patience.spent():
            now += 1.0
            with patience.spent():
                now += 1.0
                assert patience.for_answer_s() == 8.0
        now += 100.0
        assert patience.for_answer_s() == 8.0
        patience.renew()
        assert patience.for_answer_s() == 10.0
        with patience.spent():
            now += 11.0
            assert patience.for_answer_s() == 0.0
            patience.renew()
            now += 1.0
        assert patience.for_answer_s() == 9.0
    assert patience.for_answer_s() == inf


def test_of_what_is_left_some_is_kept_for_the_answer() -> None:
    assert (patience.for_turn_s(), patience.for_answer_s()) == (patience.TURN_S, inf)
    for left_s, for_turn_s in ((8.0, 4.0), (4.5, 1.0), (0.5, 0.5), (0.0, 0.0)):
        with patience.limited(left_s):
            assert patience.for_turn_s() == pytest.approx(for_turn_s, abs=0.1)
            assert patience.for_turn_s() <= left_s


async def test_a_statement_that_takes_longer_is_cut_off_and_the_server_told_to_cancel_it(
    database: Database,
) -> None:
    with patience.limited(0.3):
        with pytest.raises(Unreachable, match="took too long"):
            await database.value("select pg_sleep(300), 'of nobody'")
        with pytest.raises(Unreachable, match="took too long"):
            await database.value("select 1")

    async def is_over() -> bool:
        running: int = await database.owned.value(
            "select count(*) from pg_stat_activity where query like '%of nobody%' and state = 'active' "
            "and pid <> pg_backend_pid()"
        )
        return not running

    await eventually(is_over)


async def test_a_search_may_take_longer_and_what_comes_after_it_as_long_as_before(database: Database) -> None:
    with patience.limited(0.5):
        await database.reading().value("select pg_sleep(0.7)")
        assert await database.value("select 1") == 1
