"""The process that looks after those that answer, all at one socket, and those that send; it does neither itself."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pushkeeper.cli.children import Child, Children, workers
from pushkeeper.cli.common import on_signals
from pushkeeper.interprocess import Place, SharedMemory
from pushkeeper.interprocess.metrics import SUPERVISOR
from pushkeeper.services.metrics_snapshot import publish

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from pushkeeper.config import Settings
    from pushkeeper.services.metrics_snapshot import MetricsSnapshot


async def supervise(
    settings: Settings,
    snapshot: MetricsSnapshot,
    listener: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Keep all processes of a service running until a signal comes; `ready` is called once all have been.

    They inherit the socket: connections queued for a process that dies are accepted by another.
    """
    with SharedMemory.made(settings.processes) as memory:
        answering = [_answering(slot, listener, memory) for slot in range(1, settings.processes + 1)]
        sending = workers(max(settings.workers, 1)) if settings.worker else []
        fleet = Children(settings, [*answering, *sending])

        def stop() -> None:
            # Callers are rejected as soon as no child listens any more.
            listener.close()
            fleet.stop()

        on_signals(stop)
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(publish(snapshot, Place(memory, SUPERVISOR).figures)),
                group.create_task(_announce(answering, ready)),
            ]
            await fleet.run()
            for task in beside:
                task.cancel()


def _answering(slot: int, listener: socket.socket, memory: SharedMemory) -> Child:
    name = f"api-{slot}"
    inherits = (listener.fileno(), memory.fd)
    return Child(
        kind="api",
        name=name,
        command=("serve", "--child", name, "--inherited", *map(str, (*inherits, slot))),
        inherits=inherits,
        ended=partial(memory.occupy, slot, 0),
    )


async def _announce(answering: Sequence[Child], ready: Callable[[], None]) -> None:
    for child in answering:
        await child.ready.wait()
    ready()
