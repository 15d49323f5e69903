"""The filter language in SQL says of everybody, and of every device, what it says in Python."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.filters import from_json
from pushkeeper.core.filters import values as filter_values
from pushkeeper.core.filters.evaluate import (
    DeviceFacts,
    EvaluationContext,
    PerformedEvent,
    PersonFacts,
    matches,
)
from pushkeeper.core.filters.nodes import (
    And,
    BadFilter,
    Condition,
    Contains,
    DeviceCondition,
    Exists,
    InSegment,
    Match,
    Node,
    Not,
    Number,
    OneOf,
    Or,
    Order,
    Performed,
    SavedAudience,
    StartsWith,
    Subject,
    Time,
    Unit,
    Version,
    WithinLast,
)
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.model import Platform, Token, device_id
from pushkeeper.store.admin import workspaces
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.devices import registration
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people import events, people, resolution, segments
from pushkeeper.store.people.events import NewEvent
from pushkeeper.store.people.people import AttributeChange, PersonReference
from pushkeeper.store.people.segments import Draft
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
FIELDS = ["plan", "visits", "a.b", 'quo"te', "app_version", "nobody has it"]
IDENTIFIERS = ["id", "email", "cio_id"]
VALUES: list[Any] = [
    "pro",
    "3",
    3,
    3.0,
    3.5,
    1e22,
    -1.5e-7,
    True,
    "true",
    False,
    0,
    "0",
    "",
    None,
    ["a", 3, True],
    {"a": 1},
    "Ünicode '\"",
    "4.10",
    "v4.2.0 (17)",
    4.2,
    "4.2.0.",
    "4.2.0",
    "0.0.0.0",
    1782907200,
    1782907199.5,
    "2026-07-01",
    "2026-07-01T13:59:59.123456+02:00",
    "2026-02-30T08:00:00Z",
    "2026-07-01 11:00",
    "9999-12-31T23:59:59-14:00",
]
TEXTS = [
    "pro",
    "3",
    "3.0",
    "3.5",
    "true",
    "false",
    "0",
    "",
    '["a"]',
    '["a", 3, true]',
    '{"a": 1}',
    "a",
    "p1",
    "p1@example.com",
    "Ünicode '\"",
    "1e0",
]
NUMBERS = [
    Decimal(text) for text in ("-1", "0", "3", "3.5", "4.2", "1782907199.5", "10000000000000000000000")
]
VERSIONS = [(0,), (3,), (4, 2), (4, 2, 1), (4, 10)]
TIMES = [NOW + timedelta(seconds=s) for s in (-86_400 * 40, -3_600, -1, 0, 0.5, 3_600)]
SECONDS = [1, 3_600, 86_400, 86_400 * 60]
STATUSES = [("", 0), ("sent", 0), ("bounced", 1), ("suppressed", 2)]
CROWD = 28

orders = st.sampled_from(Order)
moments = st.sampled_from(TIMES).map(filter_values.seconds_of)
text_tests = st.one_of(
    st.just(Exists()),
    st.builds(OneOf, st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple)),
    st.builds(Contains, st.sampled_from(TEXTS)),
    st.builds(StartsWith, st.sampled_from(TEXTS)),
)
number_tests = st.builds(Number, orders, st.sampled_from(NUMBERS))
time_tests = st.one_of(
    st.builds(Time, orders, moments), st.builds(WithinLast, st.sampled_from(SECONDS)), st.just(Exists())
)
json_tests = st.one_of(
    text_tests, number_tests, time_tests, st.builds(Version, orders, st.sampled_from(VERSIONS))
)
of_people = st.one_of(
    st.builds(Condition, st.just(Subject.PERSON), st.sampled_from(FIELDS), json_tests),
    st.builds(Condition, st.just(Subject.IDENTIFIER), st.sampled_from(IDENTIFIERS), text_tests),
    st.builds(InSegment, st.integers(0, 2)),
    st.builds(
        Performed,
        st.sampled_from(["bought", "left"]),
        orders,
        st.integers(0, 3),
        st.none() | moments,
        st.none() | st.sampled_from(SECONDS),
    ),
)
of_devices = st.one_of(
    st.builds(Condition, st.just(Subject.DEVICE_ATTRIBUTE), st.sampled_from(FIELDS), json_tests),
    st.builds(
        Condition, st.just(Subject.DEVICE), st.sampled_from(sorted(from_json.DEVICE_TIMES)), time_tests
    ),
    st.builds(
        Condition,
        st.just(Subject.DEVICE),
        st.just("strikes"),
        number_tests | st.builds(OneOf, st.just(("0", "2", "x"))),
    ),
    st.builds(Condition, st.just(Subject.DEVICE), st.sampled_from(["app", "failure_reason"]), text_tests),
    st.builds(
        Condition,
        st.just(Subject.DEVICE),
        st.just("last_status"),
        st.builds(OneOf, st.sampled_from(STATUSES).map(lambda one: one[:1])),
    ),
    st.builds(
        Condition,
        st.just(Subject.DEVICE),
        st.just("platform"),
        st.builds(OneOf, st.sampled_from([("ios",), ("android",), ("ios", "android")])),
    ),
)


def joined(leaves: st.SearchStrategy[Node], most: int) -> st.SearchStrategy[Node]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(And, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        ),
        max_leaves=most,
    )


leaves: st.SearchStrategy[Node] = of_people | st.builds(
    DeviceCondition, joined(of_devices, 4), st.sampled_from(Match)
)
# Saved audiences in filters, and in audiences.
nodes: st.SearchStrategy[Node] = joined(
    leaves
    | st.builds(
        SavedAudience,
        st.just(1),
        st.sampled_from(Unit),
        joined(leaves | st.builds(SavedAudience, st.just(2), st.sampled_from(Unit), joined(leaves, 3)), 4),
    ),
    8,
)


@dataclass
class Crowd:
    """People with all sorts of attributes, up to three devices each, and three segments of which the first is empty."""

    workspace: WorkspaceId
    facts: dict[PersonId, PersonFacts]
    devices: dict[bytes, tuple[PersonId, DeviceFacts]]
    segments: list[int]

    def placed(self, node: Node) -> Node:
        """The node with its segments' numbers."""
        match node:
            case InSegment(number):
                return InSegment(self.segments[number])
            case Not(inner):
                return Not(self.placed(inner))
            case And(inner):
                return And(tuple(map(self.placed, inner)))
            case Or(inner):
                return Or(tuple(map(self.placed, inner)))
            case SavedAudience(number, unit, inner):
                return SavedAudience(number, unit, self.placed(inner))
        return node


def some_attributes(number: int) -> dict[str, Any]:
    pairs = [(field, VALUES[(number * (n + 3) + n) % len(VALUES)]) for n, field in enumerate(FIELDS[:-1])]
    return {field: value for field, value in pairs if value is not None}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(database: Database) -> Crowd:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    workspace = made.workspace_id

    async def make(connection: Connection) -> list[int]:
        return [(await segments.insert(connection, workspace, Draft(name=name))).segment_id for name in "abc"]

    known = await database.in_transaction(make)
    found = Crowd(workspace, {}, {}, known)

    async def work(connection: Connection) -> None:
        namings = [
            PersonReference(
                workspace_id=workspace,
                path=Identifier(IdentifierKind.ID, f"p{number}"),
                others=(Identifier(IdentifierKind.EMAIL, f"P{number}@example.com"),) if number % 3 else (),
            )
            for number in range(CROWD)
        ]
        persons = [
            person
            for person in await resolution.resolve(connection, namings, database.hashes)
            if person is not None
        ]
        await people.update(
            connection,
            [
                (workspace, person, AttributeChange(attributes=some_attributes(number), changed_at=0))
                for number, person in enumerate(persons)
            ],
        )
        for number, person in enumerate(persons):
            await make_one(connection, found, number, person)

    await database.in_transaction(work)
    return found


async def make_one(connection: Connection, crowd: Crowd, number: int, person: PersonId) -> None:
    member_of = crowd.segments[1 : 1 + number % 3]
    for segment in member_of:
        await segments.add(connection, crowd.workspace, segment, [person])
    known_by = {"id": f"p{number}", "cio_id": cio_id(person)}
    if number % 3:
        known_by["email"] = f"P{number}@example.com"
    did = [
        PerformedEvent(("bought", "left")[n % 2], TIMES[(number + n) % len(TIMES)]) for n in range(number % 5)
    ]
    await events.insert(
        connection,
        [
            (
                crowd.workspace,
                person,
                None,
                NewEvent(kind="event", name=one.name, data={}, happened_at=one.at),
            )
            for one in did
        ],
    )
    own = [await make_device(connection, crowd, number * 3 + n, person) for n in range(number % 4)]
    crowd.facts[person] = PersonFacts(
        known_by, some_attributes(number), set(member_of), tuple(own), tuple(did)
    )


async def make_device(connection: Connection, crowd: Crowd, number: int, person: PersonId) -> DeviceFacts:
    told = Registration(
        token=Token(secrets.token_hex(32)),
        platform=Platform(("ios", "android")[number % 2]),
        last_used=TIMES[number % len(TIMES)],
        app=("", "a", "pro")[number % 3],
        attributes=some_attributes(number + 5),
    )
    await registration.register(connection, [(crowd.workspace, person, told)])
    status, strikes = STATUSES[number % 4]
    reason = ("pro", "a", None)[number % 3]
    times = [TIMES[(number + n) % len(TIMES)] for n in (1, 2)]
    key = device_id(crowd.workspace, told.token)
    await connection.execute(
        "update devices set status = $2, strikes = $3, failure_reason = $4, created_at = $5, registered_at = $6 "
        "where device_id = $1",
        key,
        status,
        strikes,
        reason,
        *times,
    )
    fields: dict[str, str | int | datetime] = {
        "platform": told.platform.value,
        "last_status": status,
        "strikes": strikes,
        "app": told.app or "",
        "environment": "",
        "last_used": told.last_used,
        "created_at": times[0],
        "registered_at": times[1],
    }
    facts = DeviceFacts(fields | ({} if reason is None else {"failure_reason": reason}), told.attributes)
    crowd.devices[key] = person, facts
    return facts


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes)
async def test_sql_and_python_mean_the_same_people(database: Database, crowd: Crowd, node: Node) -> None:
    placed = crowd.placed(node)
    where = filter_sql.condition(placed, first=2, now=NOW)
    found = await database.rows(
        f"select p.person_id from people p where p.workspace_id = $1 and {where.sql}",
        crowd.workspace,
        *where.parameters,
    )
    wanted = {
        person for person, facts in crowd.facts.items() if matches(placed, EvaluationContext(facts, NOW))
    }
    assert {row["person_id"] for row in found} == wanted


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes)
async def test_sql_and_python_mean_the_same_devices(database: Database, crowd: Crowd, node: Node) -> None:
    placed = crowd.placed(node)
    where = filter_sql.condition(placed, first=2, now=NOW, unit=Unit.DEVICE)
    joined_people = "join people p using (person_id)" if where.of_people else ""
    found = await database.rows(
        f"select d.device_id from devices d {joined_people} where d.workspace_id = $1 and {where.sql}",
        crowd.workspace,
        *where.parameters,
    )
    wanted = {
        key
        for key, (person, device) in crowd.devices.items()
        if matches(placed, EvaluationContext(crowd.facts[person], NOW, device))
    }
    assert {bytes(row["device_id"]) for row in found} == wanted


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes, st.sampled_from(Unit))
async def test_a_condition_that_may_not_be_null_is_the_same_truth(
    database: Database, crowd: Crowd, node: Node, unit: Unit
) -> None:
    placed = crowd.placed(node)
    found = []
    for total in (False, True):
        where = filter_sql.condition(placed, first=2, now=NOW, unit=unit, total=total)
        rows = await database.rows(
            f"select d.device_id, {where.sql} as truth from devices d join people p using (person_id) "
            "where d.workspace_id = $1 order by 1",
            crowd.workspace,
            *where.parameters,
        )
        found.append([row["truth"] for row in rows])
    assert None not in found[1]
    assert [bool(truth) for truth in found[0]] == found[1]


values = st.one_of(
    st.from_regex(
        r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?)?(Z|[+-][01][0-9]:?[0-5][0-9])?",
        fullmatch=True,
    ),
    st.from_regex(r"v?[0-9]{1,10}(\.[0-9]{1,10}){0,7}[ .a-]?", fullmatch=True),
    st.from_regex(r"-?[0-9]{0,16}(\.[0-9]{0,16})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(1 << 53), 1 << 53),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.sampled_from(
        [
            True,
            False,
            None,
            [],
            {},
            [1],
            -0.0,
            "2024-02-29",
            "2026-02-29",
            "0000-01-01",
            "2026-07-01\n",
            "4.2\n",
            "1\n",
        ]
    ),
)


def without_zeros(parts: list[int]) -> tuple[int, ...]:
    """A version as it is compared: 4.2.0 is 4.2."""
    least = max((place for place, part in enumerate(parts) if part), default=0)
    return tuple(parts[: least + 1])


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
async def test_sql_and_python_take_a_value_for_the_same(database: Database, value: Any) -> None:
    row = await database.row(
        "select json_number($1::jsonb) as number, json_seconds($1::jsonb) as at, "
        "attribute_version(jsonb_build_object('x', $1::jsonb), 'x') as version",
        value,
    )
    assert row is not None
    version = filter_values.version(value)
    assert row["number"] == filter_values.number(value)
    assert version == (None if row["version"] is None else without_zeros(row["version"]))
    assert row["at"] == filter_values.seconds(value)


json_values = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 1.5, "", "id", "eq", "gt", "x", "2026-01-01", 1 << 70]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "and",
                    "or",
                    "not",
                    "segment",
                    "attribute",
                    "device",
                    "event",
                    "match",
                    "field",
                    "operator",
                    "value",
                    "name",
                    "count",
                    "since",
                    "within_last_s",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(300))
@given(json_values)
def test_whatever_json_says_is_read_or_refused(given_json: Any) -> None:
    try:
        found = from_json.read(given_json)
    except BadFilter as refused:
        place = refused.place
    else:
        place = "filter"
        written, parameters, *_ = filter_sql.condition(found, first=1, now=NOW)
        assert all(f"${n + 1}::" in written for n in range(len(parameters)))
    assert place.startswith("filter")


@pytest.mark.parametrize(
    ("one", "other"),
    [("4.2", "4.2.0"), ("v4.2", "4.2 (118)"), (4.2, "4.2"), ("4.10", "4.10-beta")],
)
def test_versions_are_the_same_whatever_is_around_them(one: object, other: object) -> None:
    assert filter_values.version(one) == filter_values.version(other) is not None
