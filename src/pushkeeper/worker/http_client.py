"""Connections to addresses that users configure: checked by `core.destination`, and pinned to the checked address."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import httpcore
import psutil

from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from pushkeeper.core.destination import Destinations

    Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

log = logger("outbound")

# What the client raises, or lets through, when the other side is not to be had.
NOT_ANSWERING = (
    TimeoutError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
# One text for all, so that it can't be used to ask what our DNS and our network know. The log says which.
CANNOT_CALL = (
    "the address of the URL can't be called: its host name doesn't resolve, resolves to an address that isn't public, "
    "or nothing accepts connections there"
)
# The system's resolver blocks, for half a minute where a name server does not answer. Its threads are our own, so that
# the lookups of the push services don't wait behind those that users cause.
_MOST_LOOKUPS = 128
# What each address but the last is given to accept a connection, so that one that is out of order does not use up all time.
_ATTEMPT_S = 1.0


class Checked(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that it has checked; no name is resolved a second time in between.

    A host name is called only where every address of its answer may be: a mixed answer is a mistake or an attack.
    """

    def __init__(self, destinations: Destinations, *, resolve: Resolver | None = None) -> None:
        self._destinations = destinations
        self._resolve = resolve or _SystemResolver()
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._permitted(host, port)
        for number, address in enumerate(addresses, start=1):
            within_s = timeout if number == len(addresses) else min(timeout or _ATTEMPT_S, _ATTEMPT_S)
            try:
                return await self._backend.connect_tcp(address, port, within_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                log.info(
                    "address_not_connected",
                    host=host,
                    address=address,
                    port=port,
                    why=str(error) or type(error).__name__,
                )
        raise httpcore.ConnectError(CANNOT_CALL)

    async def _permitted(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, all of which may be called."""
        try:
            addresses = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, ValueError, OverflowError) as error:
            log.warning("host_not_resolved", host=host, why=str(error))
            raise httpcore.ConnectError(CANNOT_CALL) from None
        own = _own_addresses()
        refused = [one for one in addresses if not self._destinations.permit(host, one, own)]
        if refused or not addresses:
            log.warning("address_refused", host=host, addresses=addresses, refused=refused)
            raise httpcore.ConnectError(CANNOT_CALL)
        return addresses


class _SystemResolver:
    """Resolve a name by the system: its files, its name servers."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MOST_LOOKUPS)

    async def __call__(self, host: str, port: int) -> list[str]:
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def end(result: list[str] | BaseException) -> None:
            self._slots.release()
            if found.cancelled():
                return
            if isinstance(result, BaseException):
                found.set_exception(result)
            else:
                found.set_result(result)

        def look_up() -> None:
            addresses: list[str] = []
            with isolated() as tried:  # raised where it is waited for
                answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = [str(address[0]) for *_, address in answer]
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, tried.error or addresses)

        # A thread that does not keep the process from ending, as those of an executor do.
        threading.Thread(target=look_up, name="lookup", daemon=True).start()
        return await found


def _own_addresses() -> frozenset[str]:
    """The addresses of this machine's interfaces: they are behind our own firewall."""
    return frozenset(one.address for addresses in psutil.net_if_addrs().values() for one in addresses)
