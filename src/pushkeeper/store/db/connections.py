"""Connections to PostgreSQL: all are made here, host by host, and none is waited for without a limit."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakSet

import asyncpg
from asyncpg import connect_utils

from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db.driver_errors import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logger("database")

CONNECT_S = 3.0  # one host
STATEMENT_CACHE_SIZE = 100
_DEFAULT_PORT = 5432

# A peer that acknowledges nothing for ten seconds is gone: its host, its network, or the entry in a firewall's table.
_USER_TIMEOUT_MS = 10_000
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
# Our statements run for milliseconds: compiling one costs more than it could ever save, and so does reading a whole
# table for the thousand rows of a slice, which the planner would do for disks that turn. The server watches its end of
# the wire as we watch ours, and stops a statement that nobody waits for any more.
_SERVER_SETTINGS = {
    "jit": "off",
    "random_page_cost": "1.1",
    "application_name": "pushkeeper",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(_USER_TIMEOUT_MS),
    "client_connection_check_interval": "5s",
}


class Host(NamedTuple):
    """A host of an address: its name, its IP address, or the folder of its Unix socket."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class Connection(asyncpg.Connection):  # type: ignore[misc] # it has no types
    """A connection that is closed when its peer is silent, and that knows its host and whether it is in use."""

    __slots__ = ("host", "in_use")

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:  # noqa: ANN401 - the driver's own
        super().__init__(protocol, transport, *rest)
        self.host: Host | None = None
        self.in_use = False
        _watch_the_wire(transport.get_extra_info("socket"))

    def itself(self) -> Connection:
        """The connection behind what a pool lends."""
        return self

    def cut_off(self) -> None:
        """End it at once, and have the server cancel what it does for it.

        By itself the server would notice after seconds that nobody waits; in a commit that waits for a standby, never.
        """
        if self._protocol is None:
            return
        cancelling = asyncio.get_running_loop().create_task(
            _cancel(self._addr, self._params, self._protocol.backend_pid, self._protocol.backend_secret)
        )
        _cancellations.add(cancelling)
        cancelling.add_done_callback(_cancellations.discard)
        self.terminate()


def _watch_the_wire(wire: socket.socket) -> None:
    if wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**_KEEPALIVE, "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS}.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
            wire.setsockopt(socket.IPPROTO_TCP, option, value)


_cancellations: set[asyncio.Task[None]] = set()


async def _cancel(address: Any, parameters: Any, pid: int, secret: int) -> None:  # noqa: ANN401 - the driver's own
    """Ask a server to cancel what a process of it does."""
    with isolated() as tried:  # the server looks by itself, in a while
        async with asyncio.timeout(CONNECT_S):
            await connect_utils._cancel(  # noqa: SLF001 - what it has in public waits for the server
                loop=asyncio.get_running_loop(),
                addr=address,
                params=parameters,
                backend_pid=pid,
                backend_secret=secret,
            )
    if tried.error is not None:
        log.info("statement_not_cancelled", error=str(tried.error) or type(tried.error).__name__)


class Connector:
    """Makes connections to the hosts that an address names, one host after the other.

    The driver's own time-out is for all hosts together, so that one that hangs would be all that is ever tried. Here each
    has three seconds; the one that answered last is tried first, and one that hung is tried last.
    """

    def __init__(
        self, url: str, *, statement_cache_size: int, session: str, on_move: Callable[[], Awaitable[None]]
    ) -> None:
        """Take an address, a malformed one is a ValueError; `on_move` is called when another host than before answers.

        Of several hosts, one is wanted with a `session` of that kind, unless the address says which.
        """
        self._url = url
        self._hosts: list[Host | None] = [*hosts_of(url)] or [None]  # None: where the driver looks by itself
        self._options: dict[str, Any] = {
            "server_settings": _SERVER_SETTINGS,
            "statement_cache_size": statement_cache_size,
            "timeout": CONNECT_S,
        }
        if len(self._hosts) > 1 and not _says_which_session(url):
            self._options["target_session_attrs"] = session
        self._current: Host | None = None
        self._made: WeakSet[Connection] = WeakSet()
        self._on_move = on_move

    async def __call__(self, **options: Any) -> Connection:  # noqa: ANN401 - the driver's own
        """Connect, to the first host that answers and is of the kind that the address asks for.

        It raises what the driver raises, for `driver_errors.translated`.

        Raises:
            Unreachable: some answer, and none takes writes.
        """
        options = {"connection_class": Connection, **options}
        trouble: Exception | None = None
        mismatched = False
        for host in tuple(self._hosts):
            try:
                made = await self._connected(host, options)
            except asyncpg.TargetServerAttributeNotMatched:
                mismatched = True
            except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
                trouble = trouble or error
                if isinstance(error, TimeoutError):
                    self._try_last(host)
            except BaseException:  # the caller no longer waits
                self._try_last(host)
                raise
            else:
                await self._is_at(host)
                return made
        if mismatched or trouble is None:
            raise ReadOnly("the database has no server that takes writes", retry_after_s=5)
        raise trouble

    async def _connected(self, host: Host | None, options: dict[str, Any]) -> Connection:
        place = {} if host is None else {"host": host.name, "port": host.port}
        try:
            made: Connection = await asyncpg.connect(self._url, **place, **self._options, **options)
        except asyncpg.ProtocolViolationError as error:
            # What PgBouncer says to parameters that it does not know. There they would be one server connection's and
            # everybody's, so that they are left to the database's own settings.
            if "server_settings" not in self._options:
                raise
            log.warning("pooler_refuses_parameters", at=where(self._url), error=str(error))
            del self._options["server_settings"]
            return await self._connected(host, options)
        made.host = host
        self._made.add(made)
        return made

    def leave(self, unwanted: Callable[[Connection], bool]) -> int:
        """End connections, in use or not; how many."""
        left = [made for made in self._made if not made.is_closed() and unwanted(made)]
        for made in left:
            made.terminate()
        return len(left)

    async def _is_at(self, host: Host | None) -> None:
        if host != self._hosts[0]:
            self._hosts.remove(host)
            self._hosts.insert(0, host)
        before, self._current = self._current, host
        if before is not None and before != host:
            log.warning("database_moved", before=str(before), now=str(host))
            self.leave(lambda made: made.host != host)
            await self._on_move()

    def _try_last(self, host: Host | None) -> None:
        self._hosts.remove(host)
        self._hosts.append(host)


def hosts_of(url: str) -> list[Host]:
    """The hosts of an address, or of the environment where it names none, as the driver reads them; ValueError if malformed."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    named = unquote(parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc)
    names = [name for name in (named or query.get("host") or os.environ.get("PGHOST", "")).split(",") if name]
    given = ("" if named else query.get("port", "")) or os.environ.get("PGPORT", "")
    ports = [int(port) for port in given.split(",") if port] or [_DEFAULT_PORT]
    if len(ports) == 1:
        ports *= len(names)
    # Of a port too many or too few the driver says what is wrong.
    return [_host(name, port) for name, port in zip(names, ports, strict=True)]


def _host(text: str, port: int) -> Host:
    if text.startswith("/"):
        return Host(text, port)
    name, _, rest = text[1:].partition("]") if text.startswith("[") else text.partition(":")
    number = rest.lstrip(":")
    return Host(name, int(number) if number else port)


def _says_which_session(url: str) -> bool:
    return (
        "target_session_attrs" in dict(parse_qsl(urlsplit(url).query)) or "PGTARGETSESSIONATTRS" in os.environ
    )


def where(url: str) -> str:
    """The address without its user and password."""
    with suppress(ValueError):
        hosts = ",".join(map(str, hosts_of(url))) or "a socket"
        return f"{hosts}{urlsplit(url).path}"
    return "that address"
