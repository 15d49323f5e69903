"""Forward-only migrations, and the partitions that time asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from typing import TYPE_CHECKING

import asyncpg

from pushkeeper.errors import Misconfigured
from pushkeeper.store.db import cells, retention, row_security
from pushkeeper.store.devices import spellings

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

# One number for "the schema is being changed": every process that would change it waits its turn.
_SCHEMA_LOCK = 0x70757368
_FILES = resources.files("pushkeeper.store").joinpath("migrations")
_FUNCTIONS = "functions.sql"
_BY_MONTH = ("device_history", "events")
_DAYS_AHEAD = 3
_MONTHS_AHEAD = 2
_LONGEST_SCAN_S = 6 * 3600.0
# Partitions come before their parents, so that each is locked no longer than it is scanned.
_NOT_VALIDATED = """
    select conrelid::regclass::text as name, quote_ident(conname) as constraint_name
    from pg_constraint join pg_class c on c.oid = conrelid
    where contype = 'c' and not convalidated
        and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'))
    order by relispartition desc, relname
"""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All numbered SQL files, in order."""
    found = []
    for file in _FILES.iterdir():
        if file.name.endswith(".sql") and file.name != _FUNCTIONS:
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name.replace("_", " "), file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def functions() -> str:
    """The statements that create every function of the schema, or replace it."""
    return _FILES.joinpath(_FUNCTIONS).read_text(encoding="utf-8")


async def migrate(database: Database) -> list[Migration]:
    """Bring the schema up to date and return what was applied; several processes may call it at once.

    Raises:
        Misconfigured: the database was migrated by a newer release, a migration was changed after it was applied, or there
            is no schema in which the database's user may create tables.
    """

    async def work(connection: Connection) -> tuple[list[Migration], bool]:
        await connection.execute("select pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
        await _create_table(connection)
        rows = await connection.fetch("select number, checksum from migrations")
        applied = {row["number"]: row["checksum"] for row in rows}
        known = migrations()
        _check_history(applied, known)
        fresh = [migration for migration in known if migration.number not in applied]
        for migration in fresh:
            await connection.execute(migration.sql, timeout=_LONGEST_SCAN_S)
            await connection.execute(
                "insert into migrations (number, name, checksum) values ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
        if fresh:
            await connection.execute(functions())
            await connection.execute("select bound_times()", timeout=_LONGEST_SCAN_S)
        await cells.bound(connection)
        return fresh, await row_security.lock(connection)

    fresh, secured = await database.owned.in_transaction(work)
    await database.secure_rows(secured=secured)
    await make_partitions(database)
    await spellings.merge_all(database)
    await _validate(database)
    return fresh


async def _create_table(connection: Connection) -> None:
    try:
        await connection.execute(
            "create table if not exists migrations (number int primary key, name text not null, "
            "checksum text not null, applied_at timestamptz not null default now())"
        )
    except asyncpg.InvalidSchemaNameError as error:
        raise Misconfigured(
            "database: no schema of the search path exists: create it, or correct search_path in the database URL"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Misconfigured(
            f"database: its user may not create tables ({error}): make that user the owner of the database or of the schema"
        ) from error


async def check(database: Database) -> None:
    """See that this release can use the schema, whatever of it is not applied yet.

    Raises:
        Misconfigured: the database was migrated by a newer release, or a migration was changed after it was applied.
    """
    if await database.value("select to_regclass('migrations') is not null"):
        rows = await database.rows("select number, checksum from migrations")
        _check_history({row["number"]: row["checksum"] for row in rows}, migrations())


async def pending(database: Database) -> list[Migration]:
    """The migrations of this release that are not applied, in order."""
    applied: set[int] = set()
    if await database.value("select to_regclass('migrations') is not null"):
        applied = {row["number"] for row in await database.rows("select number from migrations")}
    return [migration for migration in migrations() if migration.number not in applied]


def _check_history(applied: dict[int, str], known: list[Migration]) -> None:
    if unknown := set(applied) - {migration.number for migration in known}:
        raise Misconfigured(f"database: migration {max(unknown)} is from a newer release than this one")
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise Misconfigured(f"database: migration {migration.number} was changed after it was applied")


async def _validate(database: Database) -> None:
    """Validate constraints for the rows that existed before them, table by table, while others read and write."""

    async def work(connection: Connection) -> None:
        for row in await connection.fetch(_NOT_VALIDATED):
            statement = f"alter table {row['name']} validate constraint {row['constraint_name']}"
            try:
                await connection.execute(statement, timeout=_LONGEST_SCAN_S)
            except asyncpg.CheckViolationError:
                # The previous release wrote it after such rows were repaired, and before they were refused.
                await connection.execute("select mend_times()", timeout=_LONGEST_SCAN_S)
                await connection.execute(statement, timeout=_LONGEST_SCAN_S)

    await database.outside_transactions(work)


async def make_partitions(database: Database) -> None:
    """Make the partitions of the days of pushes and the months of history and events that are, or may soon be, written to."""

    async def work(connection: Connection) -> None:
        wanted = await _wanted(connection)
        if not await _missing(connection, wanted):
            return
        await connection.execute("select pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
        for table, start, end, name in await _missing(connection, wanted):
            # Created separately and attached: created in place, it would wait for readers, and block everybody else.
            await connection.execute(
                f"create table if not exists {name} "
                f"(like {table} including defaults including constraints including indexes including storage)"
            )
            await connection.execute(
                f"alter table {table} attach partition {name} for values from ('{start}') to ('{end}')"
            )

    await database.owned.in_transaction(work)


_Part = tuple[str, str, str, str]  # the table, where the partition begins and ends, and its name


async def _wanted(connection: Connection) -> list[_Part]:
    today: date = await connection.fetchval("select (now() at time zone 'utc')::date")
    waiting = await connection.fetch(
        "select distinct (m.created_at at time zone 'utc')::date as day from batches join messages m using (message_id)"
    )
    days = {today + timedelta(days=n) for n in range(-1, _DAYS_AHEAD + 1)} | {row["day"] for row in waiting}
    wanted = [
        ("pushes", f"{day}", f"{day + timedelta(days=1)}", f"pushes_{day:%Y%m%d}") for day in sorted(days)
    ]
    month = today.replace(day=1)
    for _ in range(_MONTHS_AHEAD + 1):
        following = (month + timedelta(days=31)).replace(day=1)
        wanted += [
            (table, f"{month} 00:00+00", f"{following} 00:00+00", f"{table}_{month:%Y%m}")
            for table in _BY_MONTH
        ]
        month = following
    return wanted


async def _missing(connection: Connection, wanted: list[_Part]) -> list[_Part]:
    present = {partition.name for partition in await retention.present(connection.fetch)}
    return [part for part in wanted if part[3] not in present]
