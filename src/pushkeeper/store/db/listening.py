"""Listening: hearing what is notified, and finding out in seconds that nothing is heard any more."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import driver_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from pushkeeper.store.db.connections import Connection
    from pushkeeper.store.db.pools import Pools

log = logger("database")

LISTENING = "pushkeeper listening"  # its application_name in pg_stat_activity
BEAT_S = 3.0
HEARD_WITHIN_S = 5.0


class NotHeard(Unreachable):
    """The server takes LISTEN and NOTIFY, but what is notified does not arrive."""


@asynccontextmanager
async def listening(
    pools: Pools,
    notify: Callable[[str], Awaitable[object]],
    heard: Sequence[tuple[str, Callable[[str], None]]],
) -> AsyncIterator[asyncio.Event]:
    """Call the listeners of channels with the payload of every NOTIFY; the event is set when the connection is lost.

    The connection notifies itself every three seconds: a connection that was cut looks like an idle one. `notify`
    notifies a channel as others do, by another connection, for the first time.

    Raises:
        Unreachable: the server does not answer; `NotHeard`: the notification did not arrive, because a pooler shares
            sessions between clients.
    """
    lost, pulse = asyncio.Event(), asyncio.Event()
    channel = f"pushkeeper_pulse_{uuid4().hex}"
    connection: Connection | None = None
    beating: asyncio.Task[None] | None = None
    try:
        try:
            connection = await pools.connect(command_s=HEARD_WITHIN_S)
            connection.add_termination_listener(lambda _: lost.set())
            await connection.execute(f"set application_name = '{LISTENING}'")
            for name, call in (*heard, (channel, lambda _: pulse.set())):
                await connection.add_listener(name, _payload_for(call))
        except Exception as error:
            if (ours := driver_errors.translated(error, connecting=True)) is None:
                raise
            raise ours from error
        await notify(channel)
        await _heard(pulse)
        beating = asyncio.create_task(_beat(connection, channel, pulse, lost))
        yield lost
    finally:
        if beating is not None:
            beating.cancel()
        if connection is not None:
            await _closed(connection)


async def _beat(connection: Connection, channel: str, pulse: asyncio.Event, lost: asyncio.Event) -> None:
    try:
        with isolated() as tried:  # whatever it was, no more is heard
            while True:
                await asyncio.sleep(BEAT_S)
                pulse.clear()
                await connection.execute(f"notify {channel}")
                await _heard(pulse)
        log.warning("notifications_not_heard", error=str(tried.error) or type(tried.error).__name__)
    finally:
        lost.set()


async def _heard(pulse: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(HEARD_WITHIN_S):
            await pulse.wait()
    except TimeoutError:
        raise NotHeard("the database's notifications do not arrive") from None


def _payload_for(call: Callable[[str], None]) -> Callable[..., None]:
    return lambda *said: call(said[-1])


async def _closed(connection: Connection) -> None:
    with isolated() as tried:
        await connection.close(timeout=2)
    if tried.error is not None and driver_errors.translated(tried.error, connecting=True) is None:
        raise tried.error
