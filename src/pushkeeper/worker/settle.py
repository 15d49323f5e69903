"""Settle: what came of pushes is gathered, and written in slices, each in one transaction."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from pushkeeper.core.outcome import Accepted, Certainty
from pushkeeper.core.retry import Deferred, End, Held, Hold, Settled
from pushkeeper.errors import Unreachable
from pushkeeper.store import batches, credentials, devices, pushes
from pushkeeper.store.batches import ClaimedBatch, Requeue
from pushkeeper.store.devices import SettleEvent, Settlement
from pushkeeper.store.pushes import PushRow
from pushkeeper.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.core.model import DeviceId, PersonId, Push, RouteId
    from pushkeeper.core.outcome import Verdict
    from pushkeeper.core.retry import Decision
    from pushkeeper.store.credentials import Route
    from pushkeeper.store.database import Connection, Database

log = logger("settle")

SLICE_S = 0.2
SLICE_SIZE = 1_000


@dataclass(slots=True)
class Work:
    """A claimed batch and which of its devices are not settled yet."""

    batch: ClaimedBatch
    unsettled: dict[DeviceId, PersonId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unsettled = {target.device_id: target.planned_for for target in self.batch.targets}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The provider answered, or failed to: what its answer means, and what follows."""

    work: Work
    push: Push
    route: Route
    verdict: Verdict
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """The push never left: skipped, or expired in our own queue."""

    work: Work
    device_id: DeviceId
    person_id: PersonId
    end: End
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The push waits for its paused route."""

    work: Work
    device_id: DeviceId
    person_id: PersonId
    route: Route
    reason: str


Fact: TypeAlias = Answered | NotSent | SetAside


class Settler:
    """Writes facts in slices: every 200 ms, and up to 1,000 in one."""

    def __init__(self, database: Database, *, on_written: Callable[[], None]) -> None:
        """`on_written` hears whenever facts were taken off the worker's hands, written or given up with their claim."""
        self._database = database
        self._on_written = on_written
        self._waiting: list[Fact] = []
        self._wake = asyncio.Event()
        self._closing = False

    def add(self, facts: Sequence[Fact]) -> None:
        self._waiting.extend(facts)
        if self._waiting:
            self._wake.set()

    def close(self) -> None:
        """Let `run` end once all that was added is written."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Write slices until closed."""
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            if len(self._waiting) < SLICE_SIZE and not self._closing:
                await asyncio.sleep(SLICE_S)
            self._wake.clear()
            while self._waiting:
                slice_, self._waiting = self._waiting[:SLICE_SIZE], self._waiting[SLICE_SIZE:]
                await self._write_until_it_is(slice_)
                self._on_written()

    async def _write_until_it_is(self, facts: Sequence[Fact]) -> None:
        """A database that is away does not lose outcomes: they wait for it, until we are told to end.

        What is given up then was not acknowledged to anybody: its batch comes back with its lease, and is sent again.
        """
        wait_s = 0.1
        while True:
            try:
                await write(self._database, facts)
            except Unreachable as error:
                log.warning("settle_waits_for_the_database", error=error.message, facts=len(facts))
                if self._closing:
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
            else:
                return


async def write(database: Database, facts: Sequence[Fact]) -> None:
    """Write a slice: pushes, statuses with their history, what is due again, what is held, and the batches left over.

    Facts of a batch whose claim was lost are dropped: whoever has the claim now settles it.
    """
    by_batch: dict[int, list[Fact]] = {}
    for fact in facts:
        by_batch.setdefault(fact.work.batch.claim.batch_id, []).append(fact)

    async def work(connection: Connection) -> list[Fact]:
        claims = [group[0].work.batch.claim for group in by_batch.values()]
        ours = await batches.still_claimed(connection, claims)
        mine = [fact for batch_id in ours for fact in by_batch[batch_id]]
        await _write_pushes(connection, mine)
        await _write_routes(connection, mine)
        for new in _requeues(mine, datetime.now(UTC)):
            await batches.requeue(connection, new)
        await _write_batches(connection, mine)
        return mine

    written = await database.in_transaction(work)
    for fact in written:
        fact.work.unsettled.pop(_device_of(fact), None)
    for batch_id in set(by_batch) - {fact.work.batch.claim.batch_id for fact in written}:
        by_batch[batch_id][0].work.unsettled.clear()


async def _write_pushes(connection: Connection, facts: Sequence[Fact]) -> None:
    rows = [row for fact in facts if (row := push_row(fact)) is not None]
    new = await pushes.insert(connection, rows)
    settlements = [
        s for fact in facts if (s := settlement(fact)) is not None and (s.message_id, s.device_id) in new
    ]
    if settlements:
        await devices.settle(connection, settlements)


def push_row(fact: Fact) -> PushRow | None:
    """The row that a fact becomes; None while the push is not over."""
    batch = fact.work.batch
    match fact:
        case NotSent():
            return PushRow(
                message_id=batch.message_id,
                device_id=fact.device_id,
                workspace_id=batch.workspace_id,
                person_id=fact.person_id,
                generation=None,
                ending=fact.end.value,
                reason=fact.reason,
                attempts=batch.attempt,
            )
        case Answered(decision=Settled() as settled, push=push, verdict=verdict):
            accepted = verdict.outcome if isinstance(verdict.outcome, Accepted) else None
            return PushRow(
                message_id=push.message_id,
                device_id=push.device_id,
                workspace_id=batch.workspace_id,
                person_id=push.person_id,
                generation=push.generation,
                ending=settled.end.value,
                reason=verdict.row,
                provider=fact.route.provider.value,
                provider_status=verdict.status,
                provider_reason=verdict.reason,
                provider_id=accepted.provider_id if accepted else None,
                detail=verdict.detail or None,
                attempts=push.attempt + 1,
            )
        case Answered() | SetAside():
            return None
        case _:
            assert_never(fact)


def settlement(fact: Fact) -> Settlement | None:
    """What a fact is to its device; None for all that is no device's doing."""
    if not isinstance(fact, Answered) or not isinstance(fact.decision, Settled) or fact.push.dry_run:
        return None
    event: SettleEvent
    if fact.decision.end is End.ACCEPTED:
        event = SettleEvent.ACCEPTED
    elif fact.decision.end is End.BOUNCED:
        event = SettleEvent.REFUSED
    elif fact.decision.certainty is Certainty.STALE:
        event = SettleEvent.REFUSED_AS_STALE
    else:
        return None
    return Settlement(
        device_id=fact.push.device_id,
        generation=fact.push.generation,
        event=event,
        message_id=fact.push.message_id,
        provider=fact.route.provider.value,
        provider_status=fact.verdict.status,
        provider_reason=fact.verdict.reason,
    )


async def _write_routes(connection: Connection, facts: Sequence[Fact]) -> None:
    """A route that took a push has proved itself; one whose key or server is refused pauses, and bounces nobody."""
    proved: set[RouteId] = set()
    refused: dict[tuple[int, RouteId | None], str] = {}
    for fact in facts:
        if not isinstance(fact, Answered):
            continue
        if fact.decision == Settled(end=End.ACCEPTED) and fact.route.accepted_at is None:
            proved.add(fact.route.route_id)
        if isinstance(fact.decision, Held) and fact.decision.reason is not Hold.UNPROVEN:
            whole = fact.decision.scope.value == "credential"
            refused[fact.route.credential_id, None if whole else fact.route.route_id] = held_reason(fact)
    if proved:
        await credentials.mark_accepted(connection, sorted(proved))
    for (credential_id, route_id), reason in refused.items():
        await credentials.pause(connection, credential_id, route_id, reason)
        log.warning("route_paused", credential_id=credential_id, route_id=route_id, reason=reason)


def held_reason(fact: Answered | SetAside) -> str:
    """Why a push is held, for people: our word and the provider's."""
    if isinstance(fact, SetAside):
        return fact.reason
    assert isinstance(fact.decision, Held)  # noqa: S101 - the caller's promise
    words = [fact.decision.reason.value, str(fact.verdict.status or ""), fact.verdict.reason]
    return " ".join(word for word in words if word)


# Batch, attempts made, second it is due at (0 for held), route and reason it is held for.
_Group: TypeAlias = "tuple[int, int, float, RouteId | None, str | None]"


def _requeues(facts: Sequence[Fact], now: datetime) -> list[Requeue]:
    """Pushes that are due again or held, gathered into batches that wait together."""
    groups: dict[_Group, list[Fact]] = {}
    for fact in facts:
        batch = fact.work.batch
        match fact:
            case Answered(decision=Deferred(due_at=due_at, charged=charged)):
                # One batch for each second: jitter would else make one of each push.
                second = math.ceil(due_at.timestamp()) if due_at > now else now.timestamp()
                key: _Group = (batch.claim.batch_id, batch.attempt + charged, float(second), None, None)
            case Answered(decision=Held()) | SetAside():
                key = (batch.claim.batch_id, batch.attempt, 0.0, fact.route.route_id, held_reason(fact))
            case _:
                continue
        groups.setdefault(key, []).append(fact)
    return [
        Requeue(
            batch=group[0].work.batch,
            targets=tuple((_device_of(fact), _person_of(fact)) for fact in group),
            due_at=datetime.fromtimestamp(second, tz=UTC) if second else now,
            attempt=attempt,
            held_route_id=route_id,
            held_reason=reason,
        )
        for (_, attempt, second, route_id, reason), group in groups.items()
    ]


async def _write_batches(connection: Connection, facts: Sequence[Fact]) -> None:
    done: dict[int, tuple[Work, set[DeviceId]]] = {}
    for fact in facts:
        done.setdefault(fact.work.batch.claim.batch_id, (fact.work, set()))[1].add(_device_of(fact))
    finished = []
    for batch_id, (work, settled) in done.items():
        left = [(device, person) for device, person in work.unsettled.items() if device not in settled]
        if left:
            await batches.shrink(connection, batch_id, left)
        else:
            finished.append(batch_id)
    if finished:
        await batches.delete(connection, finished)


def _device_of(fact: Fact) -> DeviceId:
    return fact.push.device_id if isinstance(fact, Answered) else fact.device_id


def _person_of(fact: Fact) -> PersonId:
    return fact.push.person_id if isinstance(fact, Answered) else fact.person_id
