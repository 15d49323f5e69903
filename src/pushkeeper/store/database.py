"""PostgreSQL: the pool, transactions, and the named queries of `sql/*.sql`."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager, suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec

from pushkeeper.core.delivery_id import DeliveryIds
from pushkeeper.core.model import Secret
from pushkeeper.errors import BadRequest, Misconfigured, TooLarge, TooSlow, Unreachable
from pushkeeper.store.statements import Statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

T = TypeVar("T")
Row: TypeAlias = "Mapping[str, Any]"


class Connection(Protocol):
    """What we use of the driver's connection."""

    async def fetch(self, query: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, query: str, *args: object) -> Row | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...  # noqa: ANN401 - a column has any type
    async def execute(self, query: str, *args: object) -> str: ...


WORK_CHANNEL = "pushkeeper_work"  # NOTIFY on it says that something is due
PLAN_CHANNEL = "pushkeeper_plan"
GONE_CHANNEL = "pushkeeper_gone"  # NOTIFY on it names devices that are gone, or somebody else's now
HALT_CHANNEL = "pushkeeper_halt"  # NOTIFY on it says that a message is to be sent no more, or not now
ROUTES_CHANNEL = "pushkeeper_routes"  # NOTIFY on it says that routes stand otherwise now

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_OLDEST_SERVER = 150_000
# Our statements run for milliseconds: compiling one costs more than it could ever save, and so does reading a whole
# table for the thousand rows of a slice, which the planner would do for disks that turn.
_SERVER_SETTINGS = {"jit": "off", "random_page_cost": "1.1", "application_name": "pushkeeper"}
TENANT, JOBS = "pushkeeper_tenant", "pushkeeper_jobs"
_FOR_SURVEYS = "set local work_mem = '64MB'; set local plan_cache_mode = force_custom_plan"
_LONGEST_SURVEY_S = 50.0
_SURVEYED = ("people", "devices")
_FIRST_LOOK = 8  # transactions
_MANY = 300  # rows; of fewer, even each with each is soon joined
_SMALL_WITHIN_S = 10.0  # of a workspace with fewer: it takes as long as that only where the machine is busy
_FAR_OFF = 20  # times as many as the server expects
# Only the owner may; somebody else may look already, or clean.
_LOOKING_AGAIN = "set local role none; set local lock_timeout = '2s'"

_NOT_ANSWERING = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    # What the driver says when the server's farewell came just before the query.
    asyncpg.InternalClientError,
)
_HOLDING_NUL = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_NOT_LETTING_US_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


class Connections(NamedTuple):
    """How many connections a pool has in use and idle, and how many it may have."""

    busy: int
    idle: int
    most: int


def load_queries(name: str) -> Mapping[str, str]:
    """The queries of `sql/<name>.sql` by name; a query runs to the next `-- name:` line."""
    return read_queries(
        resources.files("pushkeeper.store").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    )


def read_queries(text: str) -> Mapping[str, str]:
    """The queries of a text by name."""
    parts = _NAME.split(text)
    return {parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)}


def storable(text: str) -> str:
    """Somebody else's text without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as the columns that `unnest` takes; `width` of them, even of no rows."""
    return [[row[n] for row in rows] for n in range(width)]


SQL = load_queries("database")


class Database(Statements):
    """A pool of connections to one PostgreSQL; by itself for what crosses workspaces, by `of` for what is of some.

    Raises:
        Unreachable: from any method, when the server does not answer.
        BadRequest: from any method, when a text holds the character NUL.
        TooLarge: from any method, when an identifier is longer than an index can hold.
    """

    def __init__(self, url: str, delivery_ids: DeliveryIds, connections: int = 1) -> None:
        """Take an address; nothing is asked of it yet."""
        super().__init__(self._acquired, self._transaction)
        self._pool = asyncpg.create_pool(
            url,
            min_size=1,
            max_size=connections,
            init=self._prepare,
            server_settings=_SERVER_SETTINGS,
            reset=_nothing,
            timeout=10,
            command_timeout=60,
        )
        self.url = url
        self.delivery_ids = delivery_ids
        self._rows_are_secured = False
        self._known: set[tuple[int, str]] = set()
        self._learning = asyncio.Lock()
        self._commits = 0
        self._looking: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, url: str, *, connections: int = 10, delivery_ids: DeliveryIds | None = None
    ) -> Database:
        """Connect to `postgresql://…`, version 15 or newer.

        `delivery_ids` makes the public ids of what is in it; without, they are good for as long as this object lives.

        Raises:
            Misconfigured: the address is malformed, the server too old, or it refuses the user or database named.
            Unreachable: nothing answers there.
        """
        if not url.startswith(("postgresql://", "postgres://")):
            raise Misconfigured("database URL: expected postgresql://user@host:port/name")
        database = cls(url, delivery_ids or DeliveryIds(Secret(os.urandom(32))), connections)
        try:
            await database._pool
            version = await database.value("select current_setting('server_version_num')::int")
            await database.secure_rows(secured=await database.value(SQL["secured"]))
        except _NOT_ANSWERING as error:
            raise Unreachable(f"database URL: no PostgreSQL answers at {where(url)}") from error
        except _NOT_LETTING_US_IN as error:
            raise Misconfigured(f"database URL: PostgreSQL at {where(url)} refuses: {error}") from error
        except (ValueError, asyncpg.InterfaceError) as error:
            raise Misconfigured(f"database URL: {where(url)} is not usable: malformed address") from error
        if version < _OLDEST_SERVER:
            await database.close()
            raise Misconfigured(f"database URL: PostgreSQL 15 or newer is needed, {where(url)} is older")
        return database

    @property
    def connections(self) -> Connections:
        """How many there are now."""
        idle = self._pool.get_idle_size()
        return Connections(self._pool.get_size() - idle, idle, self._pool.get_max_size())

    async def close(self) -> None:
        """Give back every connection; what still runs is cut off after five seconds."""
        for looking in self._looking:
            looking.cancel()
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[asyncpg.Connection]:
        with _translated(self.url):
            async with self._pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._acquired() as connection, connection.transaction():
            yield connection
        self._committed()

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        await connection.set_type_codec(
            "jsonb",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
            schema="pg_catalog",
        )
        await self._take_role(connection)

    async def _take_role(self, connection: asyncpg.Connection) -> None:
        if self._rows_are_secured:
            await connection.execute(f"set role {JOBS}")

    def of(self, *workspaces: int) -> Statements:
        """What belongs to these workspaces: what is run by it can neither see nor change anything else."""
        if not self._rows_are_secured:
            return self
        numbers = ",".join(map(str, workspaces))
        begin = f"begin; set local role {TENANT}; set local pushkeeper.workspaces = '{{{numbers}}}'"
        return Statements(lambda: self._begun(begin), lambda: self._begun(begin))

    @property
    def owned(self) -> Statements:
        """The schema itself, and what only its owner may know of the server."""
        return Statements(self._as_owner, lambda: self._begun("begin; set local role none"))

    async def secure_rows(self, *, secured: bool) -> None:
        """From now on run all that crosses workspaces by a role for that, and what is of some by one that sees no others."""
        if secured != self._rows_are_secured:
            self._rows_are_secured = secured
            await self._pool.expire_connections()

    @property
    def rows_are_secured(self) -> bool:
        """Whether workspaces are kept apart by row-level security too (store/row_security.py)."""
        return self._rows_are_secured

    @asynccontextmanager
    async def _as_owner(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._acquired() as connection:
            if self._rows_are_secured:
                await connection.execute("set role none")
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await self._take_role(connection)

    @asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that begins so, in one round trip."""
        async with self._acquired() as connection:
            await connection.execute(begin)
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")
        self._committed()

    async def survey(
        self, query: str, workspace: int, *args: object, within_s: float = _LONGEST_SURVEY_S
    ) -> list[Row]:
        """The rows of a query over much of a workspace, its $1: planned for these very arguments, with memory to sort in.

        What is asked of a small workspace is soon answered: it is not given up because the machine does something else.

        Raises:
            TooSlow: it takes longer than it is given.
        """
        if await self.know(workspace):
            within_s = max(within_s, _SMALL_WITHIN_S)
        settings = f"{_FOR_SURVEYS}; set local statement_timeout = {max(int(within_s * 1000), 1)}"
        async with self._acquired() as connection, connection.transaction(readonly=True):
            await connection.execute(settings)
            try:
                found: list[Row] = await connection.fetch(query, workspace, *args)
            except asyncpg.QueryCanceledError:
                raise TooSlow(f"what is asked takes longer than {within_s:g} s") from None
        return found

    async def know(self, workspace: int) -> bool:
        """Let the server's statistics know of a workspace before much of it is read; whether there is not much to be read.

        By itself the server looks at a table again when a tenth of it has changed, and a minute later. Of a workspace that was
        filled since it expects next to nothing, and joins its people with its devices each with each.
        """
        unknown = [table for table in _SURVEYED if (workspace, table) not in self._known]
        if not unknown:
            return False
        async with self._learning, self._acquired() as connection:
            found = {table: await _held(connection, table, workspace) for table in unknown}
            many = {(workspace, table) for table, (held, _) in found.items() if held == _MANY}
            with suppress(asyncpg.LockNotAvailableError):
                if any(held == _MANY > _FAR_OFF * expected for held, expected in found.values()):
                    async with connection.transaction():
                        await connection.execute(_LOOKING_AGAIN)
                        await connection.execute(SQL["look_again"])
                self._known |= many
        return not many and len(unknown) == len(_SURVEYED)

    def _committed(self) -> None:
        """Look at sizes after 8 transactions, after 16, 32 and so on: a new database grows fast, an old one does not."""
        self._commits += 1
        if self._commits >= _FIRST_LOOK and self._commits & (self._commits - 1) == 0:
            looking = asyncio.create_task(self._look_again())
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

    async def _look_again(self) -> None:
        with suppress(Unreachable, asyncpg.LockNotAvailableError):
            outgrown = [row["name"] for row in await self.rows(SQL["outgrown"])]
            if outgrown:
                async with self._acquired() as connection, connection.transaction():
                    await connection.execute(f"{_LOOKING_AGAIN}; analyze {', '.join(outgrown)}")

    async def outside_transactions(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` as the schema's owner, each statement for itself: what PostgreSQL does in no transaction."""
        async with self._as_owner() as connection:
            return await work(connection)

    @asynccontextmanager
    async def listening(
        self, heard: Sequence[tuple[str, Callable[[str], None]]]
    ) -> AsyncIterator[asyncio.Event]:
        """Call what is given for channels, with what is said, at every NOTIFY; the event is set when the wire is lost."""
        lost = asyncio.Event()
        with _translated(self.url):
            connection = await asyncpg.connect(self.url, timeout=10)
        connection.add_termination_listener(lambda _: lost.set())
        try:
            with _translated(self.url):
                for channel, call in heard:
                    await connection.add_listener(channel, _told(call))
            yield lost
        finally:
            with suppress(*_NOT_ANSWERING, asyncpg.InterfaceError):
                await connection.close(timeout=2)


def where(url: str) -> str:
    """The address without its user and password."""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query).get("host", ["a socket"])[0]
        return f"{host}:{parts.port or 5432}{parts.path}"
    return "that address"


class _translated:  # noqa: N801 - reads as a phrase: `with _translated(url)`
    """The one border at which the driver's exceptions become ours."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        lost = isinstance(error, _NOT_ANSWERING) and not isinstance(error, asyncio.CancelledError)
        if lost or (isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)):
            raise Unreachable(f"the database at {where(self._url)} does not answer") from error
        if isinstance(error, _HOLDING_NUL):
            raise BadRequest("text", "text: the character NUL cannot be stored") from error
        if isinstance(error, asyncpg.ProgramLimitExceededError):
            raise TooLarge("identifier", "identifier: too long to be stored") from error


def _told(call: Callable[[str], None]) -> Callable[..., None]:
    return lambda *said: call(said[-1])


async def _held(connection: asyncpg.Connection, table: str, workspace: int) -> tuple[int, int]:
    """How many rows a workspace has in a table, as far as many, and how many the server expects."""
    held: int = await connection.fetchval(SQL["held"].replace("{table}", table), workspace, _MANY)
    told = await connection.fetchval(SQL["expected"].replace("{table}", table), workspace)
    [plan] = msgspec.json.decode(told)
    return held, plan["Plan"]["Plan Rows"]


async def _nothing(_: asyncpg.Connection) -> None:
    """No query leaves a connection other than it found it, so none is spent on resetting it."""
