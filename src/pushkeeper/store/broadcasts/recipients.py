"""Recipients: the people and devices that are named for a broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


async def list_people(
    connection: Connection,
    workspace: WorkspaceId,
    broadcast_id: int,
    named: Sequence[tuple[PersonId, dict[str, Any] | None]],
) -> None:
    """Name people for a broadcast, each with their own data."""
    await connection.execute(SQL["list_people"], workspace, broadcast_id, *columns(named, 2))


async def unlist(connection: Connection, workspace: WorkspaceId, broadcast_id: int) -> None:
    """Remove all people named for a broadcast."""
    await connection.execute(SQL["unlist"], workspace, broadcast_id)


async def known(
    connection: Connection, workspace: WorkspaceId, who: Sequence[Identifier]
) -> dict[tuple[str, str], PersonId]:
    """The people of these identifiers, by kind and key; one that nobody has is missing."""
    kept = [one.key for one in who if one.kind is not IdentifierKind.CIO_ID]
    by_cio_id = [one.person_id for one in who if one.person_id is not None]
    rows = await connection.fetch(SQL["known"], workspace, *columns(kept, 2), by_cio_id)
    return {(row["kind"], row["key"] or cio_id(row["person_id"])): row["person_id"] for row in rows}


async def known_devices(
    connection: Connection, workspace: WorkspaceId, keys: Sequence[DeviceId]
) -> dict[DeviceId, list[DeviceId]]:
    """The devices by the keys of their tokens, several where a token is shared; one that is nobody's is missing."""
    found: dict[DeviceId, list[DeviceId]] = {}
    for row in await connection.fetch(SQL["known_devices"], workspace, list(keys)):
        found.setdefault(row["key"], []).append(row["device_id"])
    return found
