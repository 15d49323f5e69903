"""Streamed exports: one statement, whose rows are written as fast as the client reads them."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.exports import columns
from pushkeeper.core.exports.columns import BadColumns, Exportable
from pushkeeper.core.exports.writers import ExportFormat, writer
from pushkeeper.core.filters.nodes import And, InSegment, Unit
from pushkeeper.errors import BadRequest, Conflict, NotFound, PushkeeperError, TooSlow
from pushkeeper.services.audit import audited
from pushkeeper.services.filters import read_filter, whole
from pushkeeper.store.exports import exports, rows
from pushkeeper.store.exports.exports import Export
from pushkeeper.store.exports.rows import RowQuery
from pushkeeper.store.people import segments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pushkeeper.core.exports.writers import Writer
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database

__all__ = ["LONGEST_S", "Export", "ExportStream", "Exports", "NewExport"]

LONGEST_S = (
    3_600.0  # of a download: as long as it lasts, the server cannot clear up what has changed meanwhile
)
_NOTED_EVERY_S = 1.0
_NOT_FOUND = "Export not found"


class NewExport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is exported, and how.

    Attributes:
        filter: a text or a tree: of devices, or of people where people are exported; None for all.
        columns: their names in order; None for the usual ones.
        audience: whose members are exported.
        whole_tokens: without it only the ends of tokens are exported.
        since, until: when it happened, of history and pushes.
    """

    kind: Exportable
    format: ExportFormat = ExportFormat.CSV
    filter: dict[str, Any] | str | None = None
    columns: list[str] | None = None
    audience: int | None = None
    whole_tokens: bool = False
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStream:
    """An export that runs: `parts` are the bytes of its file, and are to be taken to their end or closed."""

    export: Export
    parts: AsyncGenerator[bytes, None]
    file_name: str
    format: ExportFormat


class Exports:
    """The exports of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, workspace: WorkspaceId) -> list[Export]:
        """The last hundred exports of a workspace, the newest first."""
        return await exports.of_workspace(self._database, workspace)

    async def one(self, workspace: WorkspaceId, export_id: int) -> Export:
        """One export.

        Raises:
            NotFound: it does not exist.
        """
        found = await exports.of_workspace(self._database, workspace, export_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    @audited("export.make")
    async def stream(
        self, entry: AuditEntry, workspace: WorkspaceId, wanted: NewExport, *, longest_s: float | None = None
    ) -> ExportStream:
        """Begin an export, which lasts `longest_s` at most.

        Its rows are as they were at one moment, that of the first of its parts.

        Raises:
            BadRequest: the filter, a column or the audience is none, or the format is not one of what is exported.
            TooManyRequests: other exports run.
        """
        query, unit = await self._query(workspace, wanted)
        self._database.streams.check(workspace)
        asked = msgspec.to_builtins(wanted)
        number = await exports.insert(self._database, workspace, wanted.kind.value, asked, entry.by)
        tokens = "whole tokens" if wanted.whole_tokens else "masked tokens"
        entry.target, entry.detail = str(number), f"{wanted.kind}, {wanted.format}, {tokens}"
        what = unit if wanted.kind is Exportable.MEMBERS else wanted.kind
        export = await self.one(workspace, number)
        return ExportStream(
            export=export,
            parts=self._parts(export, query, writer(wanted.format, query.columns), longest_s),
            file_name=f"{what}-{datetime.now(UTC):%Y-%m-%d}-{number}.{wanted.format.suffix}",
            format=wanted.format,
        )

    @audited("export.cancel", "export_id")
    async def cancel(self, entry: AuditEntry, workspace: WorkspaceId, export_id: int) -> None:
        """End an export that runs, wherever it does.

        Raises:
            NotFound: it does not exist.
            Conflict: it does not run.
        """
        found = await self.one(workspace, export_id)
        if not await exports.cancel(self._database, workspace, export_id):
            raise Conflict(f"The export is {found.state}")
        entry.detail = found.kind

    async def _parts(
        self, export: Export, query: RowQuery, to: Writer, longest_s: float | None
    ) -> AsyncGenerator[bytes, None]:
        """The file, part by part; the list of exports says how far it is, and how it ended."""
        at = self._database, export.workspace_id, export.export_id
        lines, state, failure = 0, "failed", None
        began = noted = time.monotonic()
        try:
            yield to.head
            async with aclosing(rows.pages(self._database, export.workspace_id, query)) as pages:
                async for page in pages:
                    yield to.lines(page)  # type: ignore[arg-type]  # a row is a sequence, too
                    lines += len(page)
                    now = time.monotonic()
                    if longest_s is not None and now - began > longest_s:
                        raise TooSlow(f"the export took longer than {longest_s:g} s")
                    if now - noted > _NOTED_EVERY_S:
                        noted = now
                        if not await exports.note(*at, lines):
                            raise Conflict("The export was cancelled")
            state = "done"
        except (asyncio.CancelledError, GeneratorExit):  # the client disconnected
            state = "cancelled"
            raise
        except PushkeeperError as error:
            failure = error.sentence
            raise
        finally:
            # Unexpected errors are recorded, too.
            failure = failure or ("internal error" if state == "failed" else None)
            await exports.end(*at, state=state, lines=lines, failure=failure)

    async def _query(self, workspace: WorkspaceId, wanted: NewExport) -> tuple[RowQuery, Exportable]:
        """The rows that are wanted, and of which kind they are.

        Raises:
            BadRequest: something of it is none, or does not go together.
        """
        kind = wanted.kind
        node = None if wanted.filter is None else read_filter(wanted.filter)
        if kind is Exportable.MEMBERS:
            kind, node = await self._members(workspace, wanted.audience, node)
        elif wanted.audience is not None:
            raise BadRequest("audience", "only members are exported of an audience")
        if node is not None:
            node = await whole(self._database.of(workspace).rows, workspace, node)
        timed = kind in {Exportable.HISTORY, Exportable.PUSHES}
        if not timed and (wanted.since or wanted.until):
            name = "since" if wanted.since else "until"
            raise BadRequest(name, "only history and pushes are exported of a time")
        query = RowQuery(
            kind=kind,
            columns=_columns(kind, wanted),
            node=node,
            whole_tokens=wanted.whole_tokens,
            since=wanted.since,
            until=wanted.until,
        )
        return query, kind

    async def _members(
        self, workspace: WorkspaceId, audience: int | None, node: Node | None
    ) -> tuple[Exportable, Node]:
        """Whether an audience has devices or people, and its filter together with the filter of the export."""
        if audience is None:
            raise BadRequest("audience", "is required for an export of members", "missing")
        found = await segments.read(self._database, workspace, audience)
        if found is None:
            raise BadRequest("audience", f"audience {audience} does not exist")
        kind = Exportable.DEVICES if found.unit is Unit.DEVICE else Exportable.PEOPLE
        member = InSegment(audience)
        return kind, member if node is None else And((member, node))


def _columns(kind: Exportable, wanted: NewExport) -> tuple[columns.Column, ...]:
    if wanted.format is not ExportFormat.ONESIGNAL:
        try:
            return columns.chosen(kind, wanted.columns)
        except BadColumns as error:
            raise BadRequest("columns", str(error)) from None
    if kind is not Exportable.DEVICES:
        raise BadRequest("format", "only devices are exported as OneSignal does")
    if wanted.columns is not None:
        raise BadRequest("columns", "the columns of OneSignal's format cannot be chosen")
    if not wanted.whole_tokens:
        raise BadRequest("format", "OneSignal's format has whole tokens, which are not to be exported here")
    return columns.ONESIGNAL
