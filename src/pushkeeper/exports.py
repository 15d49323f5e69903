"""Exports: people or deliveries as CSV, written by a worker, and downloaded by a link that ends."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pushkeeper.core import filter_read, spreadsheet
from pushkeeper.core.filter import BadFilter
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import PersonId, Secret, WorkspaceId
from pushkeeper.errors import BadRequest, Misconfigured, NotFound
from pushkeeper.store import exports, messages, segments
from pushkeeper.store.database import PLAN_CHANNEL
from pushkeeper.store.messages import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from pushkeeper.store.database import Connection, Database, Row
    from pushkeeper.store.exports import Export
    from pushkeeper.store.vault import Vault

LINK_S = 900
_PAGE = 2_000
_LABEL = "the link to an export"
_NOT_FOUND = "export: there is none of this number"
_LAST_ID = UUID(int=(1 << 128) - 1)
METRICS = (
    *("sent", "delivered", "opened", "clicked", "converted"),
    *("bounced", "dropped", "failed", "undeliverable"),
)
_PEOPLE = ("id", "email", "cio_id", "created_at", "unsubscribed", "attributes")
_DELIVERIES = ("delivery_id", "id", "email", "cio_id", "kind", "template_id", "created", *METRICS)


class Exports:
    """The exports of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def of_people(self, workspace: WorkspaceId, given: object) -> Export:
        """Ask for the people of whom a filter is true.

        Raises:
            BadRequest: it is no filter.
        """
        try:
            filter_read.read(given)
        except BadFilter as error:
            place = error.place.replace("filter", "filters", 1)
            raise BadRequest(place, f"{place}: {error.message}") from None
        return await self._ask(workspace, "customers", given)

    async def of_deliveries(self, workspace: WorkspaceId, wanted: dict[str, Any]) -> Export:
        """Ask for deliveries: of `template_id`, with `metric`, made between `since` and `until` (unix s), or `drafts`."""
        return await self._ask(workspace, "deliveries", wanted)

    async def all(self, workspace: WorkspaceId) -> list[Export]:
        """The last hundred exports of a workspace, the newest first."""
        return await exports.of_workspace(self._database, workspace)

    async def one(self, workspace: WorkspaceId, export_id: int) -> Export:
        """One export.

        Raises:
            NotFound: there is none of this number.
        """
        found = await exports.of_workspace(self._database, workspace, export_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    async def link(self, workspace: WorkspaceId, export_id: int) -> str:
        """What opens an export to whoever has it, for a quarter of an hour.

        Raises:
            NotFound: there is none of this number, or it is not done.
        """
        found = await self.one(workspace, export_id)
        if found.state != "done":
            raise NotFound(f"export: it is {found.state}")
        said = f"{workspace} {export_id} {int(time.time()) + LINK_S}"
        return _link_of(self._vault.seal(Secret(said.encode()), _LABEL))

    def opened_by(self, link: str) -> tuple[WorkspaceId, int]:
        """The export that a link opens, and whose it is.

        Raises:
            NotFound: it is none of ours, or has ended.
        """
        try:
            sealed = urlsafe_b64decode(link + "=" * (-len(link) % 4))
            workspace, number, ends_at = self._vault.open(sealed, _LABEL).value.split()
        except (ValueError, Misconfigured):
            raise NotFound("export: this link opens none") from None
        if _link_of(sealed) != link:  # base64 is read with characters and bits in it that mean nothing
            raise NotFound("export: this link opens none")
        if int(ends_at) < time.time():
            raise NotFound("export: this link has ended")
        return WorkspaceId(int(workspace)), int(number)

    async def text(self, workspace: WorkspaceId, export_id: int) -> AsyncIterator[str]:
        """The text of an export, part by part."""
        number = 0
        while (part := await exports.part(self._database, workspace, export_id, number)) is not None:
            yield part
            number += 1

    async def write_next(self) -> bool:
        """Write an export that nobody else writes, and say whether there was one."""

        async def work(connection: Connection) -> bool:
            export = await exports.next_to_write(connection)
            if export is None:
                return False
            write = self._people if export.kind == "customers" else self._deliveries
            lines = await write(connection, export)
            await exports.done(connection, export.workspace_id, export.export_id, lines)
            return True

        return await self._database.in_transaction(work)

    async def _ask(self, workspace: WorkspaceId, kind: exports.Kind, asked: object) -> Export:
        made = await exports.insert(self._database, workspace, kind, asked)
        await self._database.of(workspace).rows(f"notify {PLAN_CHANNEL}")
        return await self.one(workspace, made)

    async def _people(self, connection: Connection, export: Export) -> int:
        node = await segments.expanded(connection.fetch, export.workspace_id, filter_read.read(export.asked))
        pages = _Pages(connection, export, _PEOPLE)
        after = 0
        while True:
            found = await exports.people(connection, export.workspace_id, node, after=after, limit=_PAGE)
            await pages.add(map(_person, found))
            if len(found) < _PAGE:
                return pages.lines
            after = found[-1]["person_id"]

    async def _deliveries(self, connection: Connection, export: Export) -> int:
        asked = export.asked
        wanted = Wanted(
            after_message=_LAST_ID,
            after_device=b"",
            since=datetime.fromtimestamp(asked["since"], tz=UTC),
            until=datetime.fromtimestamp(asked["until"], tz=UTC),
            metric=asked["metric"],
            template_id=asked["template_id"],
            drafts=asked["drafts"],
            limit=_PAGE,
        )
        pages = _Pages(connection, export, _DELIVERIES)
        while True:
            found = await messages.of_workspace(self._database, export.workspace_id, wanted)
            rows = await exports.happened(connection, export.workspace_id, [one.delivery_id for one in found])
            await pages.add([self._delivery(export.workspace_id, row) for row in rows])
            if len(found) < _PAGE:
                return pages.lines
            last = found[-1]
            wanted = replace(wanted, after_message=last.delivery_id.message_id, after_device=last.device_id)

    def _delivery(self, workspace: WorkspaceId, row: Row) -> tuple[object, ...]:
        person = PersonId(row["person_id"])
        return (
            self._database.delivery_ids.text(workspace, row["message_id"], person),
            row["id"],
            row["email"],
            cio_id(person),
            row["kind"],
            row["template_id"],
            int(row["created_at"].timestamp()),
            *(row["metrics"].get(metric) for metric in METRICS),
        )


def _link_of(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).decode().rstrip("=")


class _Pages:
    """Writes the parts of an export, the names of its columns first."""

    def __init__(self, connection: Connection, export: Export, names: Sequence[str]) -> None:
        self._connection = connection
        self._export = export
        self._names: Sequence[str] | None = names
        self._part = 0
        self.lines = 0

    async def add(self, rows: Iterable[Sequence[object]]) -> None:
        written = list(rows)
        self.lines += len(written)
        headings = [] if self._names is None else [self._names]
        self._names = None
        key = self._export.workspace_id, self._export.export_id
        await exports.add_part(self._connection, *key, self._part, spreadsheet.text([*headings, *written]))
        self._part += 1


def _person(row: Row) -> tuple[object, ...]:
    return (
        row["id"],
        row["email"],
        cio_id(row["person_id"]),
        int(row["created_at"].timestamp()),
        row["unsubscribed"],
        row["attributes"],
    )
