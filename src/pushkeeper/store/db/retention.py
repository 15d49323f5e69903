"""Retention: deletes what is older than its limit, beside running workers; nothing that is queued is deleted."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pushkeeper.core.model import uuid7
from pushkeeper.observability.isolation import isolated
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.people.segments import Fetch

SQL = load_queries(__name__)

TABLES = ("pushes", "device_history", "events")
PAGE = 1_000
# One number for the lock: a process that finds it taken leaves the work to its holder.
_TIDY_LOCK = 0x74696479
_PARTITION = re.compile(r"(?P<table>[a-z_]+)_(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})?")
_NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Retention in days; None for ever. App reports are deleted with their pushes."""

    pushes_days: int | None
    history_days: int | None
    events_days: int | None
    exports_days: int | None
    outbox_days: int | None

    def of_table(self, table: str) -> int | None:
        """For how many days the rows of a partitioned table are kept."""
        return {
            "pushes": self.pushes_days,
            "device_history": self.history_days,
            "events": self.events_days,
        }[table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition; `end` is the first day that is not in it, `detaching` that somebody began to detach it."""

    table: str
    name: str
    start: date
    end: date
    detaching: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRows:
    """How many rows went."""

    messages: int = 0
    reports: int = 0
    named: int = 0
    failed_changes: int = 0
    exports: int = 0
    imports: int = 0
    outbox: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())


async def partitions(database: Database) -> list[Partition]:
    """The partitions of all tables that have some, by their names."""
    return await present(database.rows)


async def present(fetch: Fetch) -> list[Partition]:
    """The partitions of all tables of this schema that have some, by their names."""
    return list(_partitions(await fetch(SQL["partitions"], list(TABLES))))


async def days_that_wait(database: Database) -> set[date]:
    """The days of messages that somebody may still send."""
    return {row["day"] for row in await database.rows(SQL["days_that_wait"])}


async def drop_partitions(database: Database, keep: Keep) -> list[str]:
    """Drop the partitions that are old enough as a whole, and return their names; those with queued pushes are kept.

    Each is detached first, which waits for its readers without blocking others; one that is still read after a minute
    is finished another time. One that can't be dropped does not stop the others: errors are raised after all were
    tried.
    """

    async def work(connection: Connection) -> list[str]:
        if not await connection.fetchval(SQL["begin_alone"], _TIDY_LOCK):
            return []
        try:
            return await _drop(connection, keep)
        finally:
            await connection.execute(SQL["end_alone"], _TIDY_LOCK)

    return await database.outside_transactions(work)


async def _drop(connection: Connection, keep: Keep) -> list[str]:
    today: date = await connection.fetchval("select (now() at time zone 'utc')::date")
    waiting = {row["day"] for row in await connection.fetch(SQL["days_that_wait"])}
    failed: list[Exception] = []
    for found in await present(connection.fetch):
        detach = f"alter table {found.table} detach partition {found.name}"
        # Where somebody reads it all this time, it stays what it is until the next look.
        with suppress(TimeoutError), _collected(failed, found.name):
            if found.detaching:
                await connection.execute(f"{detach} finalize")
            elif _is_over(found, keep, today) and not (found.table == "pushes" and found.start in waiting):
                await connection.execute(f"{detach} concurrently")
    dropped = []
    for name in [row["name"] for row in await connection.fetch(SQL["left_over"], list(TABLES))]:
        with _collected(failed, name):
            await connection.execute(f"drop table {name}")
            dropped.append(name)
    if failed:
        raise ExceptionGroup("partitions were not dropped", failed)
    return dropped


@contextmanager
def _collected(failed: list[Exception], name: str) -> Iterator[None]:
    """Keep what is raised about a partition, but for its taking too long."""
    with isolated(passing=TimeoutError) as tried:
        yield
    if tried.error is not None:
        tried.error.add_note(f"partition {name}")
        failed.append(tried.error)


def _is_over(partition: Partition, keep: Keep, today: date) -> bool:
    days = keep.of_table(partition.table)
    return days is not None and partition.end <= today - timedelta(days=days)


def _partitions(rows: Sequence[Row]) -> Iterator[Partition]:
    for row in rows:
        if (parts := _PARTITION.fullmatch(row["name"])) is None:
            continue
        start = date(int(parts["year"]), int(parts["month"]), int(parts["day"] or 1))
        following = start + timedelta(days=1) if parts["day"] else (start + timedelta(days=31)).replace(day=1)
        yield Partition(
            table=parts["table"], name=row["name"], start=start, end=following, detaching=row["detaching"]
        )


async def forget(database: Database, workspace: WorkspaceId, keep: Keep, now: datetime) -> DeletedRows:
    """Delete page by page what is too old of a workspace.

    These are unreferenced messages, reports, failed changes, exports, and events that no webhook fetched.
    """
    messages = reports = named = failed_changes = exports = imports = outbox = 0
    if keep.pushes_days is not None:
        day = _midnight_of(now - timedelta(days=keep.pushes_days))
        before = _first_id_of(day)
        reports = await _by_pages(database, SQL["forget_reports"], workspace, before)
        named = await _by_pages(database, SQL["forget_named"], workspace, day)
        messages = await _forget_messages(database, workspace, before)
    if keep.events_days is not None:
        failed = now - timedelta(days=keep.events_days)
        failed_changes = await _by_pages(database, SQL["forget_failed_changes"], workspace, failed)
    if keep.exports_days is not None:
        written = now - timedelta(days=keep.exports_days)
        exports = await _by_pages(database, SQL["forget_exports"], workspace, written)
        imports = await _by_pages(database, SQL["forget_imports"], workspace, written)
        await _by_pages(database, SQL["forget_import_keys"], workspace, written)
    if keep.outbox_days is not None:
        happened = now - timedelta(days=keep.outbox_days)
        outbox = await _by_pages(database, SQL["forget_outbox"], workspace, happened)
    return DeletedRows(
        messages=messages,
        reports=reports,
        named=named,
        failed_changes=failed_changes,
        exports=exports,
        imports=imports,
        outbox=outbox,
    )


def _midnight_of(moment: datetime) -> datetime:
    """The beginning of this moment's day: a day goes as a whole, as its pushes do."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _first_id_of(midnight: datetime) -> UUID:
    """The first id that a message of a day may have."""
    return uuid7(int(midnight.timestamp() * 1000), bytes(10))


async def _forget_messages(database: Database, workspace: WorkspaceId, before: UUID) -> int:
    gone, after = 0, _NO_ID

    async def work(connection: Connection) -> tuple[UUID | None, int]:
        if not await connection.fetchval(SQL["alone"], _TIDY_LOCK):
            return None, 0
        row = await connection.fetchrow(SQL["forget_messages"], workspace, after, before, PAGE)
        assert row is not None  # noqa: S101 - the query has a row
        return row["last"], row["gone"]

    while True:
        last, some = await database.of(workspace).in_transaction(work)
        gone += some
        if last is None:
            return gone
        after = last


async def _by_pages(database: Database, query: str, workspace: WorkspaceId, before: UUID | datetime) -> int:
    """Run a query that deletes a page of what a workspace has from before, until there is nothing more of it."""
    gone = 0

    async def work(connection: Connection) -> int:
        if not await connection.fetchval(SQL["alone"], _TIDY_LOCK):
            return 0
        return int((await connection.execute(query, workspace, before, PAGE)).removeprefix("DELETE "))

    while some := await database.of(workspace).in_transaction(work):
        gone += some
    return gone
