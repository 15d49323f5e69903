"""Recipients: the people and devices that a broadcast names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.model import device_id
from pushkeeper.errors import BadRequest
from pushkeeper.store.broadcasts import recipients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import DeviceId, PersonId, Token, WorkspaceId
    from pushkeeper.store.db.driver import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A listed person, their position in the list, and their own data."""

    who: Identifier
    place: str
    data: dict[str, Any] | None = None


async def resolve(
    connection: Connection, workspace: WorkspaceId, named: Sequence[Recipient], *, ignore_missing: bool
) -> list[tuple[PersonId, dict[str, Any] | None]]:
    """The listed people, each with their data.

    Raises:
        BadRequest: one does not exist, and missing ones are not to be ignored.
    """
    known = await recipients.known(connection, workspace, [one.who for one in named])
    found = []
    for one in named:
        person = known.get(one.who.key)
        if person is not None:
            found.append((person, one.data))
        elif not ignore_missing:
            raise BadRequest(one.place, f"no person found with this {one.who.kind}")
    return found


async def resolve_devices(
    connection: Connection,
    workspace: WorkspaceId,
    named: Sequence[tuple[Token, str]],
    *,
    ignore_missing: bool,
) -> list[DeviceId]:
    """The devices of these tokens, each with its position in the list; every device of a shared token.

    Raises:
        BadRequest: one does not exist, and missing ones are not to be ignored.
    """
    keys = [device_id(workspace, token) for token, _ in named]
    known = await recipients.known_devices(connection, workspace, keys)
    found: list[DeviceId] = []
    for key, (_, place) in zip(keys, named, strict=True):
        if key in known:
            found += known[key]
        elif not ignore_missing:
            raise BadRequest(place, "no device found")
    return found
