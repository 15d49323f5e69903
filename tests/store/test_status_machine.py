"""The status table in Python and the one in SQL are the same rule: in any order, and all at once."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.delivery import device_status
from pushkeeper.core.delivery.device_status import DeviceState, LastStatus, Suppression
from pushkeeper.core.delivery.status_replay import HistoryEvent, fold
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import DeviceId, PersonId, Platform, Token, WorkspaceId, device_id
from pushkeeper.services.strikes import Strikes
from pushkeeper.store.admin import workspaces
from pushkeeper.store.devices import devices, registration
from pushkeeper.store.devices.devices import HistoryLine, Registration, SettleEvent, Settlement
from pushkeeper.store.people import resolution
from pushkeeper.store.people.people import PersonReference
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

MESSAGE = UUID("01931000-0000-7000-8000-000000000000")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEVER, NEW = -1, 0  # generations: of no device, and of any registration that comes later

_numbers = count(1)


class Came(NamedTuple):
    """The outcome of a push, and whether a rejection reports the device as gone."""

    event: SettleEvent
    definite: bool = False

    def rule(self, standing: DeviceState, generation: int, options: Suppression) -> DeviceState | None:
        """What the table makes of it; all strikes are of one moment, so that any gap is too short but none."""
        match self.event:
            case SettleEvent.ACCEPTED:
                return device_status.accepted(standing, generation)
            case SettleEvent.REFUSED:
                return device_status.refused(
                    standing, generation, definite=self.definite, at=NOON, options=options
                )
            case SettleEvent.REFUSED_AS_STALE:
                return device_status.refused_as_stale(standing, generation, at=NOON, options=options)


came = st.builds(Came, st.sampled_from(SettleEvent), st.booleans())
ALL_OPTIONS = (
    Suppression(),
    Suppression(suppress_after=1),
    Suppression(suppress_after=4, min_strike_gap_s=86_400),
    Suppression(suppress_after=3, suppress_on_definitive=True),
    Suppression(delete_unregistered=True),
)


@dataclass(frozen=True)
class Register:
    device: int
    person: int


@dataclass(frozen=True)
class TakePush:
    """A push starts with the device's state; its outcome arrives later, or never."""

    device: int


@dataclass(frozen=True)
class Settle:
    """Outcomes in one call: which of the pushes in flight, and their results."""

    outcomes: tuple[tuple[int, Came], ...]


@dataclass(frozen=True)
class Delete:
    device: int
    person: int


class Owned(NamedTuple):
    """A device as the model has it."""

    person: PersonId
    standing: DeviceState


class Stored(NamedTuple):
    """A device's row, and which version of it this is."""

    owned: Owned
    version: str


pairs = st.tuples(st.integers(0, 1), st.integers(0, 1))
steps = (
    pairs.map(lambda pair: Register(*pair))
    | st.integers(0, 1).map(TakePush)
    | st.lists(st.tuples(st.integers(0, 7), came), min_size=1, max_size=4).map(
        lambda outcomes: Settle(tuple(outcomes))
    )
    | pairs.map(lambda pair: Delete(*pair))
)


@dataclass
class World:
    """Two people and two tokens of one workspace, new to every example."""

    database: Database
    workspace: WorkspaceId
    people: tuple[PersonId, PersonId]
    tokens: tuple[Token, Token]
    options: Suppression = device_status.DOCUMENTED

    def key(self, device: int) -> DeviceId:
        return device_id(self.workspace, self.tokens[device])

    def settlement(self, device: int, generation: int, outcome: Came) -> Settlement:
        return Settlement(
            workspace_id=self.workspace,
            device_id=self.key(device),
            generation=generation,
            event=outcome.event,
            definite=outcome.definite,
            message_id=MESSAGE,
            provider="fcm",
        )

    async def register(self, step: Register) -> None:
        phone = Registration(token=self.tokens[step.device], platform=Platform.ANDROID, last_used=NOON)

        async def work(connection: Connection) -> None:
            await registration.register(connection, [(self.workspace, self.people[step.person], phone)])

        await self.database.in_transaction(work)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self.database.in_transaction(lambda connection: devices.settle(connection, settlements))

    async def delete(self, step: Delete) -> None:
        person, only = self.people[step.person], self.key(step.device)

        async def work(connection: Connection) -> None:
            await devices.delete(connection, self.workspace, person, only=only)

        await self.database.in_transaction(work)

    async def stored(self, device: int) -> Stored | None:
        row = await self.database.row(
            "select person_id, status, strikes, generation, stale_generation, xmin::text || ctid::text as version "
            "from devices where device_id = $1",
            self.key(device),
        )
        if row is None:
            return None
        standing = DeviceState(
            LastStatus(row["status"]), row["strikes"], row["generation"], row["stale_generation"]
        )
        return Stored(Owned(row["person_id"], standing), row["version"])

    async def history(self, device: int) -> list[HistoryLine]:
        """The oldest first."""
        lines = await devices.history(self.database, self.workspace, self.tokens[device], limit=1000)
        return lines[::-1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worlds(database: Database) -> list[World]:
    """A workspace for each choice of options."""
    return [await new_world(database, options) for options in ALL_OPTIONS]


@pytest.fixture(scope="module")
def world(worlds: list[World]) -> World:
    """The one of the documented lifecycle."""
    return worlds[0]


async def new_world(database: Database, options: Suppression) -> World:
    made, _ = await workspaces.create(database, f"status machine {secrets.token_hex(8)}")
    workspace = made.workspace_id
    chosen = await workspaces.choose(database, workspace, asdict(options))
    assert chosen.suppress_after == options.suppress_after
    namings = [
        PersonReference(workspace_id=workspace, path=Identifier(IdentifierKind.ID, name))
        for name in ("anna", "ben")
    ]
    anna, ben = await database.in_transaction(
        lambda connection: resolution.resolve(connection, namings, database.hashes)
    )
    assert anna is not None
    assert ben is not None
    return World(database, workspace, (anna, ben), (Token("first"), Token("second")), options)


def fresh(world: World) -> World:
    number = next(_numbers)
    return replace(world, tokens=(Token(f"machine-{number}-0"), Token(f"machine-{number}-1")))


def assert_chained(lines: Sequence[HistoryLine]) -> None:
    """Each line begins where the one before it ended."""
    for line in lines:
        assert (line.event == "registered") == (line.from_person_id is None)
        assert (line.event == "deleted") == (line.to_person_id is None)
        assert line.event != "accepted" or line.to_status == LastStatus.SENT
        assert line.event != "refused" or line.to_status in {LastStatus.BOUNCED, LastStatus.SUPPRESSED}
    for line, following in pairwise(lines):
        assert following.from_status == line.to_status
        assert following.from_person_id == line.to_person_id


def assert_folds_to(lines: Sequence[HistoryLine], owned: Owned | None, options: Suppression) -> None:
    balance = fold(
        (
            HistoryEvent(
                number=number,
                at=line.at,
                event=line.event,
                from_status=None if line.from_status is None else LastStatus(line.from_status),
                to_status=None if line.to_status is None else LastStatus(line.to_status),
                strikes=line.strikes,
                generation=line.generation,
            )
            for number, line in enumerate(lines)
        ),
        suppress_after=options.suppress_after,
    )
    if owned is None:
        assert balance is None
    else:
        assert balance is not None
        assert (balance.status, balance.strikes) == (owned.standing.status, owned.standing.strikes)
        assert lines[-1].to_person_id == owned.person


@dataclass
class Model:
    """The table of core/delivery/device_status.py, moved by the same steps as the rows."""

    world: World
    devices: list[Owned | None]
    pushes: list[tuple[int, int]]
    generations: list[set[int]]
    touched: set[int] = field(default_factory=set)

    def after(self, step: Register | TakePush | Settle | Delete, stored: Sequence[Stored | None]) -> None:
        """Take the step, and note which devices it changed, be it there and back.

        A new generation may be any number that the device has never had.
        """
        self.touched = set()
        match step:
            case Register(device, person):
                row = stored[device]
                assert row is not None
                given = row.owned.standing.generation
                assert given not in self.generations[device]
                self.generations[device].add(given)
                before = self.devices[device]
                standing = DeviceState() if before is None else device_status.registered(before.standing)
                self.touched.add(device)
                self.devices[device] = Owned(self.world.people[person], replace(standing, generation=given))
            case TakePush(device):
                owned = self.devices[device]
                self.pushes.append((device, NEVER if owned is None else owned.standing.generation))
            case Settle():
                for device, generation, outcome in self.settled(step):
                    owned = self.devices[device]
                    if owned is None:
                        continue
                    ruled = outcome.rule(owned.standing, generation, self.world.options)
                    if ruled != owned.standing:
                        self.touched.add(device)
                        self.devices[device] = None if ruled is None else owned._replace(standing=ruled)
            case Delete(device, person):
                owned = self.devices[device]
                if owned is not None and owned.person == self.world.people[person]:
                    self.touched.add(device)
                    self.devices[device] = None

    def settled(self, step: Settle) -> list[tuple[int, int, Came]]:
        if not self.pushes:
            return []
        return [(*self.pushes[which % len(self.pushes)], event) for which, event in step.outcomes]


async def take(world: World, model: Model, step: Register | TakePush | Settle | Delete) -> None:
    match step:
        case Register():
            await world.register(step)
        case Settle():
            await world.settle([world.settlement(*settled) for settled in model.settled(step)])
        case Delete():
            await world.delete(step)
        case TakePush():
            pass


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, len(ALL_OPTIONS) - 1), st.lists(steps, max_size=25))
async def test_after_every_step_the_row_is_what_the_table_says(
    worlds: list[World], chosen: int, history: list[Register | TakePush | Settle | Delete]
) -> None:
    world = fresh(worlds[chosen])
    model = Model(world, devices=[None, None], pushes=[], generations=[set(), set()])
    for step in history:
        before = [await world.stored(device) for device in (0, 1)]
        lines_before = [await world.history(device) for device in (0, 1)]
        await take(world, model, step)
        after = [await world.stored(device) for device in (0, 1)]
        model.after(step, after)
        for device in (0, 1):
            row, owned = after[device], model.devices[device]
            assert (row and row.owned) == owned
            lines = await world.history(device)
            assert lines[: len(lines_before[device])] == lines_before[device]
            assert_chained(lines)
            assert_folds_to(lines, owned, world.options)
            if device not in model.touched:
                assert row == before[device], "a row that says the same was written again"
                assert lines == lines_before[device]


async def test_an_accepted_push_to_a_device_that_is_sent_already_writes_nothing(world: World) -> None:
    world = fresh(world)
    await world.register(Register(0, 0))
    row = await world.stored(0)
    assert row is not None
    accepted = world.settlement(0, row.owned.standing.generation, Came(SettleEvent.ACCEPTED))
    await world.settle([accepted])
    sent, lines = await world.stored(0), await world.history(0)
    await world.settle([accepted, accepted])
    assert await world.stored(0) == sent
    assert await world.history(0) == lines


async def test_a_late_refusal_does_not_reach_a_device_that_was_deleted_and_registered_again(
    world: World,
) -> None:
    world = fresh(world)
    await world.register(Register(0, 0))
    row = await world.stored(0)
    assert row is not None
    await world.delete(Delete(0, 0))
    await world.register(Register(0, 1))
    await world.settle([world.settlement(0, row.owned.standing.generation, Came(SettleEvent.REFUSED))])
    now = await world.stored(0)
    assert now is not None
    assert (now.owned.person, now.owned.standing.status) == (world.people[1], LastStatus.UNUSED)


outcomes_before = st.lists(came, max_size=3)
rivals = st.lists(
    st.integers(0, 1).map(lambda person: Register(0, person))
    | st.lists(came, min_size=1, max_size=2).map(
        lambda outcomes: Settle(tuple((0, outcome) for outcome in outcomes))
    )
    | st.integers(0, 1).map(lambda person: Delete(0, person)),
    min_size=2,
    max_size=5,
)


def each_alone(step: Register | Settle | Delete) -> list[Register | Settle | Delete]:
    """A call as its outcomes one by one: between two of them another call's may come."""
    if isinstance(step, Settle):
        return [Settle((outcome,)) for outcome in step.outcomes]
    return [step]


def one_step(
    world: World, owned: Owned | None, step: Register | Settle | Delete, sent_to: int
) -> Owned | None:
    match step:
        case Register(_, person):
            standing = DeviceState() if owned is None else device_status.registered(owned.standing)
            return Owned(world.people[person], replace(standing, generation=NEW))
        case Settle(((_, outcome),)) if owned is not None:
            ruled = outcome.rule(owned.standing, sent_to, world.options)
            return None if ruled is None else owned._replace(standing=ruled)
        case Delete(_, person) if owned is not None and owned.person == world.people[person]:
            return None
        case _:
            return owned


def what_some_order_leaves(
    world: World, start: Owned | None, steps: Sequence[Register | Settle | Delete]
) -> set[Owned | None]:
    """All that the table makes of the steps, whatever their order; each call's outcomes keep theirs."""
    sent_to = NEVER if start is None else start.standing.generation
    calls = [each_alone(step) for step in steps]
    reached = {(tuple(0 for _ in calls), start)}
    for _ in range(sum(map(len, calls))):
        reached = {
            ((*done[:n], done[n] + 1, *done[n + 1 :]), one_step(world, owned, call[done[n]], sent_to))
            for done, owned in reached
            for n, call in enumerate(calls)
            if done[n] < len(call)
        }
    return {owned for _, owned in reached}


async def all_wait_or_are_done(database: Database, tasks: Sequence[asyncio.Task[None]]) -> None:
    waiting = 0
    while waiting + sum(task.done() for task in tasks) < len(tasks):
        waiting = await database.owned.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )


def at_noon(owned: Owned) -> Owned:
    """The model's own time of the last strike, where there was one: all of its strikes are of one moment."""
    struck_at = NOON if owned.standing.strikes else None
    return owned._replace(standing=replace(owned.standing, struck_at=struck_at))


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, len(ALL_OPTIONS) - 1), st.sampled_from([None, Register(0, 0)]), outcomes_before, rivals)
async def test_rivals_leave_what_some_order_of_them_would_leave(
    worlds: list[World],
    chosen: int,
    first: Register | None,
    before: list[Came],
    steps: list[Register | Settle | Delete],
) -> None:
    world = fresh(worlds[chosen])
    if first is not None:
        await world.register(first)
    row = await world.stored(0)
    sent_to = NEVER if row is None else row.owned.standing.generation
    await world.settle([world.settlement(0, sent_to, outcome) for outcome in before])
    row = await world.stored(0)
    start = row and at_noon(row.owned)

    async def go(step: Register | Settle | Delete) -> None:
        match step:
            case Register():
                await world.register(step)
            case Settle():
                await world.settle([world.settlement(0, sent_to, outcome) for _, outcome in step.outcomes])
            case Delete():
                await world.delete(step)

    tasks: list[asyncio.Task[None]] = []

    async def hold_the_row(connection: Connection) -> None:
        await connection.fetch("select from devices where device_id = $1 for update", world.key(0))
        tasks.extend(asyncio.create_task(go(step)) for step in steps)
        await all_wait_or_are_done(world.database, tasks)

    await world.database.in_transaction(hold_the_row)
    await asyncio.gather(*tasks)

    row = await world.stored(0)
    found = row and row.owned
    if found is not None and found.standing.generation != sent_to:
        found = found._replace(standing=replace(found.standing, generation=NEW))
    assert found in what_some_order_leaves(world, start, steps)
    lines = await world.history(0)
    assert_chained(lines)
    assert_folds_to(lines, found, world.options)


async def test_a_strike_of_a_transaction_that_began_before_the_strike_before_it_counts(world: World) -> None:
    world = fresh(world)
    await world.register(Register(0, 0))
    row = await world.stored(0)
    assert row is not None
    refused = world.settlement(0, row.owned.standing.generation, Came(SettleEvent.REFUSED))

    async def began_before(connection: Connection) -> None:
        await connection.fetchval("select now()")
        await world.settle([refused])
        await devices.settle(connection, [refused])

    await world.database.in_transaction(began_before)
    after = await world.stored(0)
    assert after is not None
    assert (after.owned.standing.status, after.owned.standing.strikes) == (LastStatus.SUPPRESSED, 2)


async def test_in_the_end_all_ledgers_add_up(worlds: list[World]) -> None:
    for world in worlds:
        checked = await Strikes(world.database).verify(world.workspace)
        assert (checked.wrong, checked.unchecked) == (0, 0), checked.examples
