"""Registration: devices are added, refreshed or moved, many at a time, each with its line of history."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.model import DeviceId, IdKind, PersonId, WorkspaceId, device_id
from pushkeeper.errors import BadRequest
from pushkeeper.store.db.database import GONE_CHANNEL, columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.devices.devices import Registration

SQL = load_queries(__name__)

MAX_ATTRIBUTES = 300
_ROUNDS = 5
_NO_IDENTIFIER = (None,) * 4


class ToRegister(NamedTuple):
    """A device to register, and its owner: a person, or the one with this identifier (kind, key, value, hash)."""

    workspace_id: WorkspaceId
    registration: Registration
    person_id: PersonId | None = None
    identifier: tuple[str, str, str, str] | None = None


async def register(
    connection: Connection, registrations: Sequence[tuple[WorkspaceId, PersonId, Registration]]
) -> set[DeviceId]:
    """Add devices, or refresh or move the ones that are there; no two may be the same device, and all keys are sealed.

    A person's device that is known by a registration token becomes that of the installation id that the token begins with.

    Returns those that were left as they were, because they would have more than 300 attributes.
    """
    fids = [
        (workspace, person, r.token.value, device_id(workspace, r.token))
        for workspace, person, r in registrations
        if r.id_kind is IdKind.FID
    ]
    if fids:
        await connection.execute(SQL["become_fid"], *columns(fids, 4))
    refused: set[DeviceId] = set()
    waiting = {
        device_id(workspace, r.token): ToRegister(workspace, r, person)
        for workspace, person, r in registrations
    }
    for _ in range(_ROUNDS):
        for row in await connection.fetch(SQL["register"], *arguments(waiting)):
            key = row["key"]
            del waiting[key]
            if row["refused"]:
                refused.add(key)
        if not waiting:
            return refused
    raise AssertionError(
        f"{len(waiting)} devices are being made and deleted faster than they can be registered"
    )


async def register_now(
    database: Database, registrations: Mapping[DeviceId, ToRegister]
) -> dict[DeviceId, tuple[PersonId, bool]]:
    """Commit registrations in one round trip: whose each device is, and whether it was refused for too many attributes.

    No two may name the same new person. Those that take more than one statement are missing: see the query.
    """
    rows = await database.change(SQL["register"], *arguments(registrations))
    return {row["key"]: (row["person_id"], row["refused"]) for row in rows}


def too_much() -> BadRequest:
    """The error for a registration that would give a device too many attributes."""
    return BadRequest("attributes", f"a device cannot have more than {MAX_ATTRIBUTES}")


def arguments(registrations: Mapping[DeviceId, ToRegister]) -> list[object]:
    """What the query `register` takes."""
    rows = [
        (
            key,
            to.workspace_id,
            to.person_id,
            *(to.identifier or _NO_IDENTIFIER),
            to.registration.token.value,
            to.registration.id_kind.value,
            to.registration.platform.value,
            to.registration.app,
            to.registration.environment,
            {name: value for name, value in to.registration.attributes.items() if value is not None},
            {name: None for name, value in to.registration.attributes.items() if value is None},
            to.registration.last_used,
            to.registration.request_id,
            to.registration.dropped_attributes,
            to.registration.browser_keys,
            to.registration.vapid_key,
        )
        for key, to in registrations.items()
    ]
    return [*columns(rows, 19), MAX_ATTRIBUTES, GONE_CHANNEL]
