"""One bad item fails alone, and no workspace has what is another's: every kind of job, with whatever an item may raise."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core import job_retry
from pushkeeper.errors import BadRequest, TooSlow, Unreachable
from pushkeeper.store import jobs
from pushkeeper.worker.jobs import failures
from pushkeeper.worker.jobs.runner import Jobs
from support.databases import own_database
from support.jobs import KINDS, shops, work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.jobs import Claim, JobKind
    from pushkeeper.worker.jobs.runner import Work

ERRORS = (
    ValueError("Port could not be cast: secret"),
    UnicodeError("label too long: secret"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    KeyError("secret"),
    AssertionError("secret"),
    OverflowError("secret"),
    TimeoutError("secret"),
    ExceptionGroup("secret", [OSError("secret")]),
    TooSlow("a query of it takes longer than 50 s"),
    failures.TryAgain("data_file_url: answered 503"),
)
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@pytest_asyncio.fixture(scope="module")
async def alone(database: Database) -> AsyncIterator[Database]:
    """A database in which nobody else's items wait."""
    async with own_database(database) as opened:
        yield opened


class Failing:
    """Work that raises for one workspace what it is given, and does what is asked for by all others."""

    def __init__(self, inner: Work, workspace: WorkspaceId, error: BaseException) -> None:
        self.kind = inner.kind
        self.asked = 0
        self._inner = inner
        self._workspace = workspace
        self._error = error

    async def do(self, claim: Claim) -> None:
        if claim.workspace_id == self._workspace:
            self.asked += 1
            raise self._error
        await self._inner.do(claim)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Stalling:
    """Work that never ends."""

    def __init__(self, kind: JobKind) -> None:
        self.kind = kind
        self.begun = asyncio.Event()

    async def do(self, _: Claim) -> None:
        self.begun.set()
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        pass


@every_kind
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_whatever_an_item_raises_costs_it_alone(
    alone: Database, kind: JobKind, error: Exception
) -> None:
    async with shops(alone) as (bad, good):
        poison, wanted = await bad.ask(kind), await good.ask(kind)
        failing = Failing(work(alone, kind), bad.workspace_id, error)
        runner = Jobs(alone, failing)
        await runner.finish()
        assert await good.is_done(kind, wanted)
        row = await bad.row(kind, poison)
        assert (row["attempts"], row["last_error"], row["claim_id"]) == (1, failures.reason(error), None)
        assert row["is_later"]
        assert "secret" not in row["last_error"]
        for _ in range(kind.most_attempts):
            assert failing.asked < kind.most_attempts
            await bad.make_due(kind)
            await runner.finish()
            if await bad.failure(kind, poison) is not None:
                break
        assert await bad.failure(kind, poison) == failures.reason(error)
        assert failing.asked == kind.most_attempts
        await runner.aclose()


@every_kind
async def test_what_is_asked_for_wrongly_is_tried_once(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 1) as [shop]:
        item = await shop.ask(kind)
        failing = Failing(work(alone, kind), shop.workspace_id, BadRequest("x", "there is no such thing"))
        await Jobs(alone, failing).finish()
        assert await shop.failure(kind, item) == "x: there is no such thing"


@every_kind
async def test_a_database_that_does_not_answer_is_no_attempt(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 1) as [shop]:
        item = await shop.ask(kind)
        for _ in range(kind.most_attempts + 1):
            failing = Failing(work(alone, kind), shop.workspace_id, Unreachable("it is down"))
            await Jobs(alone, failing).finish()
            row = await shop.row(kind, item)
            assert (failing.asked, row["attempts"], row["claim_id"], row["is_later"]) == (1, 0, None, True)
            await shop.make_due(kind)
        await Jobs(alone, work(alone, kind)).finish()
        assert await shop.is_done(kind, item)


@every_kind
async def test_a_worker_that_stops_gives_back_what_it_has_in_hand(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 1) as [shop]:
        item = await shop.ask(kind)
        stalling = Stalling(kind)
        stopped = Jobs(alone, stalling)
        await stopped.look()
        await stalling.begun.wait()
        assert (await shop.row(kind, item))["attempts"] == 1
        await stopped.aclose()
        row = await shop.row(kind, item)
        assert (row["attempts"], row["claim_id"], row["is_later"]) == (0, None, False)
        await Jobs(alone, work(alone, kind)).finish()
        assert await shop.is_done(kind, item)


@every_kind
async def test_what_a_dead_worker_had_is_done_by_another_and_given_up_if_it_kills_each(
    alone: Database, kind: JobKind
) -> None:
    async with shops(alone) as (shop, other):
        item, deadly = await shop.ask(kind), await other.ask(kind)
        for _ in range(kind.most_attempts):
            # Nobody renews a claim whose lease is over as soon as it is made.
            claims = await jobs.claim(alone, kind, most=9, lease_s=0.0)
            assert {claim.item_id for claim in claims} >= {deadly}
            for late in [claim for claim in claims if claim.workspace_id == shop.workspace_id]:
                [again] = [
                    one for one in await jobs.claim(alone, kind, most=9, lease_s=60.0) if one.item_id == item
                ]
                assert again.claim_id != late.claim_id
                await jobs.fail(alone, kind, late, reason="too late")
                await jobs.put_off(alone, kind, late, wait_s=9.0, reason="too late")
                assert not await jobs.renew(alone, kind, late, lease_s=60.0)
                assert (await shop.row(kind, item))["claim_id"] == again.claim_id
                await work(alone, kind).do(again)
                await jobs.finish(alone, kind, again)
            await alone.rows(f"update {kind.table} set claimed_until = now() where claimed_until > now()")
        assert await shop.is_done(kind, item)
        await Jobs(alone, work(alone, kind)).finish()
        assert "ended each time" in str(await other.failure(kind, deadly))


@every_kind
async def test_a_lease_is_renewed_while_it_is_worked_at(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 1) as [shop]:
        item = await shop.ask(kind)
        runner = Jobs(alone, Stalling(kind), lease_s=0.3)
        await runner.look()
        first = (await shop.row(kind, item))["claimed_until"]
        async with asyncio.timeout(10):
            while (await shop.row(kind, item))["claimed_until"] == first:
                assert await jobs.claim(alone, kind, most=9, lease_s=60.0) == []
        await runner.aclose()
        await Jobs(alone, work(alone, kind)).finish()


@every_kind
async def test_each_workspace_has_its_turn_and_its_share(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 3) as several:
        many = several[0]
        for _ in range(6):
            await many.ask(kind)
        for shop in several[1:]:
            await shop.ask(kind)
        taken = await jobs.claim(alone, kind, most=100, lease_s=60.0)
        assert Counter(claim.workspace_id for claim in taken)[many.workspace_id] == kind.per_workspace
        assert {claim.workspace_id for claim in taken} == {shop.workspace_id for shop in several}
        assert await jobs.claim(alone, kind, most=100, lease_s=60.0) == []
        for claim in taken:
            await jobs.give_back(alone, kind, claim, wait_s=0.0)
        turns = []
        for _ in range(6):
            [claim] = await jobs.claim(alone, kind, most=1, lease_s=60.0)
            turns.append(claim.workspace_id)
            await jobs.give_back(alone, kind, claim, wait_s=0.0)
        assert set(turns[:3]) == set(turns[3:]) == {shop.workspace_id for shop in several}
        await Jobs(alone, work(alone, kind)).finish()


@every_kind
async def test_workers_that_claim_at_once_share_what_there_is(alone: Database, kind: JobKind) -> None:
    async with shops(alone, 3) as several:
        for shop in several:
            for _ in range(3):
                await shop.ask(kind)
        found = await asyncio.gather(*(jobs.claim(alone, kind, most=100, lease_s=60.0) for _ in range(6)))
        taken = [claim for claims in found for claim in claims]
        assert len({(claim.workspace_id, claim.item_id) for claim in taken}) == len(taken)
        assert Counter(claim.workspace_id for claim in taken) == {
            shop.workspace_id: min(3, kind.per_workspace) for shop in several
        }
        for claim in taken:
            await jobs.give_back(alone, kind, claim, wait_s=0.0)
        await Jobs(alone, work(alone, kind)).finish()


@given(st.integers(1, 100), st.floats(0, 1))
def test_waits_grow_and_end(attempts: int, jitter: float) -> None:
    waits = [job_retry.wait_s(n, jitter) for n in range(1, attempts + 2)]
    assert waits == sorted(waits)
    assert waits[0] >= 3.75
    assert waits[-1] <= job_retry.LONGEST_WAIT_S * 1.25
