"""Many calls at once come to what the same calls come to one after the other, for every person and every device."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Platform, Token
from pushkeeper.services.people import Call, People, PersonUpdate
from pushkeeper.store.admin import workspaces
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people import events, people
from pushkeeper.store.people.events import NewEvent
from pushkeeper.store.people.people import AttributeChange, PersonReference
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

whom = st.sampled_from(["ann", "ben", "eve"])
tokens = st.sampled_from(["t1", "t2", "t3"])
anonymous = st.sampled_from(["a1", "a2"])
said = st.one_of(
    st.tuples(st.just("identify"), whom, st.sampled_from(["plan", "city"]), st.integers(0, 9)),
    st.tuples(st.just("identify as"), whom, anonymous),
    st.tuples(st.just("update"), whom, st.just("plan"), st.integers(0, 9)),
    st.tuples(st.just("register"), whom, tokens),
    # An anonymous id is made on a phone, so that no two of them have one phone.
    st.tuples(st.just("register nobody's"), st.just("a1"), st.just("t1")),
    st.tuples(st.just("register nobody's"), st.just("a2"), st.sampled_from(["t2", "t3"])),
    st.tuples(st.just("nobody's event"), anonymous),
    st.tuples(st.just("forget device"), whom, tokens),
    st.tuples(st.just("forget nobody's"), anonymous, tokens),
    st.tuples(st.just("forget person"), whom),
    st.tuples(st.just("suppress"), whom),
    st.tuples(st.just("unsuppress"), whom),
    st.tuples(st.just("merge"), whom, whom),
    st.tuples(
        st.just("event"), whom, st.sampled_from(["bought", "looked"]), st.sampled_from([None, "1", "2"])
    ),
)
histories = st.lists(st.tuples(st.integers(0, 1), said), max_size=40)


@pytest.fixture
def registry(database: Database) -> People:
    return People(database)


@pytest_asyncio.fixture
async def tenant(database: Database) -> WorkspaceId:
    return (await workspaces.create(database, secrets.token_hex(8)))[0].workspace_id


def by_id(value: str) -> Identifier:
    return Identifier(IdentifierKind.ID, value)


class Writer:
    """Calls of one workspace, from what a history says."""

    def __init__(self, registry: People, workspace: WorkspaceId) -> None:
        self._registry = registry
        self._workspace = workspace
        self._at = NOON

    def call(self, what: tuple[Any, ...]) -> Call:
        self._at += timedelta(seconds=1)
        kind, *rest = what
        made: Call = getattr(self, "_" + kind.replace(" ", "_").replace("'", ""))(*rest)
        return made

    def _identify(self, person: str, name: str, value: int, *, create: bool = True) -> Call:
        naming = PersonReference(workspace_id=self._workspace, path=by_id(person), create=create)
        change = AttributeChange(attributes={name: value}, changed_at=0)
        return PersonUpdate(workspace_id=self._workspace, naming=naming, change=change)

    def _update(self, person: str, name: str, value: int) -> Call:
        return self._identify(person, name, value, create=False)

    def _identify_as(self, person: str, known_as: str) -> Call:
        naming = PersonReference(workspace_id=self._workspace, path=by_id(person))
        return PersonUpdate(workspace_id=self._workspace, naming=naming, anonymous_id=known_as)

    def _register(self, person: str, token: str) -> Call:
        naming = PersonReference(workspace_id=self._workspace, path=by_id(person))
        return PersonUpdate(workspace_id=self._workspace, naming=naming, registration=self._phone(token))

    def _register_nobodys(self, known_as: str, token: str) -> Call:
        return PersonUpdate(
            workspace_id=self._workspace, anonymous_id=known_as, registration=self._phone(token)
        )

    def _forget_device(self, person: str, token: str) -> Call:
        return self._registry.forgetting_device(self._workspace, by_id(person), Token(token))

    def _forget_nobodys(self, known_as: str, token: str) -> Call:
        return self._registry.forgetting_token(self._workspace, Token(token), known_as)

    def _forget_person(self, person: str) -> Call:
        return self._registry.forgetting_person(self._workspace, by_id(person))

    def _suppress(self, person: str) -> Call:
        return self._registry.suppressing(self._workspace, by_id(person))

    def _unsuppress(self, person: str) -> Call:
        return self._registry.unsuppressing(self._workspace, by_id(person))

    def _merge(self, person: str, other: str) -> Call:
        return self._registry.merging(self._workspace, by_id(person), by_id(other))

    def _event(self, person: str, name: str, once: str | None) -> Call:
        naming = PersonReference(workspace_id=self._workspace, path=by_id(person))
        event = NewEvent(kind="event", name=name, data={}, happened_at=self._at)
        key = None if once is None else once.encode() * 16
        return PersonUpdate(workspace_id=self._workspace, naming=naming, event=event, once=key)

    def _nobodys_event(self, known_as: str) -> Call:
        event = NewEvent(kind="event", name="looked", data={}, happened_at=self._at)
        return PersonUpdate(workspace_id=self._workspace, anonymous_id=known_as, event=event)

    def _phone(self, token: str) -> Registration:
        return Registration(token=Token(token), platform=Platform.IOS, last_used=self._at)


async def state(database: Database, workspace: WorkspaceId) -> dict[str, Any]:
    """Everything that a workspace holds, by names that are the same in every workspace."""
    who = await database.rows(
        "select i.key, p.attributes from people p join identifiers i using (person_id) "
        "where p.workspace_id = $1 and i.kind = 'id' order by 1",
        workspace,
    )
    known = await database.rows(
        "select a.anonymous_id, i.key from anonymous_ids a join identifiers i using (person_id) "
        "where a.workspace_id = $1 and i.kind = 'id' order by 1",
        workspace,
    )
    phones = await database.rows(
        "select d.token, i.key, d.last_used from devices d join identifiers i using (person_id) "
        "where d.workspace_id = $1 and i.kind = 'id' order by 1",
        workspace,
    )
    nobodys = await database.rows(
        "select anonymous_id, registration -> 'token' ->> 'value' as token from anonymous_devices "
        "where workspace_id = $1 order by 1, 2",
        workspace,
    )
    done = await database.rows(
        "select e.name, e.happened_at, i.key from events e left join identifiers i "
        "on i.person_id = e.person_id and i.kind = 'id' where e.workspace_id = $1 order by 2",
        workspace,
    )
    return {
        name: [tuple(row.values()) for row in rows]
        for name, rows in {
            "people": who,
            "known": known,
            "phones": phones,
            "nobody's": nobodys,
            "events": done,
        }.items()
    }


@settings(
    max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories)
async def test_calls_made_at_once_come_to_what_they_come_to_one_by_one(
    database: Database, registry: People, history: list[tuple[int, tuple[Any, ...]]]
) -> None:
    tenants = [(await workspaces.create(database, secrets.token_hex(8)))[0].workspace_id for _ in range(2)]
    at_once, one_by_one = (Writer(registry, tenant) for tenant in tenants)
    waiting: list[Call] = []
    for pause, what in history:
        waiting.append(at_once.call(what))
        if pause:
            await registry.do_all(waiting)
            waiting = []
        await registry.do(one_by_one.call(what))
    await registry.do_all(waiting)
    assert await state(database, tenants[0]) == await state(database, tenants[1])


FREED = [
    ("identify as", "ben", "a1"),
    ("forget person", "ann"),
    ("forget person", "ann"),
    ("identify as", "ann", "a1"),
    ("identify as", "ann", "a2"),
    ("forget person", "ben"),
]
SPOKEN_FOR = [
    ("forget person", "ben"),
    ("register nobody's", "a1", "t1"),
    ("register", "ann", "t1"),
    ("identify as", "ben", "a1"),
]


@pytest.mark.parametrize(
    ("calls", "name", "expected"),
    [(FREED, "known", [("a2", "ann")]), (SPOKEN_FOR, "phones", [("t1", "ann", NOON + timedelta(seconds=3))])],
    ids=["an identifier is free only once its person is gone", "a person's device is kept for nobody else"],
)
async def test_order_holds_for_what_calls_concern_without_naming_it(
    database: Database,
    registry: People,
    tenant: WorkspaceId,
    calls: list[tuple[Any, ...]],
    name: str,
    expected: list[tuple[Any, ...]],
) -> None:
    writer = Writer(registry, tenant)
    await registry.do_all([writer.call(call) for call in calls])
    assert (await state(database, tenant))[name] == expected


async def test_a_call_with_an_id_counts_once_even_among_its_equals(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    writer = Writer(registry, tenant)
    await registry.do_all([writer.call(("event", "ann", "bought", "1")) for _ in range(20)])
    await registry.do(writer.call(("event", "ann", "bought", "1")))
    assert await database.value("select count(*) from events where workspace_id = $1", tenant) == 1


async def test_ids_are_forgotten_after_a_day_and_nobodys_devices_after_ninety(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    writer = Writer(registry, tenant)
    await registry.do(writer.call(("event", "ann", "bought", "1")))
    for known_as, token in (("a1", "t1"), ("a2", "t2")):
        await registry.do(writer.call(("register nobody's", known_as, token)))
    await database.rows(
        "update seen_once set seen_at = now() - interval '26 hours' where workspace_id = $1", tenant
    )
    await database.rows(
        "update anonymous_devices set told_at = now() - interval '91 days' "
        "where workspace_id = $1 and anonymous_id = 'a1'",
        tenant,
    )
    await events.clean(database)
    assert await database.value("select count(*) from seen_once where workspace_id = $1", tenant) == 0
    left = await database.rows("select anonymous_id from anonymous_devices where workspace_id = $1", tenant)
    assert [row["anonymous_id"] for row in left] == ["a2"]


async def test_a_refusal_with_an_id_is_not_remembered(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    full = AttributeChange(attributes={f"a{n}": n for n in range(people.MAX_ATTRIBUTES)}, changed_at=0)
    naming = PersonReference(workspace_id=tenant, path=by_id("ann"))
    await registry.identify(naming, full)
    one_more = AttributeChange(attributes={"b": 1}, changed_at=0)
    told = PersonUpdate(workspace_id=tenant, naming=naming, change=one_more, once=b"1" * 16)
    [refused] = await registry.do_all([told])
    assert isinstance(refused, Exception)
    assert await database.value("select count(*) from seen_once where workspace_id = $1", tenant) == 0
