"""The filter language in SQL says of everybody what it says in Python."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core import filter  # noqa: A004 - the language's word
from pushkeeper.core.filter import And, Attribute, Facts, InSegment, Node, Not, Or
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.store import people, segments, workspaces
from pushkeeper.store.people import AttributeChange, Naming

if TYPE_CHECKING:
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.database import Connection, Database

FIELDS = ["plan", "visits", "a.b", 'quo"te', "id", "email", "cio_id", "nobody has it"]
VALUES: list[Any] = [
    "pro",
    "3",
    3,
    3.0,
    3.5,
    True,
    "true",
    False,
    0,
    "0",
    "",
    None,
    ["a"],
    {"a": 1},
    "Ünicode '\"",
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
    "p1",
    "P1@EXAMPLE.com",
    "Ünicode '\"",
    "1e0",
]
CROWD = 24

leaves = st.one_of(
    st.builds(Attribute, st.sampled_from(FIELDS), st.none() | st.sampled_from(TEXTS)),
    st.builds(InSegment, st.integers(0, 2)),
)
nodes: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


class Crowd:
    """People with all sorts of attributes, and three segments of which the first is nobody's."""

    def __init__(self, workspace: WorkspaceId, facts: dict[PersonId, Facts], known: list[int]) -> None:
        self.workspace = workspace
        self.facts = facts
        self.segments = known

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
        return node


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(database: Database) -> Crowd:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    workspace = made.workspace_id
    known = [(await segments.insert(database, workspace, name, "")).segment_id for name in ("a", "b", "c")]
    facts: dict[PersonId, Facts] = {}
    attributes: list[dict[str, Any]] = []
    for number in range(CROWD):
        pairs = [(FIELDS[n], VALUES[(number * (n + 3)) % len(VALUES)]) for n in range(4)]
        attributes.append({field: value for field, value in pairs if value is not None})

    async def work(connection: Connection) -> None:
        namings = [
            Naming(
                workspace_id=workspace,
                path=Identifier(IdentifierKind.ID, f"p{number}"),
                others=(Identifier(IdentifierKind.EMAIL, f"p{number}@example.com"),) if number % 3 else (),
            )
            for number in range(CROWD)
        ]
        found = [person for person in await people.resolve(connection, namings) if person is not None]
        changes = [
            (person, AttributeChange(attributes=given, changed_at=0))
            for person, given in zip(found, attributes, strict=True)
        ]
        await people.update(connection, changes)
        for number, person in enumerate(found):
            member_of = known[1 : 1 + number % 3]
            for segment in member_of:
                await segments.add(connection, segment, [person])
            known_by = {"id": f"p{number}", "cio_id": cio_id(person)}
            if number % 3:
                known_by["email"] = f"p{number}@example.com"
            facts[person] = Facts(known_by, attributes[number], set(member_of))

    await database.in_transaction(work)
    return Crowd(workspace, facts, known)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes)
async def test_sql_and_python_mean_the_same_people(database: Database, crowd: Crowd, node: Node) -> None:
    placed = crowd.placed(node)
    found = await people.search(database, crowd.workspace, placed, after=0, limit=1000)
    wanted = {person for person, facts in crowd.facts.items() if filter.matches(placed, facts)}
    assert {member.person_id for member in found} == wanted


@given(nodes)
def test_what_is_written_as_json_is_read_as_it_was(node: Node) -> None:
    assert filter.read(json.loads(json.dumps(as_json(node)))) == node


def as_json(node: Node) -> dict[str, Any]:
    match node:
        case And(inner):
            return {"and": [as_json(one) for one in inner]}
        case Or(inner):
            return {"or": [as_json(one) for one in inner]}
        case Not(inner):
            return {"not": as_json(inner)}
        case InSegment(number):
            return {"segment": {"id": number}}
        case Attribute(field, None):
            return {"attribute": {"field": field, "operator": "exists"}}
        case Attribute(field, value):
            return {"attribute": {"field": field, "operator": "eq", "value": value}}
