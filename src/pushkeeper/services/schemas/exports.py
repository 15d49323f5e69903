"""Exports as our API and command line take and show them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pushkeeper.core.exports.columns import MAX_COLUMNS, Exportable
from pushkeeper.core.exports.writers import ExportFormat
from pushkeeper.services import validation
from pushkeeper.services.exports.service import NewExport
from pushkeeper.services.schemas.base import Filter, Id, Name, Request, Time, View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.exports.exports import Export


class ExportRequest(Request, frozen=True, kw_only=True):
    """What is exported. The response is the file, which is sent while it is read.

    Attributes:
        filter: of devices, or of people where people are exported. History and pushes are those of devices that match it now.
        columns: their names in order; without them the usual ones. `attribute.NAME` is an attribute.
        audience: whose members are exported; only for members.
        tokens: `masked` exports only the ends of tokens. Such a file cannot be imported.
        since, until: when it happened; only for history and pushes.
    """

    kind: Exportable
    format: ExportFormat = ExportFormat.CSV
    filter: Filter | None = None
    columns: Annotated[list[Name], Meta(min_length=1, max_length=MAX_COLUMNS)] | None = None
    audience: Id | None = None
    tokens: Literal["full", "masked"] = "full"
    since: Time | None = None
    until: Time | None = None

    def wanted(self) -> NewExport:
        """What the services take.

        Raises:
            BadRequest: a time is none.
        """
        return NewExport(
            kind=self.kind,
            format=self.format,
            filter=self.filter,
            columns=self.columns,
            audience=self.audience,
            whole_tokens=self.tokens == "full",
            since=validation.optional_time(self.since, "since"),
            until=validation.optional_time(self.until, "until"),
        )


class ExportView(View, frozen=True, kw_only=True):
    """An export.

    Attributes:
        kind: `customers` and `deliveries` are those of Customer.io's API.
        state: `interrupted`: the process that streamed it was ended.
        rows: so far.
        created_by: the user, the public part of the key, or the operating system's user at the command line.
    """

    id: int
    kind: Literal["devices", "people", "history", "pushes", "members", "customers", "deliveries"]
    format: ExportFormat
    filter: Filter | None
    columns: list[str] | None
    audience: int | None
    tokens: Literal["full", "masked"]
    state: Literal["pending", "running", "done", "failed", "cancelled", "interrupted"]
    rows: int
    failure: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: Export) -> Self:
        asked = found.asked if found.kind in set(Exportable) else {"filter": found.asked}
        return cls(
            id=found.export_id,
            kind=found.kind,
            format=ExportFormat(asked.get("format", ExportFormat.CSV)),
            filter=asked.get("filter") if found.kind != "deliveries" else None,
            columns=asked.get("columns", found.attributes),
            audience=asked.get("audience"),
            tokens="full" if asked.get("whole_tokens") else "masked",
            state=found.state,  # type: ignore[arg-type]  # the statement's words
            rows=found.lines,
            failure=found.failure or found.last_error,
            created_by=found.actor_name,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


class ExportListView(View, frozen=True, kw_only=True):
    """The last hundred exports, the newest first."""

    exports: list[ExportView]
