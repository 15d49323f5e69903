"""Readers: what is known of those whom a message is rendered for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.identity import cio_id
from pushkeeper.core.wording import Reader
from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.store.database import Database

SQL = load_queries("readers")


@dataclass(frozen=True, slots=True)
class Readers:
    """People and devices by their keys; what the sender tells of a person, and what they did last, is by message too."""

    people: Mapping[PersonId, Mapping[str, Any]]
    devices: Mapping[DeviceId, Mapping[str, Any]]
    told: Mapping[tuple[UUID, PersonId], Mapping[str, Any]]
    did: Mapping[tuple[UUID, PersonId], Mapping[str, Any]]

    def of(self, message_id: UUID, person: PersonId, device: DeviceId) -> Reader:
        """Whoever reads this message on this device; nothing is known of one who is gone."""
        return Reader(
            person=self.people.get(person, {}),
            device=self.devices.get(device, {}),
            data=self.told.get((message_id, person), {}),
            event=self.did.get((message_id, person), {}),
        )


async def of(
    database: Database,
    wanted: Collection[tuple[WorkspaceId, UUID, PersonId]],
    devices: Collection[tuple[WorkspaceId, DeviceId]],
    events: Mapping[UUID, str],
) -> Readers:
    """What is known of people, for a message each, and of devices; `events` are what some messages speak of, by name."""
    persons = sorted({(workspace, person) for workspace, _, person in wanted})
    people = await database.rows(SQL["people"], *columns(persons, 2))
    told = await database.rows(SQL["told"], *columns(sorted(wanted), 3))
    found = await database.rows(SQL["devices"], *columns(sorted(devices), 2))
    asked = [(*one, events[one[1]]) for one in sorted(wanted) if one[1] in events]
    did = await database.rows(SQL["events"], *columns(asked, 4)) if asked else []
    return Readers(
        people={
            row["person_id"]: {
                **row["attributes"],
                **{name: row[name] for name in ("id", "email") if row[name] is not None},
                "cio_id": cio_id(row["person_id"]),
            }
            for row in people
        },
        devices={
            row["device_id"]: {**row["attributes"], "platform": row["platform"], "app": row["app"]}
            for row in found
        },
        told={(row["message_id"], row["person_id"]): row["data"] for row in told},
        did={
            (row["message_id"], row["person_id"]): {
                **row["data"],
                "name": row["name"],
                "happened_at": int(row["happened_at"].timestamp()),
            }
            for row in did
        },
    )
