"""Every column of times is bounded, in every table, and existing rows are repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.store.db import migrate
from support.databases import own_database

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

BEYOND = ("-infinity", "infinity", "0001-01-01 00:00+00", "1969-12-31 23:59:59+00", "2200-01-01 00:00+00")
WITHIN = ("1970-01-01 00:00+00", "2026-11-01 10:00+00", "2199-12-31 23:59:59+00")
# -infinity takes up a slot of its broadcast's rate as soon as there is one.
ALLOWED = {("batches", "slot_at", "-infinity")}

COLUMNS = """
    select c.relname as name, a.attname as column_name, b.convalidated, pg_get_expr(b.conbin, b.conrelid) as bounds
    from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_constraint b on b.conrelid = c.oid and b.contype = 'c' and a.attnum = any (b.conkey)
            and b.conname like '%\\_times'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.atttypid = 'timestamptz'::regtype
"""


async def fits(database: Database, column: Row, at: str) -> bool:
    """Whether a row whose other columns are empty may have this time in a column."""
    row = f"jsonb_populate_record(null::{column['name']}, jsonb_build_object('{column['column_name']}', '{at}'))"
    found: bool = await database.owned.value(f"select coalesce({column['bounds']}, true) from {row}")
    return found


async def test_every_column_of_times_holds_those_alone_that_can_be_read_back(database: Database) -> None:
    columns = await database.owned.rows(COLUMNS)
    assert len(columns) > 100
    for column in columns:
        place = (column["name"], column["column_name"])
        assert column["convalidated"], place
        for at in BEYOND:
            assert await fits(database, column, at) is ((*place, at) in ALLOWED), (*place, at)
        for at in WITHIN:
            assert await fits(database, column, at), (*place, at)


async def test_a_column_that_is_new_is_bounded_by_the_migration_that_makes_it(database: Database) -> None:
    async with own_database(database) as own:
        for statement in (
            "alter table people add column called_at timestamptz",
            "create table visits (at timestamptz)",
            "select bound_times()",
        ):
            await own.owned.value(statement)
        columns = {(row["name"], row["column_name"]): row for row in await own.owned.rows(COLUMNS)}
        for place in (("people", "called_at"), ("people", "created_at"), ("visits", "at")):
            assert not await fits(own, columns[place], "infinity")


@pytest.mark.parametrize("table", ["devices", "events"])
async def test_rows_of_a_large_table_are_looked_at_after_the_migration(
    database: Database, table: str
) -> None:
    """One that the former release wrote meanwhile is repaired too."""
    async with own_database(database) as own:
        bounds = await own.owned.value(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = $1 and conrelid = to_regclass($2)",
            f"{table}_times",
            table,
        )
        await own.owned.value(f"alter table {table} drop constraint {table}_times")
        await own.owned.rows("insert into workspaces (name) values ('app')")
        await own.owned.rows("insert into people (workspace_id) values (1)")
        await own.owned.rows(
            "insert into devices (device_id, workspace_id, person_id, token, platform, last_used) "
            "values (decode(repeat('00', 16), 'hex'), 1, 1, 't', 'ios', $1::text::timestamptz)",
            "-infinity" if table == "devices" else "now",
        )
        await own.owned.rows(
            "insert into events (workspace_id, person_id, kind, name, happened_at) "
            "values (1, 1, 'event', 'n', $1::text::timestamptz)",
            "infinity" if table == "events" else "now",
        )
        await own.owned.value(f"alter table {table} add constraint {table}_times {bounds} not valid")
        assert await migrate.migrate(own) == []
        assert all(row["convalidated"] for row in await own.owned.rows(COLUMNS))
        assert await own.value("select last_used = registered_at or last_used <= now() from devices")
        assert await own.value("select happened_at <= now() from events")
