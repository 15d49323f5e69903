"""Ids that are placeholders for a missing value create no person, unless their workspace allows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.identity import IdentifierKind
from pushkeeper.core.placeholders import meaning, placeholder
from pushkeeper.errors import BadRequest
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.people.people import PersonReference

SQL = load_queries(__name__)


async def refused(connection: Connection, namings: Mapping[int, PersonReference]) -> dict[int, BadRequest]:
    """The errors, by position, of namings that could create a person from a placeholder in a workspace that does not allow it.

    A person who already has such an id can be read, merged and deleted, as those calls create nobody.
    """
    found = {place: error for place, naming in namings.items() if (error := refusal_of(naming))}
    if not found:
        return {}
    asked = {namings[place].workspace_id for place in found}
    rows = await connection.fetch(SQL["allowing"], sorted(asked))
    allowing = {row["workspace_id"] for row in rows}
    return {place: error for place, error in found.items() if namings[place].workspace_id not in allowing}


def refusal_of(naming: PersonReference) -> BadRequest | None:
    """The error for a naming that could create a person from a placeholder, where its workspace does not allow it."""
    if not naming.create:
        return None
    for identifier, field in zip(naming.identifiers, naming.fields, strict=True):
        if identifier.kind is IdentifierKind.CIO_ID:
            continue
        if word := placeholder(identifier.value):
            return refusal(field, word)
    return None


def refusal(field: str, word: str) -> BadRequest:
    """The error for an identifier that is this placeholder."""
    return BadRequest(
        field,
        f"{word} is a placeholder ({meaning(word)}), which everybody without an id would share; "
        "the workspace's option allow_placeholder_ids allows it",
    )
