"""People and their identifiers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pushkeeper.core import identity
from pushkeeper.core.identity import Create, Identifier, IdentifierKind, Known, Update
from pushkeeper.core.model import PersonId
from pushkeeper.errors import BadRequest
from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Connection, Database

SQL = load_queries("people")

MAX_ATTRIBUTES = 300
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Whom a call means: the identifier it goes by, others it would set, and whether it may create the person."""

    workspace_id: WorkspaceId
    path: Identifier
    others: tuple[Identifier, ...] = ()
    create: bool = True

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        return (self.path, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChange:
    """Attributes to merge into a person; `changed_at` is when, in unix seconds."""

    attributes: dict[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    unsubscribed: bool | None = None
    changed_at: int

    @property
    def is_empty(self) -> bool:
        return not self.attributes and not self.removed and self.unsubscribed is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as stored; `changed_at` maps an attribute to the unix seconds of its last change."""

    person_id: PersonId
    id: str | None
    email: str | None
    attributes: dict[str, Any]
    changed_at: dict[str, int]
    unsubscribed: bool
    created_at: datetime

    @property
    def cio_id(self) -> str:
        return identity.cio_id(self.person_id)


async def resolve(connection: Connection, namings: Sequence[Naming]) -> list[PersonId | None]:
    """Find or create the person of each naming; None where nobody is meant and nobody may be created.

    No two namings may share an identifier. A race with another process for an identifier is lost by taking the winner.
    """
    found: list[PersonId | None] = [None] * len(namings)
    open_namings = list(range(len(namings)))
    for _ in range(_ROUNDS):
        known = await _known(connection, [namings[i] for i in open_namings])
        plans = {
            i: identity.plan(
                namings[i].path, namings[i].others, known[namings[i].workspace_id], create=namings[i].create
            )
            for i in open_namings
        }
        created = await _create(
            connection, {i: plan for i, plan in plans.items() if isinstance(plan, Create)}, namings
        )
        await _replace(
            connection, {i: plan for i, plan in plans.items() if isinstance(plan, Update)}, namings
        )
        for i, plan in plans.items():
            found[i] = plan.person_id if isinstance(plan, Update) else created.get(i)
        open_namings = [i for i, plan in plans.items() if isinstance(plan, Create) and i not in created]
        if not open_namings:
            return found
    raise BadRequest("identifier", "identifier: it is being created and deleted by others at the same time")


async def _known(connection: Connection, namings: Sequence[Naming]) -> dict[WorkspaceId, Known]:
    asked = [(n.workspace_id, *identifier.key) for n in namings for identifier in n.identifiers]
    cio_ids = [(n.workspace_id, n.path.person_id) for n in namings if n.path.person_id is not None]
    rows = await connection.fetch(SQL["owners"], *columns(asked, 3), *columns(cio_ids, 2))
    owners: dict[WorkspaceId, dict[tuple[str, str], PersonId]] = defaultdict(dict)
    kinds: dict[WorkspaceId, dict[PersonId, set[IdentifierKind]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        workspace, person = row["workspace_id"], row["person_id"]
        owners[workspace][IdentifierKind.CIO_ID.value, identity.cio_id(person)] = person
        if row["kind"] is not None:
            owners[workspace][row["kind"], row["key"]] = person
            kinds[workspace][person].add(IdentifierKind(row["kind"]))
    return {
        n.workspace_id: Known(
            owners[n.workspace_id],
            {person: frozenset(has) for person, has in kinds[n.workspace_id].items()},
        )
        for n in namings
    }


async def _create(
    connection: Connection, plans: dict[int, Create], namings: Sequence[Naming]
) -> dict[int, PersonId]:
    """Create the people planned; one whose path identifier was taken meanwhile is missing from the answer."""
    if not plans:
        return {}
    reserved = await connection.fetch(SQL["reserve"], len(plans))
    people = {i: row["person_id"] for i, row in zip(plans, reserved, strict=True)}
    await connection.execute(
        SQL["create"], *columns([(p, namings[i].workspace_id) for i, p in people.items()], 2)
    )
    wanted = [(namings[i].workspace_id, identifier, people[i]) for i in plans for identifier in plans[i].adds]
    given = await _claim(connection, wanted)
    made = {i: person for i, person in people.items() if (person, namings[i].path.key) in given}
    lost = [person for i, person in people.items() if i not in made]
    for person in lost:
        await connection.execute(SQL["delete"], person)
    return made


async def _replace(connection: Connection, plans: dict[int, Update], namings: Sequence[Naming]) -> None:
    replaced = [(plan.person_id, new.kind.value) for plan in plans.values() for new in plan.replaces]
    if replaced:
        await connection.execute(SQL["drop_identifiers"], *columns(replaced, 2))
    wanted = [
        (namings[i].workspace_id, new, plan.person_id)
        for i, plan in plans.items()
        for new in plan.adds + plan.replaces
    ]
    await _claim(connection, wanted)


async def _claim(
    connection: Connection, wanted: Sequence[tuple[WorkspaceId, Identifier, PersonId]]
) -> set[tuple[PersonId, tuple[str, str]]]:
    if not wanted:
        return set()
    rows = sorted((workspace, *new.key, new.value, person) for workspace, new, person in wanted)
    given = await connection.fetch(SQL["claim_identifiers"], *columns(rows, 5))
    return {(row["person_id"], (row["kind"], row["key"])) for row in given}


async def update(connection: Connection, changes: Sequence[tuple[PersonId, AttributeChange]]) -> None:
    """Merge attributes into people, in the order given.

    Raises:
        BadRequest: somebody would have more than 300 attributes.
    """
    waiting = [(person, change) for person, change in changes if not change.is_empty]
    while waiting:
        # Two changes of one person (called by id and by email) cannot stand in one statement.
        now = dict(reversed(waiting))
        waiting = [(person, change) for person, change in waiting if now[person] is not change]
        rows = [
            (person, change.attributes, list(change.removed), change.unsubscribed, change.changed_at)
            for person, change in now.items()
        ]
        updated = await connection.fetch(SQL["update"], *columns(rows, 5), MAX_ATTRIBUTES)
        if len(updated) < len(now):
            raise BadRequest("attributes", f"attributes: a person cannot have more than {MAX_ATTRIBUTES}")


async def find(database: Database, workspace: WorkspaceId, identifier: Identifier) -> PersonId | None:
    """Who has this identifier."""
    if identifier.kind is IdentifierKind.CIO_ID:
        if identifier.person_id is None:
            return None
        person = await database.value(SQL["exists"], workspace, identifier.person_id)
        return None if person is None else PersonId(person)
    person = await database.value(SQL["find"], workspace, *identifier.key)
    return None if person is None else PersonId(person)


async def read(database: Database, workspace: WorkspaceId, person_id: PersonId) -> Person | None:
    """A person with their identifiers and attributes."""
    row = await database.row(SQL["read"], workspace, person_id)
    return None if row is None else Person(**row)


async def lock(connection: Connection, workspace: WorkspaceId, person_id: PersonId) -> bool:
    """Keep the person from getting devices until this transaction ends, and say whether they are there."""
    return await connection.fetchval(SQL["lock"], workspace, person_id) is not None


async def delete(connection: Connection, person_id: PersonId) -> None:
    """Delete the person; their devices must be gone."""
    await connection.execute(SQL["delete"], person_id)
