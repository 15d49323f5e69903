"""A database's cell: chosen while it is empty, and then in every number and key that it gives out."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from pushkeeper.core import cell
from pushkeeper.errors import BadRequest, Conflict
from pushkeeper.services.doctor import State, platform
from pushkeeper.store.admin import keys, workspaces
from pushkeeper.store.db import cells, migrate
from support.databases import bare_database, own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pushkeeper.services.doctor import Finding
    from pushkeeper.store.db.database import Database

CELL = 7
NUMBERED = """
    select attrelid::regclass::text as name, attname from pg_attribute
    where attidentity <> '' and attrelid in (
        select oid from pg_class where relnamespace = 'public'::regnamespace and not relispartition)
"""


@pytest_asyncio.fixture
async def empty(database: Database) -> AsyncIterator[Database]:
    """A migrated database of its own in which there is nothing."""
    async with own_database(database, connections=2) as opened:
        yield opened


@pytest_asyncio.fixture
async def seventh(empty: Database) -> Database:
    await cells.choose(empty, CELL)
    return empty


async def next_numbers(database: Database) -> dict[str, int]:
    """What the next row of each table will be numbered."""
    found = {}
    for row in await database.owned.rows(NUMBERED):
        sequence = f"nextval(pg_get_serial_sequence('{row['name']}', '{row['attname']}'))"
        found[row["name"]] = await database.owned.value(f"select {sequence}")
    return found


async def test_a_database_is_cell_0_until_it_is_made_another(empty: Database) -> None:
    assert await cells.of(empty) == 0
    numbers = await next_numbers(empty)
    assert len(numbers) > 15
    assert set(numbers.values()) == {1}


async def test_every_row_of_a_cell_has_a_number_of_that_cell(seventh: Database) -> None:
    assert await cells.of(seventh) == CELL
    assert set((await next_numbers(seventh)).values()) == {cell.first_number(CELL)}
    assert await cells.out_of_bounds(seventh) == []


@pytest.mark.parametrize("number", [0, CELL])
async def test_a_cell_never_gives_a_number_of_the_next_one(empty: Database, number: int) -> None:
    await cells.choose(empty, number)
    for row in await empty.owned.rows(NUMBERED):
        sequence = f"pg_get_serial_sequence('{row['name']}', '{row['attname']}')"
        await empty.owned.value(f"select setval({sequence}, {cell.last_number(number)})")
        with pytest.raises(asyncpg.SequenceGeneratorLimitExceededError):
            await empty.owned.value(f"select nextval({sequence})")


async def test_the_keys_of_a_cell_begin_with_it_and_open_its_workspace(seventh: Database) -> None:
    made, first = await workspaces.create(seventh, "shop")
    assert cell.of_number(made.workspace_id) == CELL
    more = {kind: await keys.make(seventh, made.workspace_id, kind) for kind in ("track", "app", "cdp")}
    for key in (
        *(first.site_id, first.api_key, first.app_api_key, first.write_key),
        *(part for one in more.values() for part in (one.secret, one.key_id)),
    ):
        assert key.startswith("k007")
    for site, key in ((first.site_id, first.api_key), (more["track"].key_id, more["track"].secret)):
        holder = await workspaces.holder_of_site(seventh, site)
        assert holder is not None
        assert holder.matches(key)
    for kind, key in (("app", first.app_api_key), ("cdp", first.write_key), ("app", more["app"].secret)):
        holder = await workspaces.holder_of_key(seventh, kind, key)  # type: ignore[arg-type]
        assert holder is not None
        assert holder.matches(key)
    # As much of a key is random where it names its cell.
    assert {len(one.key_id) for one in await keys.of_workspace(seventh, made.workspace_id)} == {
        4 + 20,
        4 + 12,
    }


async def test_a_key_that_names_no_cell_stays_valid(seventh: Database) -> None:
    made, _ = await workspaces.create(seventh, "shop")
    key = secrets.token_hex(20)
    await seventh.rows(
        "insert into keys (kind, key_id, workspace_id, secret_hash) values ('app', $1, $2, $3)",
        key[:12],
        made.workspace_id,
        workspaces.hash_of_key(key),
    )
    holder = await workspaces.holder_of_key(seventh, "app", key)
    assert holder is not None
    assert holder.matches(key)


async def test_a_cell_stays_what_it_is(seventh: Database) -> None:
    await workspaces.create(seventh, "shop")
    await cells.choose(seventh, CELL)
    for other in (0, 8):
        with pytest.raises(Conflict, match="is cell 7"):
            await cells.choose(seventh, other)
    assert await cells.of(seventh) == CELL


async def make_a_workspace(database: Database) -> None:
    await workspaces.create(database, "shop")


async def make_a_user(database: Database) -> None:
    await database.rows("insert into users (name, key, role) values ('Ann', 'ann', 'admin')")


async def note_something(database: Database) -> None:
    await database.rows("insert into audit_log (user_name, action) values ('Ann', 'login')")


@pytest.mark.parametrize("fill", [make_a_workspace, make_a_user, note_something])
async def test_a_database_with_rows_cannot_become_another_cell(
    empty: Database, fill: Callable[[Database], Awaitable[None]]
) -> None:
    await fill(empty)
    await cells.choose(empty, 0)
    with pytest.raises(Conflict, match="has rows in"):
        await cells.choose(empty, CELL)
    assert await cells.of(empty) == 0
    assert await cells.out_of_bounds(empty) == []


async def test_a_transaction_that_numbers_a_row_meanwhile_is_waited_for(empty: Database) -> None:
    other = await asyncpg.connect(empty.url)
    inserting = other.transaction()
    await inserting.start()
    await other.execute("insert into workspaces (name) values ('shop')")
    choosing = asyncio.create_task(cells.choose(empty, CELL))
    waits = "select exists (select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database()))"
    while not await other.fetchval(waits):
        assert not choosing.done()
    await inserting.commit()
    with pytest.raises(Conflict, match="has rows in workspaces"):
        await choosing
    await other.close()


@pytest.mark.parametrize("number", [-1, cell.MOST + 1, 1 << 40])
async def test_there_are_only_so_many_cells(empty: Database, number: int) -> None:
    with pytest.raises(BadRequest, match="from 0 to 999"):
        await cells.choose(empty, number)


async def of_doctor(database: Database) -> Finding:
    [found] = [one for one in await platform.schema(database) if one.check == "cell"]
    return found


@pytest.mark.parametrize("number", [0, CELL])
async def test_what_a_later_migration_numbers_is_numbered_by_the_cell(empty: Database, number: int) -> None:
    await cells.choose(empty, number)
    await empty.owned.value("create table later (later_id bigint generated always as identity, what text)")
    said = await of_doctor(empty)
    assert (said.state, "later_later_id_seq" in said.said) == (State.WRONG, True)
    await migrate.migrate(empty)
    said = await of_doctor(empty)
    assert (said.state, said.said) == (State.OK, str(number))
    assert await empty.owned.value(
        "insert into later default values returning later_id"
    ) == cell.first_number(number)


async def test_a_database_without_a_schema_is_cell_0(database: Database) -> None:
    async with bare_database(database) as bare:
        assert await cells.of(bare) == 0
