"""Uvicorn within limits.

Under TLS it accepts connections by itself, so that they are counted before their handshake; and beside other processes at the
same socket, so that each gets its share.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import uvicorn

from pushkeeper.web.capacity import Capacity
from pushkeeper.web.protocol import BoundedProtocol
from pushkeeper.web.refusal import Refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pushkeeper.interprocess.turns import Turns
    from pushkeeper.web.limits import Limits

_AT_ONCE = 32  # connections accepted before others are answered
_NO_TIMEOUT_S = 86_400.0
_REST_S = 0.1  # when the system has no more files
_HEARD_S = 0.5  # of the end: for connections that have not said yet what they want
_HEARD_AGAIN_S = 0.01
_TURN_S = 0.001  # from one look whose turn it is to the next


class Server(uvicorn.Server):
    """Uvicorn within limits, told when to stop by us, and telling us when it listens."""

    def __init__(
        self, config: uvicorn.Config, limits: Limits, ready: Callable[[], None], turns: Turns | None = None
    ) -> None:
        """`turns` says when another process at the same socket is to accept."""
        super().__init__(config)
        self.capacity = Capacity(limits)
        self._turns = turns
        if turns is not None:
            self.capacity.report = turns.report
        self._ready = ready
        self._listeners: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # any context manager will do
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept at the sockets."""
        self._loop = asyncio.get_running_loop()
        self.servers = []
        for listener in sockets or ():
            if self.config.ssl is None and self._turns is None:
                self.servers.append(
                    await self._loop.create_server(
                        self._connection, sock=listener, backlog=self.config.backlog
                    )
                )
            else:
                self._listeners.append(listener)
                listener.settimeout(0)
                self._loop.add_reader(listener, self._accept, listener)
        self._sweep()
        self.started = True
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end as uvicorn does."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        self._listeners.clear()
        await self._accept_pending()
        while (arriving := self.capacity.arriving.oldest()) is not None:
            self.capacity.forget(arriving)
            arriving.drop()
        await super().shutdown(sockets)
        if self._timer is not None:
            self._timer.cancel()

    async def _accept_pending(self) -> None:
        """Give a connection that was accepted a moment ago the time to say what it wants: its request is on the way."""
        waitings = (self.capacity.arriving, self.capacity.heads)
        until = self._loop.time() + _HEARD_S
        while (  # noqa: ASYNC110 - the end is rare, and every connection would need an event
            any(one.oldest() is not None for one in waitings) and self._loop.time() < until
        ):
            await asyncio.sleep(_HEARD_AGAIN_S)

    def _sweep(self) -> None:
        """Periodically close connections whose time is up."""
        now, every_s = self._loop.time(), min(1.0, self.capacity.limits.shortest_s / 4)
        # After something kept the event loop busy, what has arrived meanwhile is read first.
        is_late = self._timer is not None and now - self._timer.when() > every_s
        self._timer = self._loop.call_at(now + every_s, self._sweep)
        if not is_late:
            self.capacity.sweep(now)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if self._turns is not None and not self._turns.is_ours:
                self._loop.remove_reader(listener)
                self._wait_for_turn(listener, self._loop.time() + self._turns.patience_s)
                return
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        """Accept a connection; whether there may be another."""
        try:
            client, _address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError:  # no more files, or no memory for one
            self.capacity.make_room()
            self._loop.remove_reader(listener)
            self._loop.call_later(_REST_S, self._accept_again, listener)
            return False
        self._admit(client)
        return True

    def _wait_for_turn(self, listener: socket.socket, until: float) -> None:
        """Leave a connection to another process; but that may hang, and then it is taken here."""
        if self._turns is None or self._turns.is_ours or self._loop.time() >= until:
            self._accept_again(listener)
        else:
            self._loop.call_later(_TURN_S, self._wait_for_turn, listener, until)

    def _accept_again(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)
            self._accept_one(listener)

    def _connection(self) -> BoundedProtocol:
        return BoundedProtocol(self.config, self.server_state, self.capacity)

    def _admit(self, client: socket.socket) -> None:
        connection = self._connection()
        if self.capacity.admit(connection, self._loop.time()):
            client.settimeout(0)
            connection.arrival = self._loop.create_task(self._shake_hands(connection, client))
            return
        if self.config.ssl is None:
            with suppress(OSError):
                client.settimeout(0)
                client.send(Refusal.CONNECTIONS.response)
        client.close()

    async def _shake_hands(self, connection: BoundedProtocol, client: socket.socket) -> None:
        """Hand the socket over to the event loop; who fails at TLS is gone."""
        # How long may be sent for after `close` is a matter of how much is taken, which the capacity looks after.
        timeout_s = None if self.config.ssl is None else _NO_TIMEOUT_S
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, client, ssl=self.config.ssl, ssl_shutdown_timeout=timeout_s
            )
        except OSError:
            pass
        finally:
            connection.arrival = None
            if not connection.is_made:
                self.capacity.forget(connection)
