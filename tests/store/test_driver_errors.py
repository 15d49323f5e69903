"""What PostgreSQL says is sorted into what may be well another time, and what never is: every SQLSTATE, raised by the server."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import asyncpg
import pytest

from pushkeeper.errors import BadRequest, TooLarge, Unreachable
from pushkeeper.store.db import driver_errors
from pushkeeper.store.db.driver_errors import Busy, ReadOnly

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

# PostgreSQL's Appendix A, as the driver has it; what is no error cannot be raised.
ALL = sorted(
    {
        state
        for error in vars(asyncpg.exceptions).values()
        if inspect.isclass(error)
        and issubclass(error, asyncpg.PostgresError)
        and (state := getattr(error, "sqlstate", None))
    }
    - {"00000"}
)
NOT_NOW = {
    # The connection.
    *("08000", "08001", "08003", "08004", "08006", "08007", "08P01"),
    # What may be written, and how long it may take.
    *("25006", "25P03", "25P04", "55006", "55P03", "57014"),
    # Others were first.
    *("40000", "40001", "40002", "40003", "40P01"),
    # Disk, memory, connections, and other limits of the server.
    *("53000", "53100", "53200", "53300", "53400"),
    # Somebody intervenes: it stops, starts, or crashed.
    *("57000", "57P01", "57P02", "57P03", "57P04", "57P05"),
    # What the operating system refuses.
    *("58000", "58030", "58P01", "58P02", "58P03"),
    # A pooler in between has given the connection to others.
    *("26000", "42P05"),
}
OF_THE_CALLER = {"22021": BadRequest, "22P05": BadRequest} | dict.fromkeys(
    ("54000", "54001", "54011", "54023"), TooLarge
)


def raising(sqlstate: str) -> str:
    return f"do $$ begin raise exception using errcode = '{sqlstate}', message = 'as told'; end $$"


def test_all_there_are_are_tried() -> None:
    assert len(ALL) > 200
    assert set(ALL) > NOT_NOW | set(OF_THE_CALLER)


@pytest.mark.parametrize("sqlstate", ALL)
async def test_each_sqlstate_is_not_now_or_never(database: Database, sqlstate: str) -> None:
    expected = Unreachable if sqlstate in NOT_NOW else OF_THE_CALLER.get(sqlstate, asyncpg.PostgresError)
    with pytest.raises(expected) as raised:
        await database.value(raising(sqlstate))
    if isinstance(raised.value, Unreachable):
        assert raised.value.message.startswith("the database ")
        assert "as told" not in raised.value.message
        assert 1 <= raised.value.retry_after_s <= 10
    assert isinstance(raised.value, ReadOnly) == (sqlstate == "25006")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "53100", "57014", "23502"])
async def test_only_a_transaction_that_others_were_before_is_tried_again(
    database: Database, sqlstate: str
) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(raising(sqlstate))

    with pytest.raises((Unreachable, asyncpg.NotNullViolationError)):
        await database.in_transaction(work)
    assert tries == (5 if sqlstate.startswith("40") else 1)


@pytest.mark.parametrize(("sqlstate", "tries"), [("40001", 5), ("40P01", 5), ("53100", 1), ("23502", 1)])
async def test_a_change_of_one_statement_is_tried_again_as_a_transaction_is(
    database: Database, sqlstate: str, tries: int
) -> None:
    # What a sequence gave out stays given out.
    await database.owned.value("create sequence if not exists tries")
    await database.owned.value("grant all on sequence tries to public")
    before = await database.value("select nextval('tries')")
    with pytest.raises((Unreachable, asyncpg.NotNullViolationError)):
        await database.change(
            f"do $$ begin perform nextval('tries'); raise exception 'as told' using errcode = '{sqlstate}'; end $$"
        )
    assert await database.value("select nextval('tries')") - before - 1 == tries
    await database.owned.value("drop sequence tries")


async def test_a_change_of_one_statement_is_committed(database: Database) -> None:
    await database.owned.value("create table if not exists changes (number int primary key)")
    await database.owned.value("grant all on changes to public")
    await database.change("insert into changes values ($1) on conflict do nothing", 7)
    assert await database.value("select number from changes") == 7
    await database.owned.value("drop table changes")


async def test_a_statement_alone_that_others_were_before_says_so(database: Database) -> None:
    with pytest.raises(Busy):
        await database.value(raising("40P01"))


async def test_what_refuses_us_while_a_connection_is_made_is_not_for_ever(database: Database) -> None:
    """A password was changed, a database is being restored, a role is missing: a retry may succeed."""
    name = "refuses"
    await database.owned.value(f"create database {name}")
    here = await type(database).open(database.url.replace("/postgres?", f"/{name}?"), connections=1)
    await database.owned.value(f"drop database {name} with (force)")
    with pytest.raises(Unreachable, match=r"rejects connections|does not answer|shutting down"):
        await here.value("select 1")
    await database.owned.value(f"create database {name}")
    assert await here.value("select 1") == 1
    await here.close()
    await database.owned.value(f"drop database {name} with (force)")


async def test_on_a_server_that_became_read_only_connections_are_reopened(database: Database) -> None:
    """Where the address names several servers, or moves from one to the other, that is how the primary is found."""
    here = await type(database).open(database.url, connections=1)
    before = await here.value("select pg_backend_pid()")
    with pytest.raises(ReadOnly):
        await here.value(raising("25006"))
    assert await here.value("select pg_backend_pid()") != before
    await here.close()


async def test_a_missing_partition_is_not_now_as_somebody_makes_it(database: Database) -> None:
    await database.owned.value("create table parted (day date not null) partition by range (day)")
    with pytest.raises(Unreachable, match="has no partition for this day yet"):
        await database.owned.value("insert into parted values ('2026-11-30')")
    await database.owned.value("drop table parted")


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route to host"),
        TimeoutError(),
        ConnectionResetError(),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.TargetServerAttributeNotMatched("none of the hosts match"),
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        asyncpg.InterfaceError(
            "cannot call Connection.fetch(): connection has been released back to the pool"
        ),
        ExceptionGroup("several", [OSError(), TimeoutError()]),
    ],
    ids=repr,
)
def test_what_the_driver_says_of_the_way_is_not_now(error: Exception) -> None:
    assert isinstance(driver_errors.translated(error), Unreachable)
    assert not driver_errors.refuses_values(error)


@pytest.mark.parametrize(
    ("error", "of_values"),
    [
        (asyncpg.DataError("invalid input for query argument $1: 'x'"), True),
        (KeyError("a bug"), True),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), True),
        (RecursionError(), True),
        (MemoryError(), False),
        (asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"), False),
    ],
    ids=repr,
)
def test_what_is_raised_before_the_server_is_asked_is_never(error: Exception, of_values: bool) -> None:  # noqa: FBT001 - a case
    assert driver_errors.translated(error) is None
    assert driver_errors.refuses_values(error) == of_values


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)
def test_while_connecting_what_this_process_lacks_is_not_now(error: Exception) -> None:
    assert isinstance(driver_errors.translated(error, connecting=True), Unreachable)


@pytest.mark.parametrize("sqlstate", ALL)
def test_values_are_rejected_with_errors_of_values(sqlstate: str) -> None:
    error = asyncpg.PostgresError.new({"S": "ERROR", "C": sqlstate, "M": "as told"})
    assert driver_errors.refuses_values(error) == (sqlstate[:2] in {"22", "23", "54"})


async def test_a_reference_to_what_is_gone_is_never_and_costs_no_neighbour(database: Database) -> None:
    """It was tried again, as somebody may have deleted it just then; what it refers to does not come back."""
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(
            "insert into keys (kind, key_id, workspace_id, secret_hash) values ('app', 'x', -1, decode(repeat('00', 32), 'hex'))"
        )

    with pytest.raises(asyncpg.PostgresError) as raised:
        await database.in_transaction(work)
    assert (type(raised.value), tries) == (asyncpg.ForeignKeyViolationError, 5)


async def test_a_time_out_of_bounds_is_the_callers_fault(database: Database) -> None:
    with pytest.raises(BadRequest) as raised:
        await database.value("insert into workspaces (name, created_at) values ('never', 'infinity')")
    assert raised.value.field == "time"
