"""No task of a worker ends by an error: each meets every error of the driver, and goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pushkeeper.core import job_retry
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.db.database import HALT_CHANNEL, PLAN_CHANNEL, ROUTES_CHANNEL, WORK_CHANNEL
from pushkeeper.store.reports.reach import REACH_CHANNEL
from pushkeeper.worker import listener, settle, tasks
from support.databases import own_database
from support.engine import eventually
from support.faults import BUGS, NOT_NOW, UNEXPECTED, Faults
from support.outages import set_to
from support.shift import sending, shift

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushkeeper.store.db.database import Database
    from support.shift import Shift

EVERY_ERROR = [*NOT_NOW.values(), *UNEXPECTED.values(), *BUGS.values()]
CHANNELS = (HALT_CHANNEL, PLAN_CHANNEL, REACH_CHANNEL, ROUTES_CHANNEL, WORK_CHANNEL)


@pytest_asyncio.fixture
async def alone(database: Database) -> AsyncIterator[Database]:
    async with own_database(database) as opened:
        yield opened


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Errors for chosen tasks; no task pauses for long after one."""
    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(listener, "AGAIN_S", 0.0)
    monkeypatch.setattr(settle, "ASIDE_S", 0.0)
    monkeypatch.setattr(job_retry, "wait_s", lambda *_: 0.0)
    # By itself structlog paints each traceback with all that is in it, which takes longer than all else.
    with capture_logs():
        yield Faults(monkeypatch)


async def all_met(at: Shift, faults: Faults, names: set[str]) -> None:
    """Until each of these tasks met all that it was to meet, and went on; they are told again and again to look."""

    async def ask() -> bool:
        await at.until(lambda: True)
        for channel in CHANNELS:
            await at.database.rows(f"notify {channel}")
        met: bool = faults.met(names)
        return met

    await eventually(ask)


async def test_every_task_of_a_worker_outlives_every_error_of_the_driver(
    alone: Database, faults: Faults
) -> None:
    async with shift(alone, lease_s=0.3) as at:
        names = {task.name for task in at.worker.tasks()}
        at.start()
        # Something is in hand, so that there are leases to renew, messages to ask after, and routes.
        await at.push()
        await at.until_sent(1)
        faults.meet(names - {"settle"}, EVERY_ERROR)
        hourly = {"expired", "contents", "partitions", "events", "spellings", "unreadable", "retention"}
        await all_met(at, faults, names - {"settle"} - hourly - {"listen", "probe"})
        # What a slice holds is no value's fault.
        faults.meet(["settle"], [*NOT_NOW.values(), *UNEXPECTED.values()])
        at.service.accept()
        await at.until_ended({("accepted", "fcm_accepted"): 1})
        assert faults.met(["settle"])
        assert len(at.service.sent) == 1
    # Those that do something now and then begin with it.
    async with own_database(alone) as another, shift(another) as at:
        faults.meet(names, EVERY_ERROR)
        at.start()
        await all_met(at, faults, hourly | {"listen", "probe"})


async def refuse(database: Database, sqlstate: str, when: str) -> None:
    """Let PostgreSQL refuse with this SQLSTATE the push records of which a condition holds."""
    await database.owned.rows(
        "create function refuse() returns trigger language plpgsql as "
        f"$$ begin raise exception using errcode = '{sqlstate}', message = 'refused'; end $$"
    )
    await database.owned.rows(
        f"create trigger refuse before insert on pushes for each row when ({when}) execute function refuse()"
    )


async def accept_all(database: Database) -> None:
    await database.owned.rows("drop function refuse() cascade")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settle, "ASIDE_S", 0.05)
    with capture_logs():
        yield


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sqlstate", ["22003", "23514", "54000"])
async def test_one_outcome_whose_values_are_refused_costs_itself_alone(
    alone: Database, sqlstate: str
) -> None:
    async with sending(alone, people=20) as at:
        bad = at.service.sent[7].device_id.hex()
        await refuse(alone, sqlstate, rf"new.ending = 'accepted' and new.device_id = '\x{bad}'")
        at.service.accept()
        await at.until_ended({("accepted", "fcm_accepted"): 19, ("failed", "unrecordable"): 1})
        assert len(at.service.sent) == 20


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sqlstate", ["XX000", "42501", "P0001"])
async def test_one_outcome_that_is_refused_for_no_value_of_it_is_kept_and_holds_up_nobody(
    alone: Database, sqlstate: str
) -> None:
    async with sending(alone, people=20) as at:
        bad = at.service.sent[7].device_id.hex()
        await refuse(alone, sqlstate, rf"new.device_id = '\x{bad}'")
        at.service.accept()
        await eventually(lambda: ended(at, 19))
        # Others go on.
        await at.push()
        await at.until_sent(40)
        at.service.accept()
        await eventually(lambda: ended(at, 38))
        await accept_all(alone)
        await at.until_ended({("accepted", "fcm_accepted"): 40})
        assert len(at.service.sent) == 40


async def ended(at: Shift, count: int) -> bool:
    found: dict[tuple[str, str], int] = await at.endings()
    assert set(found) <= {("accepted", "fcm_accepted")}
    return found.get(("accepted", "fcm_accepted"), 0) == count


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sqlstate", ["XX000", "42501", "25006", "53100", "57014"])
async def test_while_nothing_can_be_written_nothing_is_claimed_and_all_is_kept(
    alone: Database, sqlstate: str
) -> None:
    async with sending(alone, people=20) as at:
        await refuse(alone, sqlstate, "true")
        at.service.accept()
        await at.until(lambda: at.worker._settle.waits)
        await at.push()
        failures = Counter(task_failures(at))
        await at.until(lambda: task_failures(at)["settle"] >= failures["settle"] + 3)
        assert len(at.service.sent) == 20
        assert await at.endings() == {}
        await accept_all(alone)
        await at.until_sent(40)
        at.service.accept()
        await at.until_ended({("accepted", "fcm_accepted"): 40})
        assert len(at.service.sent) == 40


def task_failures(at: Shift) -> Counter[str]:
    """How often each task failed so far, as the worker counts it."""
    found: Counter[str] = Counter()
    for series in at.worker._metrics._meters.series():
        if series.metric is Metric.TASK_FAILURES:
            found[series.labels[0]] += int(series.value)
    return found


@pytest.mark.usefixtures("quick")
async def test_a_server_that_cancels_what_takes_long_is_given_less_at_once(
    alone: Database, database: Database
) -> None:
    async with sending(alone, people=30) as at:
        await alone.owned.rows(
            "create function slow() returns trigger language plpgsql as "
            "$$ begin perform pg_sleep(0.05); return new; end $$"
        )
        await alone.owned.rows(
            "create trigger slow before insert on pushes for each row execute function slow()"
        )
        async with set_to(alone, database, "statement_timeout", "500"):
            at.service.accept()
            await at.until_ended({("accepted", "fcm_accepted"): 30})
        assert task_failures(at)["settle"] > 0
        assert len(at.service.sent) == 30


@pytest.mark.usefixtures("quick")
async def test_a_lease_that_ran_out_while_outcomes_were_kept_costs_no_repeat(alone: Database) -> None:
    async with sending(alone, people=5, lease_s=0.6) as at:
        await refuse(alone, "25006", "true")
        await alone.owned.rows("create table held as select batch_id, lease_until from batches")
        at.service.accept()
        await at.until(lambda: at.worker._settle.waits)
        # The claims cannot be renewed either, and run out.
        await alone.rows("update batches set lease_until = now() - interval '1 minute'")
        await accept_all(alone)
        await at.until_ended({("accepted", "fcm_accepted"): 5})
        assert len(at.service.sent) == 5


@pytest.mark.usefixtures("quick")
async def test_what_comes_again_while_it_is_in_hand_is_not_sent_again(alone: Database) -> None:
    async with sending(alone, people=5, lease_s=60.0) as at:
        first = await alone.rows("select batch_id, claim_id from batches order by 1")
        await alone.rows("update batches set lease_until = now() - interval '1 minute'")
        await alone.rows(f"notify {WORK_CHANNEL}")

        async def claimed_again() -> bool:
            now = await alone.rows("select batch_id, claim_id from batches order by 1")
            return all(one["claim_id"] != before["claim_id"] for one, before in zip(now, first, strict=True))

        await eventually(claimed_again)
        at.service.accept()
        await at.until_ended({("accepted", "fcm_accepted"): 5})
        assert len(at.service.sent) == 5


@pytest.mark.usefixtures("quick")
async def test_what_another_worker_has_by_now_is_written_by_nobody_else(alone: Database) -> None:
    async with sending(alone, people=5, lease_s=0.3) as at:
        await alone.rows(
            "update batches set claim_id = gen_random_uuid(), lease_until = now() + interval '1 hour'"
        )
        at.service.accept()
        await at.until(lambda: not at.worker._in_hand)
        assert await at.endings() == {}


@pytest.mark.usefixtures("quick")
async def test_a_sender_that_cannot_be_closed_is_no_reason_to_lose_outcomes(alone: Database) -> None:
    async with sending(alone, people=5) as at:
        at.service.cannot_be_closed = True
        await at.stop()
        assert await at.endings() == {("accepted", "fcm_accepted"): 5}
