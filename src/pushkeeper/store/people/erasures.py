"""Erasures: people who are gone are found wherever something of them is left, page by page; and the receipts of that."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.core import csv_text
from pushkeeper.core.identity import cio_id
from pushkeeper.store.db.database import storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)

PAGE = 500  # rows of a table in one transaction
_PARTS = 10  # of exports, of up to 2,000 rows each
_CLAIM_S = 15.0  # each page renews it
_LATEST_LOOK_S = 60.0

# What is erased, in this order, by the kind that a receipt counts it as: what is queued first, so that nothing is sent of
# what is gone; reports after the pushes without which none can be added.
_STEPS = (
    ("batches", SQL["batches"]),
    ("messages", SQL["messages"]),
    ("broadcast_recipients", SQL["broadcast_people"]),
    ("broadcast_devices", SQL["broadcasts"]),
    ("held_verdicts", SQL["held_verdicts"]),
    ("pushes", SQL["pushes"]),
    ("reports", SQL["reports"]),
    ("device_history", SQL["device_history"]),
    ("device_history", SQL["device_history_of_others"]),
    ("events", SQL["events"]),
    ("events", SQL["anonymous_events"]),
    ("anonymous_devices", SQL["anonymous_devices"]),
    ("webhook_calls", SQL["webhook_calls"]),
    ("audit", SQL["audit"]),
)
# A policy keeps the planner from using the index on what notes say (decision 0019).
_STEPS_BY_JOBS = (("notes", SQL["notes"]), ("notes", SQL["relationships"]))
_FIRST_PART = (0, -1)
_CIO_ID_COLUMN = {"customers": 2, "deliveries": 3}


class RequestedBy(StrEnum):
    API = "api"
    DASHBOARD = "dashboard"
    COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An erasure, without the person's identity.

    Attributes:
        hashes: keyed hashes of the person's identifiers (core/identifier_hash.py).
        counts: rows deleted or anonymised so far, by kind.
        done_at: None while data may be left.
        failure: why the last pass failed, if it did.
    """

    erasure_id: int
    asked_by: RequestedBy
    request_id: str
    asked_at: datetime
    hashes: Sequence[bytes]
    counts: dict[str, int]
    done_at: datetime | None
    failure: str | None


def hashed(person: PersonId, keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The keys under which a receipt stores these identifiers."""
    return [("cio_id", cio_id(person)), *keys]


async def begin(
    connection: Connection,
    workspace: WorkspaceId,
    person: PersonId,
    *,
    hashes: Sequence[bytes],
    by: RequestedBy,
    request_id: str,
) -> int:
    """Start erasing a person, before they are deleted in the same transaction; returns the receipt's number.

    `hashes` are those of their identifiers; `request_id` identifies the request in the log.
    """
    begun: int = await connection.fetchval(
        SQL["begin"], workspace, person, by.value, storable(request_id), hashes, os.urandom(32)
    )
    return begun


async def receipts(
    database: Database,
    workspace: WorkspaceId,
    *,
    only: int | None = None,
    of: bytes | None = None,
    limit: int = 100,
) -> list[Receipt]:
    """The receipts of a workspace, or the one of a number, or those of an identifier's hash, the newest first."""
    rows = await database.of(workspace).rows(SQL["receipts"], workspace, only, of, limit)
    return database.readable(rows, _receipt, table="erasures", key="erasure_id", workspace=workspace)


def _receipt(row: Row) -> Receipt:
    return Receipt(**{**row, "asked_by": RequestedBy(row["asked_by"])})


async def workspaces(database: Database) -> list[WorkspaceId]:
    """The workspaces in which there is something to erase."""
    return [row["workspace_id"] for row in await database.rows(SQL["workspaces"])]


async def claim(database: Database, workspace: WorkspaceId, *, most: int) -> dict[int, bool]:
    """Erasures that are due, for this worker; and whether all transactions that began before them have ended."""
    rows = await database.of(workspace).rows(SQL["claim"], workspace, most, _CLAIM_S)
    return {row["erasure_id"]: row["alone"] for row in rows}


async def put_off(
    database: Database, workspace: WorkspaceId, erasure_ids: Sequence[int], failure: str | None = None
) -> None:
    """Look again later: after a second or two, and the later the more looks there were, up to a minute."""
    await database.of(workspace).rows(SQL["put_off"], workspace, erasure_ids, failure, _LATEST_LOOK_S)


async def look(
    database: Database, workspace: WorkspaceId, claimed: dict[int, bool], *, webhooks_have_s: float
) -> list[int]:
    """Erase all data of these people that exists now, and return those who have none left and can't get any.

    An erasure is done once a pass finds nothing and nobody can be writing about the person any more. Each page is
    committed with its counts: if the worker is killed, its pages are done, and the next pass continues.
    """
    look_at = _Look(database, workspace, sorted(claimed))
    rows = await database.of(workspace).rows(SQL["under_way"], workspace, look_at.erasure_ids)
    busy = {row["erasure_id"] for row in rows}
    for kind, query in _STEPS:
        await look_at.repeat(kind, query)
    for kind, query in _STEPS_BY_JOBS:
        await look_at.repeat(kind, query, by_jobs=True)
    await look_at.repeat("webhook_events", SQL["outbox"], webhooks_have_s)
    await look_at.exports()
    await look_at.repeat("unreadable_rows", SQL["unreadable_rows"])
    over = [one for one, alone in claimed.items() if alone and one not in busy and one not in look_at.found]
    await database.of(workspace).rows(SQL["finish"], workspace, over)
    await put_off(database, workspace, sorted(claimed.keys() - set(over)))
    return over


class _Look:
    """One look at all tables; `found` are the erasures of which it found something."""

    def __init__(self, database: Database, workspace: WorkspaceId, erasure_ids: Sequence[int]) -> None:
        self._database = database
        self._workspace = workspace
        self.erasure_ids = erasure_ids
        self.found: set[int] = set()

    async def repeat(self, kind: str, query: str, *args: object, by_jobs: bool = False) -> None:
        """Run a query that erases a page until it finds nothing more."""

        async def page(connection: Connection) -> Counter[int]:
            return _by_erasure(await connection.fetch(query, self._workspace, self.erasure_ids, PAGE, *args))

        while await self._count(kind, page, by_jobs=by_jobs):
            pass

    async def exports(self) -> None:
        """Take rows of these people out of exports that are written."""
        rows = await self._database.of(self._workspace).rows(SQL["names"], self._workspace, self.erasure_ids)
        whose = {row["cio_id"]: row["erasure_id"] for row in rows}
        after = reached = _FIRST_PART

        async def page(connection: Connection) -> Counter[int]:
            nonlocal reached
            marks = [f"%{one}%" for one in whose]
            parts = await connection.fetch(SQL["parts"], self._workspace, *after, marks, _PARTS)
            erased: Counter[int] = Counter()
            for part in parts:
                text, gone = csv_text.without(part["text"], _CIO_ID_COLUMN[part["kind"]], whose.keys())
                if gone:
                    key = (self._workspace, part["export_id"], part["part"])
                    await connection.execute(SQL["change_part"], *key, text, len(gone))
                    erased.update(whose[one] for one in gone)
            reached = (parts[-1]["export_id"], parts[-1]["part"]) if parts else _FIRST_PART
            return erased

        while True:
            await self._count("export_rows", page)
            if reached == _FIRST_PART:
                return
            after = reached

    async def _count(
        self, kind: str, page: Callable[[Connection], Awaitable[Counter[int]]], *, by_jobs: bool = False
    ) -> int:
        async def work(connection: Connection) -> Counter[int]:
            erased = await page(connection)
            if erased:
                counted = (list(erased.keys()), list(erased.values()))
                await connection.execute(SQL["count"], self._workspace, *counted, kind, _CLAIM_S)
            return erased

        run = self._database if by_jobs else self._database.of(self._workspace)
        erased = await run.in_transaction(work)
        self.found |= erased.keys()
        return erased.total()


def _by_erasure(rows: Iterable[Row]) -> Counter[int]:
    return Counter(row["erasure_id"] for row in rows)
