"""Bulk actions: one change of many devices or people that somebody selected, in one line of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.errors import BadRequest
from pushkeeper.services.audit import audited
from pushkeeper.store.devices import pages as device_pages
from pushkeeper.store.people.erasures import RequestedBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database

MOST = 200  # rows of a page


class BulkActions:
    """Changes what was selected in a list."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    @audited("devices.delete")
    async def delete_devices(
        self, entry: AuditEntry, workspace: WorkspaceId, devices: Sequence[DeviceId]
    ) -> int:
        """Delete devices by their keys, as a logout does, and return how many there were.

        Raises:
            BadRequest: none or too many are selected.
        """
        _require_some(devices, "device")
        calls = []
        for key in dict.fromkeys(devices):
            found = await device_pages.read(self._database, workspace, key)
            if found is not None:
                who = Identifier(IdentifierKind.CIO_ID, cio_id(found.device.person_id))
                calls.append(self._people.forgetting_device(workspace, who, found.device.token))
        deleted = sum(bool(answer) for answer in await self._people.do_all(calls))
        entry.detail = f"{deleted:,} of {len(devices):,} selected devices"
        return deleted

    @audited("people.suppress")
    async def suppress_people(
        self, entry: AuditEntry, workspace: WorkspaceId, people: Sequence[PersonId]
    ) -> int:
        """Delete people and keep their identifiers from being used again; returns how many were asked for.

        Raises:
            BadRequest: none or too many are selected.
        """
        _require_some(people, "person")
        calls = [
            self._people.suppressing(
                workspace, Identifier(IdentifierKind.CIO_ID, cio_id(person)), by=RequestedBy.DASHBOARD
            )
            for person in dict.fromkeys(people)
        ]
        for answer in await self._people.do_all(calls):
            if isinstance(answer, Exception):
                raise answer
        entry.detail = f"{len(calls):,} people"
        return len(calls)


def _require_some(selected: Sequence[object], field: str) -> None:
    if not selected:
        raise BadRequest(field, "at least one must be selected")
    if len(selected) > MOST:
        raise BadRequest(field, f"at most {MOST} can be selected", "out_of_range")
