"""Render contexts: the data of recipients for whom a message is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pushkeeper.core.identity import cio_id
from pushkeeper.core.messages.personalize import RenderContext
from pushkeeper.core.model import DeviceId, PersonId
from pushkeeper.observability.isolation import each
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

    K = TypeVar("K", bound=Hashable)

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True)
class RenderContexts:
    """People and devices by their keys; trigger data and last events of a person are by message too.

    `unreadable` are keys of any of these whose rows cannot be read.
    """

    people: Mapping[PersonId, Mapping[str, Any]]
    devices: Mapping[DeviceId, Mapping[str, Any]]
    told: Mapping[tuple[UUID, PersonId], Mapping[str, Any]]
    did: Mapping[tuple[UUID, PersonId], Mapping[str, Any]]
    unreadable: AbstractSet[object] = frozenset()

    def of(self, message_id: UUID, person: PersonId, device: DeviceId) -> RenderContext:
        """The context of a message on this device; empty for a deleted one."""
        return RenderContext(
            person=self.people.get(person, {}),
            device=self.devices.get(device, {}),
            data=self.told.get((message_id, person), {}),
            event=self.did.get((message_id, person), {}),
        )

    def can_read(self, message_id: UUID, person: PersonId, device: DeviceId) -> bool:
        """Whether the stored data of this message's person and device can be read."""
        return self.unreadable.isdisjoint((person, device, (message_id, person)))


async def of(
    database: Database,
    wanted: Collection[tuple[WorkspaceId, UUID, PersonId]],
    devices: Collection[tuple[WorkspaceId, DeviceId]],
    events: Mapping[UUID, str],
) -> RenderContexts:
    """The data of people, for a message each, and of devices; `events` are the event names that messages use."""
    persons = sorted({(workspace, person) for workspace, _, person in wanted})
    people = await database.rows(SQL["people"], *columns(persons, 2))
    told = await database.rows(SQL["told"], *columns(sorted(wanted), 3))
    found = await database.rows(SQL["devices"], *columns(sorted(devices), 2))
    asked = [(*one, events[one[1]]) for one in sorted(wanted) if one[1] in events]
    did = await database.rows(SQL["events"], *columns(asked, 4)) if asked else []
    reading = _Reading(database, {person: workspace for workspace, person in persons})
    whose_device = {device: workspace for workspace, device in devices}
    return RenderContexts(
        people=reading.each("people", people, _key_of_person, _person),
        devices=reading.each("devices", found, _key_of_device, _device, whose_device),
        told=reading.each("broadcast_people", told, _key_of_message, _told),
        did=reading.each("events", did, _key_of_message, _did),
        unreadable=reading.unreadable,
    )


async def identifiers(
    database: Database, workspace: WorkspaceId, people: Collection[PersonId]
) -> dict[PersonId, Mapping[str, Any]]:
    """What people are known by: `id`, `email` and `cio_id`."""
    rows = await database.rows(SQL["people"], *columns([(workspace, person) for person in sorted(people)], 2))
    return {
        PersonId(row["person_id"]): {
            "id": row["id"],
            "email": row["email"],
            "cio_id": cio_id(row["person_id"]),
        }
        for row in rows
    }


class _Reading:
    """Reads rows one by one; a row that cannot be read is recorded, and its key is kept."""

    def __init__(self, database: Database, whose: Mapping[PersonId, WorkspaceId]) -> None:
        self._database = database
        self._whose = whose
        self.unreadable: set[object] = set()

    def each(
        self,
        table: str,
        rows: Sequence[Row],
        key_of: Callable[[Row], K],
        read: Callable[[Row], Mapping[str, Any]],
        whose: Mapping[Any, WorkspaceId] | None = None,
    ) -> Mapping[K, Mapping[str, Any]]:
        def failed(row: Row, error: Exception) -> None:
            key = key_of(row)
            self.unreadable.add(key)
            workspace = self._whose[row["person_id"]] if whose is None else whose[key]
            self._database.unreadable.note(workspace, table, _text(key), error)

        found = zip(rows, each(rows, read, failed), strict=True)
        return {key_of(row): values for row, values in found if values is not None}


def _key_of_person(row: Row) -> PersonId:
    return PersonId(row["person_id"])


def _key_of_device(row: Row) -> DeviceId:
    return DeviceId(row["device_id"])


def _key_of_message(row: Row) -> tuple[UUID, PersonId]:
    return row["message_id"], PersonId(row["person_id"])


def _person(row: Row) -> Mapping[str, Any]:
    return {
        **row["attributes"],
        **{name: row[name] for name in ("id", "email") if row[name] is not None},
        "cio_id": cio_id(row["person_id"]),
    }


def _device(row: Row) -> Mapping[str, Any]:
    return {**row["attributes"], "platform": row["platform"], "app": row["app"]}


def _told(row: Row) -> Mapping[str, Any]:
    return {**row["data"]}


def _did(row: Row) -> Mapping[str, Any]:
    return {**row["data"], "name": row["name"], "happened_at": int(row["happened_at"].timestamp())}


def _text(key: object) -> str:
    """A key in readable form: hexadecimal for a device, a number for a person."""
    match key:
        case bytes():
            return key.hex()
        case tuple():
            return " ".join(map(str, key))
        case _:
            return str(key)
