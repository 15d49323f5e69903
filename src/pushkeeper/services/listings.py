"""Listings: devices, people, messages and their pushes, a page at a time, as pages of the dashboard and our API show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.store.audiences import suggestions
from pushkeeper.store.audiences.suggestions import Known
from pushkeeper.store.devices import pages as devices
from pushkeeper.store.devices.pages import FIRST as FIRST_DEVICE
from pushkeeper.store.devices.pages import HistoryRow, LineKey, ShownDevice
from pushkeeper.store.devices.pages import Key as DeviceKey
from pushkeeper.store.messages import pages as messages
from pushkeeper.store.messages.pages import FIRST as FIRST_MESSAGE
from pushkeeper.store.messages.pages import MessagesFilter, OwnDelivery, ShownDelivery, ShownMessage
from pushkeeper.store.people import pages as people
from pushkeeper.store.people.pages import FIRST as FIRST_PERSON
from pushkeeper.store.people.pages import ShownPerson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.core.delivery.delivery_id import DeliveryIds
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.core.pagination import Page
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.devices.devices import Device, PushLine

__all__ = [
    "FIRST_DEVICE",
    "FIRST_MESSAGE",
    "FIRST_PERSON",
    "DeviceKey",
    "HistoryRow",
    "Known",
    "LineKey",
    "Listings",
    "MessagesFilter",
    "OwnDelivery",
    "ShownDelivery",
    "ShownDevice",
    "ShownMessage",
    "ShownPerson",
]


class Listings:
    """Lists of what a workspace has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def delivery_ids(self) -> DeliveryIds:
        """The public ids of deliveries."""
        return self._database.delivery_ids

    async def devices(
        self,
        workspace: WorkspaceId,
        node: Node | None,
        *,
        after: devices.Key,
        limit: int,
        unit: Unit = Unit.DEVICE,
    ) -> Page[ShownDevice, DeviceKey]:
        """Devices of which, or of whose people, a filter is true, after one of them."""
        return await devices.page(self._database, workspace, node, after=after, limit=limit, unit=unit)

    async def device(self, workspace: WorkspaceId, device: DeviceId) -> ShownDevice | None:
        """The device of this key."""
        return await devices.read(self._database, workspace, device)

    async def device_history(
        self, workspace: WorkspaceId, device: DeviceId, *, before: LineKey | None, limit: int
    ) -> list[HistoryRow]:
        """What happened to a device before something that did, the newest first; it outlives the device."""
        return await devices.history(self._database, workspace, device, before=before, limit=limit)

    async def device_pushes(self, device: Device, *, before: UUID | None, limit: int) -> list[PushLine]:
        """The pushes to a device before a message, since its person has it, the newest message first."""
        return await devices.pushes(self._database, device, before=before, limit=limit)

    async def some_devices(
        self, workspace: WorkspaceId, statuses: Sequence[str], *, after: bytes, limit: int
    ) -> list[ShownDevice]:
        """Devices with one of these last statuses, from a key on and around."""
        return await devices.some(self._database, workspace, statuses, after=after, limit=limit)

    async def share_of_devices(self, workspace: WorkspaceId, node: Node) -> tuple[int, int]:
        """Of how many devices of a sample a filter is true, and how many were looked at."""
        return await devices.share(self._database, workspace, node)

    async def people(
        self, workspace: WorkspaceId, node: Node | None, *, after: int, limit: int
    ) -> Page[ShownPerson, int]:
        """People who match a filter, after one of them."""
        return await people.page(self._database, workspace, node, after=after, limit=limit)

    async def deliveries_of(
        self, workspace: WorkspaceId, person: PersonId, *, before: UUID, limit: int
    ) -> list[OwnDelivery]:
        """The deliveries of a person, and of those who were merged into them, before a message, the newest first."""
        return await messages.of_person(self._database, workspace, person, before=before, limit=limit)

    async def messages(
        self, workspace: WorkspaceId, wanted: MessagesFilter, *, after: UUID, limit: int
    ) -> Page[ShownMessage, UUID]:
        """Messages after one of them."""
        return await messages.page(self._database, workspace, wanted, after=after, limit=limit)

    async def message(self, workspace: WorkspaceId, message_id: UUID) -> ShownMessage | None:
        """One message."""
        return await messages.message(self._database, workspace, message_id)

    async def pushes(
        self, workspace: WorkspaceId, message_id: UUID, ending: str | None, *, after: bytes, limit: int
    ) -> Page[ShownDelivery, bytes]:
        """The pushes of a message that ended so, by their devices' keys."""
        return await messages.of_message(
            self._database, workspace, message_id, ending, after=after, limit=limit
        )

    async def known(self, workspace: WorkspaceId) -> Known:
        """The fields, values and events that filters may name."""
        return await suggestions.of_workspace(self._database, workspace)
