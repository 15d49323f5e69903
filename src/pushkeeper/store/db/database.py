"""PostgreSQL: the pool, transactions, and the named queries of the `.sql` files."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.identifier_hash import IdentifierHashes
from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured
from pushkeeper.observability.isolation import each
from pushkeeper.store.db import opening, patience, streams, surveys, unreadable
from pushkeeper.store.db.connections import STATEMENT_CACHE_SIZE, where
from pushkeeper.store.db.listening import listening
from pushkeeper.store.db.pools import Pools, ended_on_error
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.replica import Replica
from pushkeeper.store.db.statements import Reads, Statements
from pushkeeper.store.db.statistics import Statistics
from pushkeeper.store.db.unreadable import UnreadableRows

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.db.pools import PoolUsage

T = TypeVar("T")

WORK_CHANNEL = "pushkeeper_work"  # NOTIFY on it says that something is due
PLAN_CHANNEL = "pushkeeper_plan"
GONE_CHANNEL = "pushkeeper_gone"  # NOTIFY on it names devices that are gone, or somebody else's now
HALT_CHANNEL = "pushkeeper_halt"  # NOTIFY on it: a message is cancelled or paused
ROUTES_CHANNEL = "pushkeeper_routes"  # NOTIFY on it: the state of routes changed

_SCHEMES = ("postgresql://", "postgres://")
_OLDEST_SERVER = 150_000
TENANT, JOBS = "pushkeeper_tenant", "pushkeeper_jobs"
# "$user" in a search path is the role that is taken, and the tables lie where the session's user made them.
_KEEP_SCHEMA = (
    "select set_config('search_path', array_to_string(array(select quote_ident(schema) "
    "from unnest(current_schemas(false)) schema), ', '), false)"
)
# What reads much may take long, but not because somebody has a table locked.
_NO_LONG_LOCKS = f"set local lock_timeout = '{patience.ANSWER_S:g}s'"
_FOR_SURVEYS = f"set local work_mem = '64MB'; set local plan_cache_mode = force_custom_plan; {_NO_LONG_LOCKS}"


def storable(text: str) -> str:
    """Somebody else's text without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as the columns that `unnest` takes; `width` of them, even of no rows."""
    return [[row[n] for row in rows] for n in range(width)]


# By these names all of the store has them from here.
SQL = load_queries(__name__)


class Database(Statements):
    """A pool of connections to one PostgreSQL; itself across workspaces, `of` for some of them.

    Raises:
        Unreachable: from any method, when the server does not answer, or cannot run the statement now.
        BadRequest: from any method, when a text holds the character NUL, or a time is out of bounds (decision 0031).
        TooLarge: from any method, when an identifier is longer than an index can hold.
    """

    def __init__(
        self,
        url: str,
        delivery_ids: DeliveryIds,
        connections: int = 1,
        *,
        statement_cache_size: int = STATEMENT_CACHE_SIZE,
        embedded: bool = False,
    ) -> None:
        """Take an address; nothing is connected yet."""
        # Without a name a statement is prepared and run in two steps, and a pooler may have each done by another server
        # process, but for those of one transaction.
        alone = self._acquired if statement_cache_size else self._transaction
        self._statistics = Statistics(alone)
        super().__init__(alone, self._transaction, self._statistics.committed)
        self._pools = Pools(url, statement_cache_size=statement_cache_size)
        self._pool = self._pools.add(connections, self._prepare)
        self._survey_pool = self._pools.add(surveys.AT_ONCE, self._prepare_for_surveys)
        self._surveys = surveys.Surveys(
            self._acquired_for_survey, surveys.of_one_here() if embedded else surveys.OF_ONE_WORKSPACE
        )
        self.streams = streams.Streams(self._pools, self._prepare_for_surveys, self._role)
        self._statement_cache_size = statement_cache_size
        self._embedded = embedded
        self.url = url
        self.delivery_ids = delivery_ids
        self.replica: Replica | None = None
        self._rows_are_secured = False
        self.is_pooled = False
        self.unreadable = UnreadableRows(alone)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        connections: int = 10,
        statement_cache_size: int = STATEMENT_CACHE_SIZE,
        delivery_ids: DeliveryIds | None = None,
        embedded: bool = False,
    ) -> Database:
        """Connect to `postgresql://…`, version 15 or newer; `embedded`: we run its processes.

        `delivery_ids` creates the public IDs of its deliveries; without it, they are valid for the lifetime of this object.

        Raises:
            Misconfigured: the address is malformed, the server too old, or it refuses the user or database named.
            Unreachable: nothing answers there.
        """
        if not url.startswith(_SCHEMES):
            raise Misconfigured("database URL: expected postgresql://user@host:port/name")
        ids = delivery_ids or DeliveryIds(Secret(os.urandom(32)))
        try:
            database = cls(
                url, ids, connections, statement_cache_size=statement_cache_size, embedded=embedded
            )
        except ValueError as error:
            raise opening.malformed(url) from error
        try:
            await database._begin()
        except BaseException:
            await database.close()
            raise
        return database

    async def _begin(self) -> None:
        self._pools.logs = False  # the caller is notified
        try:
            await self._pools.open()
            async with self._alone() as connection:
                version, pid = await connection.fetchrow(SQL["session"])
                # A pooler makes up a process of its own, by which it cancels.
                self.is_pooled = pid != connection.get_server_pid()
            await self.secure_rows(secured=await self.value(SQL["secured"]))
        except Exception as error:
            if (ours := opening.refusal(error, self.url)) is None:
                raise
            raise ours from error
        self._pools.logs = True
        if version < _OLDEST_SERVER:
            raise Misconfigured(f"database URL: PostgreSQL 15 or newer is needed, {where(self.url)} is older")

    async def add_replica(self, url: str, *, max_lag_s: float) -> None:
        """From now on read what is read of much from a standby, while it is at most so far behind.

        Raises:
            Misconfigured: the address is malformed.
        """
        if not url.startswith(_SCHEMES):
            raise Misconfigured("replica_url: expected postgresql://user@host:port/name")
        try:
            pools = Pools(url, statement_cache_size=self._statement_cache_size, session="standby")
        except ValueError as error:
            raise Misconfigured(f"replica_url: {where(url)} is not usable: malformed address") from error
        self.replica = Replica(pools, _prepare_replica, self.row, max_lag_s=max_lag_s)
        await self.replica.open()

    @property
    def connections(self) -> PoolUsage:
        """How many there are now."""
        return self._pools.connections

    # Valid for the lifetime of this process, until replaced by those of an installation.
    hashes = IdentifierHashes(Secret(os.urandom(32)))

    def grew(self) -> None:
        """Much was written: plans that are made for small tables may be outgrown."""
        self._statistics.look()

    async def close(self) -> None:
        """Give back every connection; what still runs is cut off after five seconds."""
        self._statistics.close()
        self.unreadable.close()
        await self._pools.close()
        if self.replica is not None:
            await self.replica.close()

    def _acquired(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        return self._pools.acquired(self._pool)

    def _acquired_for_survey(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        return self._pools.acquired(self._survey_pool, may_take_long=True)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._acquired() as connection, connection.transaction():
            yield connection
        self._statistics.committed()

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        await _prepare(connection)
        await self._take_role(connection)

    async def _prepare_for_surveys(self, connection: asyncpg.Connection) -> None:
        await self._prepare(connection)
        if self._embedded:
            surveys.be_nice(connection)

    async def _take_role(self, connection: asyncpg.Connection) -> None:
        # Session settings there leak to the next client: across workspaces, statements run as the database's user.
        if self._rows_are_secured and not self.is_pooled:
            await connection.execute(f"{_KEEP_SCHEMA}; set role {JOBS}")

    def of(self, *workspaces: int) -> Statements:
        """What belongs to these workspaces: what is run by it can neither see nor change anything else."""
        if not self._rows_are_secured:
            return self
        begin = f"begin; {_as_tenant(*workspaces)}"
        return Statements(lambda: self._begun(begin), lambda: self._begun(begin))

    def reading(self, *workspaces: int) -> Reads:
        """What is read for reports and series, of some workspaces or of all: from the replica where there is one."""
        begin = self._role(*workspaces)

        def begun() -> AbstractAsyncContextManager[asyncpg.Connection]:
            return self._begun(f"begin read only; {_NO_LONG_LOCKS}; {begin}", may_take_long=True)

        here = Statements(begun, begun)
        if (replica := self.replica) is None:
            return here

        async def ask(work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
            return await replica.read(
                work, begin=begin, within_s=surveys.LONGEST_S, otherwise=lambda: here.ask(work)
            )

        return Reads(ask)

    def turn_to_survey(self, workspace: int) -> AbstractAsyncContextManager[None]:
        """A workspace's turn to run surveys (`surveys.in_turn`)."""
        return self._surveys.place(workspace)

    def surveying(self, workspace: int, *, within_s: float = surveys.LONGEST_S) -> Reads:
        """What is read of much of a workspace, by its role: on the connections of surveys, and in turn (`survey`)."""

        async def ask(work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
            async with self._surveys.place(workspace):
                return await self._survey(work, within_s, workspace)

        return Reads(ask)

    async def _survey(
        self, work: Callable[[asyncpg.Connection], Awaitable[T]], within_s: float, *workspaces: int
    ) -> T:
        """Run a survey in the caller's turn, as the role of these workspaces or of all."""
        begin = f"{_FOR_SURVEYS}; {self._role(*workspaces)}; {surveys.niceness(embedded=self._embedded)}"

        async def here() -> T:
            async with self._surveys.begun(begin, within_s) as connection:
                return await work(connection)

        if self.replica is None:
            return await here()
        return await self.replica.read(work, begin=begin, within_s=within_s, otherwise=here)

    def _role(self, *workspaces: int) -> str:
        """What a transaction begins with that reads as these workspaces, or as all."""
        if not self._rows_are_secured:
            return ""
        return _as_tenant(*workspaces) if workspaces else f"set local role {JOBS}"

    @property
    def owned(self) -> Statements:
        """The schema itself, and what only its owner may know of the server."""
        return Statements(self._as_owner, lambda: self._begun("begin; set local role none"))

    async def secure_rows(self, *, secured: bool) -> None:
        """From now on run all that crosses workspaces by a role for that, and what is of some by one that sees no others."""
        if secured != self._rows_are_secured:
            self._rows_are_secured = secured
            await self._pools.open_again()

    @property
    def rows_are_secured(self) -> bool:
        """Whether workspaces are kept apart by row-level security too (store/db/row_security.py)."""
        return self._rows_are_secured

    @asynccontextmanager
    async def _as_owner(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._acquired() as connection:
            if self._rows_are_secured and not self.is_pooled:
                await connection.execute("set role none")
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    with ended_on_error(connection):  # nobody else is lent the owner's role
                        await self._take_role(connection)

    @asynccontextmanager
    async def _begun(self, begin: str, *, may_take_long: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that begins so, in one round trip."""
        async with self._pools.acquired(self._pool, may_take_long=may_take_long) as connection:
            await connection.execute(begin)
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")
        self._statistics.committed()

    async def survey(
        self, query: str, workspace: int, *args: object, within_s: float = surveys.LONGEST_S
    ) -> list[Row]:
        """The rows of a query over much of a workspace ($1): planned for these arguments, with more memory for sorting.

        A query of a small workspace is fast: it is not cancelled because the machine is busy.

        Raises:
            TooSlow: it takes longer than its limit.
            TooManyRequests: too many surveys of the workspace wait already.
        """
        async with self._surveys.place(workspace):
            if await self.know(workspace):
                within_s = max(within_s, surveys.SMALL_WITHIN_S)

            async def work(connection: asyncpg.Connection) -> list[Row]:
                found: list[Row] = await connection.fetch(query, workspace, *args)
                return found

            return await self._survey(work, within_s)

    def readable(
        self,
        rows: Iterable[Row],
        read: Callable[[Row], T],
        *,
        table: str,
        key: str,
        workspace: int | None = None,
    ) -> list[T]:
        """Read each row; one that cannot be read is skipped, and recorded by its key.

        The workspace is that of the rows, where it is not given.
        """

        def failed(row: Row, error: Exception) -> None:
            self.unreadable.note(workspace or row["workspace_id"], table, row[key], error)

        found: list[T] = []
        each(rows, lambda row: found.append(read(row)), failed)
        return found

    async def know(self, workspace: int) -> bool:
        """Let the server's statistics know of a workspace before much of it is read; whether there is not much to be read."""
        return await self._statistics.know(workspace)

    async def outside_transactions(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` as the schema's owner, each statement for itself: what PostgreSQL does in no transaction."""
        async with self._as_owner() as connection:
            return await work(connection)

    def listening(
        self, heard: Sequence[tuple[str, Callable[[str], None]]]
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        """Call the listeners of channels with the payload of every NOTIFY; the event is set when the connection is lost."""
        return listening(self._pools, lambda name: self.value("select pg_notify($1, '')", name), heard)


async def _prepare(connection: asyncpg.Connection) -> None:
    async with connection.transaction():  # it asks for the type, by a statement as any other
        await connection.set_type_codec(
            "jsonb",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=unreadable.decoded,
            schema="pg_catalog",
        )


async def _prepare_replica(connection: asyncpg.Connection) -> None:
    await _prepare(connection)
    await connection.execute(_KEEP_SCHEMA)


def _as_tenant(*workspaces: int) -> str:
    numbers = ",".join(map(str, workspaces))
    return f"set local role {TENANT}; set local pushkeeper.workspaces = '{{{numbers}}}'"
