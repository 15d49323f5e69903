"""Rows of exports: what columns are in SQL, and the one statement that gives all rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core import times
from pushkeeper.core.exports.columns import ATTRIBUTE, ONESIGNAL, PERSON_ATTRIBUTE, Exportable
from pushkeeper.core.filters.nodes import And, Unit
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pushkeeper.core.exports.columns import Column
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)

_PAGE_ROWS = 500  # a few milliseconds of work, in which nothing else is answered


def _time(column: str) -> str:
    """A time in UTC, to the microsecond."""
    return f"left(to_jsonb({column}) #>> '{{}}', -6) || 'Z'"


def _status(column: str) -> str:
    return f"case {column} when '' then 'unused' else {column} end"


def _cio_id(column: str) -> str:
    return f"lpad(to_hex({column}), 12, '0')"


_MASKED = "case when length(d.token) < 24 then '…' else left(d.token, 6) || '…' || right(d.token, 6) end"
_PERSON = {"person_id": "i.value", "person_email": "e.value"}
_DEVICES = {
    **_PERSON,
    "person_cio_id": _cio_id("d.person_id"),
    "platform": "d.platform",
    "app": "d.app",
    "environment": "d.environment",
    "last_status": _status("d.status"),
    "failure_reason": "d.failure_reason",
    "last_used": _time("d.last_used"),
    "registered_at": _time("d.registered_at"),
    "created_at": _time("d.created_at"),
    "attributes": "d.attributes::text",
    "device": "encode(d.device_id, 'hex')",
    "strikes": "d.strikes::text",
    "person_attributes": "p.attributes::text",
}
_PEOPLE = {
    "id": "i.value",
    "email": "e.value",
    "cio_id": _cio_id("p.person_id"),
    "created_at": _time("p.created_at"),
    "unsubscribed": "p.unsubscribed::text",
    "attributes": "p.attributes::text",
}
_HISTORY = {
    "at": _time("h.at"),
    "device": "encode(h.device_id, 'hex')",
    "platform": "d.platform",
    "event": "h.event",
    "from_status": _status("h.from_status"),
    "to_status": _status("h.to_status"),
    "from_person": _cio_id("h.from_person_id"),
    "to_person": _cio_id("h.to_person_id"),
    "generation": "h.generation::text",
    "message": "h.message_id::text",
    "provider": "h.provider",
    "provider_status": "h.provider_status::text",
    "provider_reason": "h.provider_reason",
    "request_id": "h.request_id",
    "strikes": "h.strikes::text",
    "undone": "(h.undone_by is not null)::text",
}
_PUSHES = {
    **_PERSON,
    "settled_at": _time("s.settled_at"),
    "message": "s.message_id::text",
    "kind": "m.kind",
    "template_id": "m.template_id::text",
    "person_cio_id": _cio_id("s.person_id"),
    "device": "encode(s.device_id, 'hex')",
    "platform": "d.platform",
    "ending": "s.ending",
    "reason": "push_reason(s.ending, s.provider, s.reason)",
    "provider": "s.provider",
    "provider_status": "s.provider_status::text",
    "provider_reason": "s.provider_reason",
    "attempts": "s.attempts::text",
}
_ONESIGNAL = {
    "id": "left(encode(d.device_id, 'hex'), 32)::uuid::text",
    "identifier": "d.token",
    "language": "d.attributes ->> 'device_locale'",
    "game_version": "d.attributes ->> 'app_version'",
    "device_os": "d.attributes ->> 'device_os'",
    "device_type": "case d.platform when 'ios' then '0' else '1' end",
    "device_model": "d.attributes ->> 'device_model'",
    "tags": "p.attributes::text",
    "last_active": "to_char(d.last_used, 'YYYY-MM-DD HH24:MI:SS UTC')",
    "created_at": "to_char(d.created_at, 'YYYY-MM-DD HH24:MI:SS UTC')",
    "invalid_identifier": "case d.status when 'suppressed' then 't' else 'f' end",
    "external_user_id": "coalesce(i.value, e.value)",
    "notification_types": (
        "case when p.unsubscribed or d.attributes -> 'push_enabled' in ('false', '\"false\"') then '-2' else '1' end"
    ),
}
# As JSON, in the order of their keys.
_DEVICES_OF_PERSON = f"""(
    select coalesce(json_agg(row_to_json(x)), '[]')::text from (
        select {{token}} as token, d.platform, d.app, d.environment, {_DEVICES["last_status"]} as last_status,
            d.failure_reason, {_DEVICES["last_used"].replace("{}", "{{}}")} as last_used,
            {_DEVICES["registered_at"].replace("{}", "{{}}")} as registered_at, d.attributes
        from devices d where d.workspace_id = p.workspace_id and d.person_id = p.person_id
        order by d.device_id) x)"""  # noqa: S608 - of constants
_FROM = {
    Exportable.DEVICES: SQL["devices"],
    Exportable.PEOPLE: SQL["people"],
    Exportable.HISTORY: SQL["history"],
    Exportable.PUSHES: SQL["pushes"],
}
_OF = {
    Exportable.DEVICES: _DEVICES,
    Exportable.PEOPLE: _PEOPLE,
    Exportable.HISTORY: _HISTORY,
    Exportable.PUSHES: _PUSHES,
}
_ATTRIBUTES = {
    Exportable.DEVICES: {ATTRIBUTE: "d.attributes", PERSON_ATTRIBUTE: "p.attributes"},
    Exportable.PEOPLE: {ATTRIBUTE: "p.attributes"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Which rows are exported.

    Attributes:
        kind: of the rows; never members.
        node: the filter, with the saved audiences that it names put in; None for all.
        whole_tokens: without it the ends of tokens alone are exported.
        since, until: when it happened, of history and pushes.
    """

    kind: Exportable
    columns: tuple[Column, ...]
    node: Node | None = None
    whole_tokens: bool = False
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_timed(self) -> bool:
        """Whether its rows are of a time."""
        return self.kind in {Exportable.HISTORY, Exportable.PUSHES}


def pages(
    database: Database, workspace: WorkspaceId, wanted: RowQuery
) -> AsyncGenerator[Sequence[Row], None]:
    """All rows as they are at one moment, some at a time, in no order; each is the texts of the columns.

    Raises:
        TooManyRequests: too many exports run in this process.
        TooSlow: the next rows are not found in time.
    """
    query, arguments = statement(wanted)
    return database.streams.pages(workspace, query, *arguments, rows=_PAGE_ROWS)


def statement(wanted: RowQuery) -> tuple[str, list[object]]:
    """The statement that gives all rows, and its parameters from the second on."""
    arguments: list[object] = []
    if wanted.is_timed:
        arguments += [wanted.since or times.EARLIEST, wanted.until or times.TOO_LATE]
    unit = Unit.PERSON if wanted.kind is Exportable.PEOPLE else Unit.DEVICE
    where = filter_sql.condition(
        wanted.node or And(()), first=len(arguments) + 2, now=datetime.now(UTC), unit=unit
    )
    arguments += where.parameters
    condition = where.sql
    if wanted.is_timed and wanted.node is not None:
        condition = f"d.device_id is not null and {condition}"
    columns = []
    for column in wanted.columns:
        sql, parameters = _column(wanted, column, len(arguments) + 2)
        columns.append(sql)
        arguments += parameters
    query = _FROM[wanted.kind].replace("{columns}", ", ".join(columns))
    return query.replace("{condition}", condition), arguments


def _column(wanted: RowQuery, column: Column, number: int) -> tuple[str, list[object]]:
    """A column in SQL; the name of an attribute is a parameter of this number."""
    token = "d.token" if wanted.whole_tokens else _MASKED
    if wanted.columns is ONESIGNAL:
        return _ONESIGNAL.get(column.name, "null::text"), []
    if column.name == "token":
        return token, []
    if wanted.kind is Exportable.PEOPLE and column.name == "devices":
        return _DEVICES_OF_PERSON.format(token=token), []
    for prefix, attributes in _ATTRIBUTES.get(wanted.kind, {}).items():
        if column.name.startswith(prefix):
            return f"({attributes} -> ${number}::text)::text", [column.name.removeprefix(prefix)]
    return _OF[wanted.kind][column.name], []
