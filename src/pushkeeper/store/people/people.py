"""People and their identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pushkeeper.core import identity
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import PersonId, WorkspaceId
from pushkeeper.errors import BadRequest
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import LostRace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

Ask: TypeAlias = "Callable[..., Awaitable[Any]]"

MAX_ATTRIBUTES = 300
MAX_PREFERENCES_BYTES = 2000
MAX_TIMES = 1_000  # of existing attributes, of preferences, and of the last removals


class PersonReference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The person a call refers to: the identifier it uses, others it would set, and whether it may create the person.

    Attributes:
        field: the field of the identifier that the call uses; the others are at `within` followed by their kind.
    """

    workspace_id: WorkspaceId
    path: Identifier
    others: tuple[Identifier, ...] = ()
    create: bool = True
    field: str = "identifier"
    within: str = ""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        return (self.path, *self.others)

    @property
    def fields(self) -> tuple[str, ...]:
        """The field of each identifier."""
        return (self.field, *(f"{self.within}{one.kind}" for one in self.others))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChange:
    """Attributes to merge into a person, except those that were set or removed later.

    Attributes:
        preferences: entries of `cio_subscription_preferences` by their dotted names
            (`cio_subscription_preferences.topics.topic_1`); None removes one.
        removed: names of attributes.
        unsubscribed: None leaves it as it is.
        changed_at: unix seconds; without a fraction if only the second is known.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    unsubscribed: bool | None = None
    changed_at: float

    @property
    def times(self) -> dict[str, float]:
        """When each of them is changed."""
        names = (*self.attributes, *self.removed, *self.preferences)
        of_all = dict.fromkeys(names, self.changed_at)
        return of_all if self.unsubscribed is None else {**of_all, "unsubscribed": self.changed_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as stored.

    Attributes:
        changed_at: the unix seconds at which an attribute, or a preference by its dotted name, was last set or removed.
    """

    person_id: PersonId
    id: str | None
    email: str | None
    attributes: dict[str, Any]
    changed_at: dict[str, float]
    unsubscribed: bool
    created_at: datetime

    @property
    def cio_id(self) -> str:
        return identity.cio_id(self.person_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person by what they are known by."""

    person_id: PersonId
    id: str | None
    email: str | None

    @property
    def cio_id(self) -> str:
        return identity.cio_id(self.person_id)


async def update(
    connection: Connection, changes: Sequence[tuple[WorkspaceId, PersonId, AttributeChange]]
) -> set[int]:
    """Merge attributes into people, in the order given.

    Returns the places of the changes that were left out, because that person would have more than 300 attributes, or too
    long preferences.

    Raises:
        BadRequest: such a person was made by this transaction, which is not to leave them behind.
    """
    refused: set[int] = set()
    waiting = [
        (place, (workspace, person), change)
        for place, (workspace, person, change) in enumerate(changes)
        if change.times
    ]
    while waiting:
        # Two changes of one person (called by ID and by email) cannot be in one statement.
        now = {person: (place, change) for place, person, change in reversed(waiting)}
        waiting = [one for one in waiting if now[one[1]][0] != one[0]]
        rows = [
            # A list would be taken for a dimension of the array that the column is sent as.
            (
                *person,
                change.attributes,
                dict.fromkeys(change.removed),
                change.unsubscribed,
                change.times,
                change.preferences,
            )
            for person, (_, change) in now.items()
        ]
        limits = (MAX_ATTRIBUTES, MAX_PREFERENCES_BYTES, MAX_TIMES)
        updated = await connection.fetch(SQL["update"], *columns(rows, 7), *limits)
        if len(updated) < len(now):
            known = {row["person_id"] for row in updated}
            missed = [person for person in now if person[1] not in known]
            there = await connection.fetch(SQL["present"], *columns(missed, 2))
            if len(there) < len(missed):
                raise LostRace
            if any(row["is_new"] for row in there):
                raise too_much()
            refused |= {now[person][0] for person in missed}
    return refused


def too_much() -> BadRequest:
    """The error of a change that would exceed a person's attribute limit."""
    return BadRequest(
        "attributes",
        f"a person cannot have more than {MAX_ATTRIBUTES}, "
        f"nor cio_subscription_preferences of more than {MAX_PREFERENCES_BYTES} bytes",
    )


async def find(ask: Ask, workspace: WorkspaceId, identifier: Identifier) -> PersonId | None:
    """The person with this identifier; `ask` is a database's `value`, or a connection's `fetchval`."""
    if identifier.kind is not IdentifierKind.CIO_ID:
        person = await ask(SQL["find"], workspace, *identifier.key)
    elif identifier.person_id is not None:
        person = await ask(SQL["exists"], workspace, identifier.person_id)
    else:
        return None
    return None if person is None else PersonId(person)


async def read_named(
    database: Database, workspace: WorkspaceId, identifiers: Sequence[Identifier]
) -> list[Person]:
    """Those who have any of these identifiers, each once, by their keys."""
    keys = [one.key for one in identifiers if one.kind is not IdentifierKind.CIO_ID]
    rows = await database.of(workspace).rows(
        SQL["find_all"], workspace, [kind for kind, _ in keys], [key for _, key in keys]
    )
    named = [one.person_id for one in identifiers if one.person_id is not None]
    return await read_all(database, workspace, [*(row["person_id"] for row in rows), *named])


async def read(database: Database, workspace: WorkspaceId, person_id: PersonId) -> Person | None:
    """A person with their identifiers and attributes."""
    row = await database.of(workspace).row(SQL["read"], workspace, person_id)
    return None if row is None else Person(**row)


async def read_all(
    database: Database, workspace: WorkspaceId, person_ids: Sequence[PersonId]
) -> list[Person]:
    """People with their identifiers and attributes, by their keys; deleted ones are missing."""
    return [
        Person(**row)
        for row in await database.of(workspace).rows(SQL["read_all"], workspace, list(person_ids))
    ]


async def lock(connection: Connection, workspace: WorkspaceId, person_id: PersonId) -> bool:
    """Keep the person from getting devices until this transaction ends, and say whether they are there."""
    return await connection.fetchval(SQL["lock"], workspace, person_id) is not None


async def keys_of(
    connection: Connection, workspace: WorkspaceId, person_id: PersonId
) -> list[tuple[str, str]]:
    """The keys of a person's identifiers."""
    rows = await connection.fetch(SQL["identifiers"], workspace, person_id)
    return [(row["kind"], row["key"]) for row in rows]


async def gain(connection: Connection, workspace: WorkspaceId, person: PersonId, other: PersonId) -> None:
    """Give a person what another has and they lack, before the other is deleted; devices are moved by their own room."""
    await connection.execute(SQL["gain"], workspace, person, other)


async def delete(connection: Connection, workspace: WorkspaceId, person_id: PersonId) -> None:
    """Delete the person; their devices must be gone."""
    await connection.execute(SQL["delete"], workspace, person_id)
