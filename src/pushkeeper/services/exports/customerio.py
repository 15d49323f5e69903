"""Exports of Customer.io's App API: people or deliveries as CSV, written by a worker, and downloaded by a link that ends."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pushkeeper.core import cell, csv_text
from pushkeeper.core.filters import from_json
from pushkeeper.core.filters.nodes import BadFilter
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import PersonId, Secret, WorkspaceId
from pushkeeper.errors import BadRequest, Misconfigured, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store.db import patience
from pushkeeper.store.exports import exports
from pushkeeper.store.exports.exports import Export
from pushkeeper.store.messages import messages
from pushkeeper.store.messages.messages import DeliveriesFilter
from pushkeeper.store.people import segments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.jobs import Claim

__all__ = ["LINK_S", "METRICS", "CustomerioExports", "Export"]

LINK_S = 900
_PAGE = 2_000
_PAGE_S = 50.0  # that the query of a page may take
_LABEL = "the link to an export"
_NOT_FOUND = "Export not found"
_LAST_ID = UUID(int=(1 << 128) - 1)
METRICS = (
    *("sent", "delivered", "opened", "clicked", "converted"),
    *("bounced", "dropped", "failed", "undeliverable"),
)
_IDENTIFIERS = ("id", "email", "cio_id")
_PEOPLE = (*_IDENTIFIERS, "created_at", "unsubscribed", "attributes")
_DELIVERIES = ("delivery_id", "id", "email", "cio_id", "kind", "template_id", "created", *METRICS)


class CustomerioExports:
    """The exports of people and deliveries of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @audited("export.make")
    async def of_people(
        self,
        entry: AuditEntry,
        workspace: WorkspaceId,
        given: object,
        attributes: Sequence[str] | None = None,
    ) -> Export:
        """Request an export of the people that match a filter: with these attributes, or with all of them.

        Raises:
            BadRequest: it is no filter, or with the audiences that it names too large.
        """
        await self._node(workspace, given)
        return _noted(entry, await self._ask(workspace, "customers", given, entry, attributes))

    @audited("export.make")
    async def of_deliveries(
        self,
        entry: AuditEntry,
        workspace: WorkspaceId,
        wanted: dict[str, Any],
        attributes: Sequence[str] | None = None,
    ) -> Export:
        """Request an export of deliveries: of `template_id`, with `metric`, created between `since` and `until` (unix s), or `drafts`.

        Each comes with these attributes of its recipient.
        """
        _wanted(wanted)
        return _noted(entry, await self._ask(workspace, "deliveries", wanted, entry, attributes))

    async def all(self, workspace: WorkspaceId) -> list[Export]:
        """The last hundred exports of a workspace, the newest first."""
        return await exports.of_workspace(self._database, workspace, kinds=exports.WRITTEN)

    async def one(self, workspace: WorkspaceId, export_id: int) -> Export:
        """One export.

        Raises:
            NotFound: it does not exist.
        """
        found = await exports.of_workspace(self._database, workspace, export_id, exports.WRITTEN)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    @audited("export.link", "export_id")
    async def link(self, entry: AuditEntry, workspace: WorkspaceId, export_id: int) -> str:
        """A signed link that downloads an export without a key, for a quarter of an hour.

        Raises:
            NotFound: it does not exist, or it is not done.
        """
        found = await self.one(workspace, export_id)
        if found.state != "done":
            raise NotFound(f"The export is {found.state}")
        entry.detail = f"{found.kind}, {found.lines:,} lines"
        said = f"{workspace} {export_id} {int(time.time()) + LINK_S}"
        return _link_of(workspace, self._vault.seal(Secret(said.encode()), _LABEL))

    def opened_by(self, link: str) -> tuple[WorkspaceId, int]:
        """The export that a link opens, and whose it is.

        Raises:
            NotFound: it is none of ours, or has ended.
        """
        try:
            text = link.rpartition(".")[2]
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            workspace, number, ends_at = map(int, self._vault.open(sealed, _LABEL).value.split())
        except (ValueError, Misconfigured):
            raise NotFound("Invalid export link") from None
        # Base64 is read with characters and bits in it that mean nothing.
        if _link_of(workspace, sealed) != link:
            raise NotFound("Invalid export link")
        if ends_at < time.time():
            raise NotFound("Export link expired")
        return WorkspaceId(workspace), number

    async def text(self, workspace: WorkspaceId, export_id: int) -> AsyncIterator[str]:
        """The text of an export, part by part."""
        number = 0
        while (part := await exports.part(self._database, workspace, export_id, number)) is not None:
            yield part
            patience.renew()
            number += 1

    async def write(self, claim: Claim) -> None:
        """Write an export that is claimed, from its beginning, a page at a time; `ClaimLost` where it is cancelled meanwhile.

        Raises:
            BadRequest: its filter has grown too large since it was requested.
            TooSlow: the database takes too long to find a page of it.
        """
        export = await self._database.of(claim.workspace_id).in_transaction(
            lambda connection: exports.begin(connection, claim)
        )
        pages = _Pages(self._database, claim)
        await (self._people if export.kind == "customers" else self._deliveries)(export, pages)
        await exports.done(self._database, claim, pages.lines, left_out=pages.left_out)

    async def _ask(
        self,
        workspace: WorkspaceId,
        kind: exports.Kind,
        asked: object,
        entry: AuditEntry,
        attributes: Sequence[str] | None = None,
    ) -> Export:
        made = await exports.insert(self._database, workspace, kind, asked, entry.by, attributes)
        return await self.one(workspace, made)

    async def _people(self, export: Export, pages: _Pages) -> None:
        node = await self._node(export.workspace_id, export.asked)
        columns = _columns(export)
        after: int | None = 0

        async def page(connection: Connection) -> list[Row]:
            assert after is not None  # noqa: S101 - the loop ends with it
            return await exports.people(connection, export.workspace_id, node, after=after, limit=_PAGE)

        while after is not None:
            found = await pages.add(
                columns, page, lambda row: _person(row, columns), table="people", key="person_id"
            )
            after = found[-1]["person_id"] if len(found) == _PAGE else None

    async def _deliveries(self, export: Export, pages: _Pages) -> None:
        wanted = _wanted(export.asked)
        extra = [name for name in export.attributes or () if name not in _DELIVERIES]
        while True:
            listed = await messages.of_workspace(self._database, export.workspace_id, wanted)
            ids = [one.delivery_id for one in listed]
            await pages.add(
                (*_DELIVERIES, *extra),
                lambda connection, ids=ids: exports.happened(connection, export.workspace_id, ids),  # type: ignore[misc]
                lambda row: self._delivery(export.workspace_id, row, extra),
                table="messages",
                key="message_id",
            )
            if len(listed) < _PAGE:
                return
            last = listed[-1]
            wanted = replace(wanted, after_message=last.delivery_id.message_id, after_device=last.device_id)

    async def _node(self, workspace: WorkspaceId, given: object) -> Node:
        """The filter of people, with the saved audiences that it names put in.

        Raises:
            BadRequest: it is none, or all of it together is too large.
        """
        try:
            return await segments.expanded(
                self._database.of(workspace).rows, workspace, from_json.read(given)
            )
        except BadFilter as error:
            raise BadRequest(error.place, error.message).renamed("filter", "filters") from None

    def _delivery(self, workspace: WorkspaceId, row: Row, extra: Sequence[str]) -> tuple[object, ...]:
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
            *(row["attributes"].get(name) for name in extra),
        )


def _link_of(workspace: int, sealed: bytes) -> str:
    """A sealed link; the cell before it is for the proxy in front of several."""
    prefix = cell.key_prefix(cell.of_number(workspace))
    return f"{prefix}." * bool(prefix) + urlsafe_b64encode(sealed).decode().rstrip("=")


class _Pages:
    """Writes the parts of an export, the names of its columns first, each in a transaction of its own."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._part = 0
        self.lines = 0
        self.left_out = 0

    async def add(
        self,
        names: Sequence[str],
        find: Callable[[Connection], Awaitable[list[Row]]],
        write: Callable[[Row], Sequence[object]],
        *,
        table: str,
        key: str,
    ) -> list[Row]:
        """Write the rows as the next part, and return it; a row that cannot be read is skipped."""
        written = 0

        async def work(connection: Connection) -> list[Row]:
            nonlocal written
            await exports.claimed(connection, self._claim)
            found = await find(connection)
            headings = [] if self._part else [names]
            lines = self._database.readable(
                found, write, table=table, key=key, workspace=self._claim.workspace_id
            )
            written = len(lines)
            text = csv_text.text([*headings, *lines])
            await exports.add_part(connection, self._claim, self._part, text)
            return found

        # By the role that sees all workspaces: a policy keeps filters from the indexes of people's attributes.
        found = await self._database.in_transaction(work, within_s=_PAGE_S)
        self._part += 1
        self.lines += written
        self.left_out += len(found) - written
        return found


def _wanted(asked: dict[str, Any]) -> DeliveriesFilter:
    """What an export of deliveries asks for, from its first page."""
    return DeliveriesFilter(
        after_message=_LAST_ID,
        after_device=b"",
        since=datetime.fromtimestamp(asked["since"], tz=UTC),
        until=datetime.fromtimestamp(asked["until"], tz=UTC),
        metric=asked["metric"],
        template_id=asked["template_id"],
        drafts=asked["drafts"],
        limit=_PAGE,
    )


def _columns(export: Export) -> Sequence[str]:
    """The line of a person, by which erasures find it, and the requested attributes, or all of them."""
    if export.attributes is None:
        return _PEOPLE
    return tuple(dict.fromkeys((*_IDENTIFIERS, *export.attributes)))


def _person(row: Row, columns: Sequence[str]) -> list[object]:
    """A cell for each column; empty for an attribute that the person lacks."""
    own = {
        "id": row["id"],
        "email": row["email"],
        "cio_id": cio_id(row["person_id"]),
        "created_at": int(row["created_at"].timestamp()),
        "unsubscribed": row["unsubscribed"],
    }
    attributes: dict[str, object] = row["attributes"]
    if columns is _PEOPLE:
        own["attributes"] = attributes
    # An app may have set its own `created_at`, which takes precedence.
    return [attributes[name] if name in attributes else own.get(name) for name in columns]


def _noted(entry: AuditEntry, made: Export) -> Export:
    entry.target, entry.detail = str(made.export_id), made.kind
    return made
