"""Connections to addresses that users name: to no private or local one, unless the operator allows it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the client raises, or lets through, when the other side is not to be had.
NOT_ANSWERING = (
    TimeoutError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


class Checked(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was looked at, so that a name cannot lead elsewhere in between."""

    def __init__(self, *, may_be_private: bool) -> None:
        self._may_be_private = may_be_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"no address of {host}: {error.strerror}") from error
        for *_, address in found:
            if self._may_be_private or ipaddress.ip_address(address[0]).is_global:
                return await self._backend.connect_tcp(
                    str(address[0]), port, timeout, local_address, socket_options
                )
        raise httpcore.ConnectError(f"{host} is at a private or local address, which is not called")
