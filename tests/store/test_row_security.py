"""The second lock: what is run for a workspace sees no other, whatever its statement forgets."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from pushkeeper.services.doctor import State, platform
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.driver import Connection

TENANTS = (
    "select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid "
    "where a.attname = 'workspace_id' and c.relkind in ('r', 'p') and not c.relispartition order by 1"
)


async def two(database: Database) -> tuple[WorkspaceId, WorkspaceId]:
    made = [(await workspaces.create(database, secrets.token_hex(8)))[0].workspace_id for _ in range(2)]
    for workspace in made:
        await database.rows("insert into people (workspace_id) values ($1)", workspace)
    return made[0], made[1]


async def seen(database: Database, *of: WorkspaceId) -> set[WorkspaceId]:
    rows = await database.of(*of).rows("select distinct workspace_id from people")
    return {row["workspace_id"] for row in rows}


async def test_a_statement_that_names_no_workspace_sees_those_that_it_was_begun_for(
    database: Database,
) -> None:
    one, other = await two(database)
    assert database.rows_are_secured
    assert await seen(database, one) == {one}
    assert await seen(database, one, other) == {one, other}
    assert await seen(database) == set()


async def test_nothing_is_put_into_or_changed_in_another(database: Database) -> None:
    one, other = await two(database)
    own = database.of(one)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.rows("insert into people (workspace_id) values ($1)", other)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.rows("update people set workspace_id = $1", other)
    await own.rows("delete from people")
    assert await seen(database, one, other) == {other}


@pytest.mark.parametrize("table", ["users", "sessions", "user_links", "workers", "migrations"])
async def test_what_is_no_workspaces_is_not_there_for_any(database: Database, table: str) -> None:
    one, _ = await two(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.of(one).rows(f"select * from {table}")


async def test_every_table_of_tenants_is_locked(database: Database) -> None:
    """Also one that a later migration makes: the tables are those that there are."""
    one, other = await two(database)
    tables = [row["name"] for row in await database.rows(TENANTS)]
    assert len(tables) > 40
    for table in tables:
        rows = await database.of(one).rows(f"select distinct workspace_id from {table}")
        assert other not in {row["workspace_id"] for row in rows}, table
        assert await database.owned.value(
            "select relrowsecurity from pg_class where oid = to_regclass($1)", table
        )


async def test_neither_role_changes_the_schema(database: Database) -> None:
    one, _ = await two(database)
    for run in (database, database.of(one)):
        for ddl in (
            "drop table people",
            "alter table people disable row level security",
            "create table t (n int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await run.rows(ddl)


async def test_a_scope_ends_with_its_transaction_however_that_ends(database: Database) -> None:
    one, _ = await two(database)
    used: list[object] = []

    async def fail(connection: Connection) -> None:
        used.append(connection)
        await connection.execute("insert into people (workspace_id) values ($1)", one)
        raise LookupError

    with pytest.raises(LookupError):
        await database.of(one).in_transaction(fail)
    rows = await database.of(one).rows("select * from people")
    assert len(rows) == 1, "it was rolled back"
    assert await database.value("select current_user") == "pushkeeper_jobs"
    assert await database.value("select coalesce(current_setting('pushkeeper.workspaces', true), '')") == ""


async def plain_user(database: Database, *roles: str, grant: str = "") -> tuple[Database, Database]:
    """A database of a user who may make no roles, opened by that user and by an administrator."""
    name = f"plain_{secrets.token_hex(6)}"
    await database.owned.value(f"create role {name} login nosuperuser nocreaterole")
    await database.owned.value(f"create database {name} owner {name}")
    for role in roles:
        await database.owned.value(f"grant {role} to {name} {grant}")
    address = urlsplit(database.url)._replace(path=f"/{name}")
    host = address.netloc.rpartition("@")[2]
    return await Database.open(address._replace(netloc=f"{name}@{host}").geturl(), connections=2), database


async def gone(plain: Database, admin: Database) -> None:
    name = urlsplit(plain.url).path[1:]
    await plain.close()
    await admin.owned.value(f"drop database {name} with (force)")
    await admin.owned.value(f"drop role {name}")


@pytest.mark.parametrize("roles", [(), ("pushkeeper_tenant", "pushkeeper_jobs")], ids=["without", "with"])
async def test_a_user_who_may_make_no_roles_works_with_those_that_there_are_or_without(
    database: Database, roles: Sequence[str]
) -> None:
    plain, admin = await plain_user(database, *roles)
    try:
        assert not plain.rows_are_secured
        await migrate.migrate(plain)
        assert plain.rows_are_secured == bool(roles)
        one, other = await two(plain)
        assert await seen(plain, one) == ({one} if roles else {one, other})
        again = await Database.open(plain.url)
        assert again.rows_are_secured == bool(roles)
        await again.close()
        *_, finding = await platform.schema(plain)
        assert (finding.check, finding.state) == ("row security", State.OK if roles else State.ATTENTION)
        assert await migrate.migrate(plain) == []
    finally:
        await gone(plain, admin)


async def test_a_user_who_made_the_roles_takes_them(database: Database) -> None:
    """Since PostgreSQL 16 such a user may grant the roles, but not take them before that; those of 15 may do both."""
    version = await database.value("select current_setting('server_version_num')::int")
    grant = "with admin option" if version < 160_000 else "with admin true, inherit false, set false"
    plain, admin = await plain_user(database, "pushkeeper_tenant", "pushkeeper_jobs", grant=grant)
    try:
        await migrate.migrate(plain)
        assert plain.rows_are_secured
        assert await plain.value("select current_user") == "pushkeeper_jobs"
        one, _ = await two(plain)
        assert await seen(plain, one) == {one}
    finally:
        await gone(plain, admin)
