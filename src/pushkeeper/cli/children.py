"""Child processes of a service: each started again when it dies, and all ended with the service."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pushkeeper import config
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence

    from pushkeeper.config import Settings

log = logger("fleet")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0  # who ran so long and died did not die of its start
DRAINED_WITHIN_S = 15.0
BEAT_S = 1.0
# Beats that a child may miss; and before its first one, in which Python has yet to load all.
MISSED_BEATS = 10
MISSED_AT_START = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child process; `kind` is its name in metrics.

    Attributes:
        name: the `process` field of its log lines.
        command: the arguments of `pushkeeper`.
        inherits: the file descriptors that it inherits.
        ended: called each time it exits.
        ready: set by the first non-empty line on its standard output; empty lines are its heartbeat.
    """

    kind: str
    name: str
    command: tuple[str, ...]
    inherits: tuple[int, ...] = ()
    ended: Callable[[], None] = lambda: None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


def workers(count: int) -> list[Child]:
    """So many that send."""
    names = [f"worker-{number}" for number in range(1, count + 1)]
    return [Child(kind="worker", name=name, command=("worker", "--child", name)) for name in names]


class Children:
    """Children that are kept running until told to stop."""

    def __init__(self, settings: Settings, children: Sequence[Child], *, beat_s: float = BEAT_S) -> None:
        """A child whose heartbeat was not heard for ten times `beat_s` is killed, and started again."""
        self._settings = settings
        self._beat_s = beat_s
        self._children = children
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let all of them drain; `run` returns once they have ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep each of them running until stopped."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._keep(child))

    async def _keep(self, child: Child) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started_at = time.monotonic()
            ending = await self._run(child)
            child.ended()
            if self._stopping.is_set():
                return
            deaths = 0 if time.monotonic() - started_at > STEADY_AFTER_S else deaths + 1
            wait_s = pause_s(deaths)
            PROCESS.count(Metric.CHILD_EXITS, child.kind).value += 1
            log.warning("child_process_ended", child=child.name, **ending, again_in_s=wait_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()

    async def _run(self, child: Child) -> dict[str, object]:
        """Start one and wait for its end; how it ended, for the log."""
        with isolated() as tried:  # no memory, files or processes left: it is tried again
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pushkeeper", *child.command, "--json"),
                # The kernel closes our end when we are killed, and so ends it too.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=config.environment(self._settings, os.environ),
                pass_fds=child.inherits,
            )
        if tried.error is not None:
            return {"error": str(tried.error) or type(tried.error).__name__}
        log.info("child_process_started", child=child.name, pid=process.pid)
        return {"pid": process.pid, "code": await self._until_its_end(child, process)}

    async def _until_its_end(self, child: Child, process: Process) -> int:
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        hanging = asyncio.create_task(self._until_it_hangs(child, process))
        try:
            await asyncio.wait({ended, stopping, hanging}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not ended.done():
                process.terminate()
        if hanging.done() and hanging.exception() is None:
            process.kill()
        try:
            return await self._within_drain(child, process, ended)
        finally:
            hanging.cancel()

    async def _within_drain(self, child: Child, process: Process, ended: asyncio.Task[int]) -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_WITHIN_S):
                return await asyncio.shield(ended)
        log.warning("child_process_does_not_end", child=child.name, pid=process.pid)
        process.kill()
        return await ended

    async def _until_it_hangs(self, child: Child, process: Process) -> None:
        """Hear a child's heartbeat until that stops, as its event loop does, or is stopped.

        What counts is how often nothing was heard, not for how long: this process may have been stopped itself.
        """
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        missed, most = 0, MISSED_AT_START
        while missed < most:
            try:
                async with asyncio.timeout(self._beat_s):
                    line = await process.stdout.readline()
            except TimeoutError:
                missed += 1
                continue
            if not line:
                await asyncio.Event().wait()  # it has closed it: its end is near
            missed, most = 0, MISSED_BEATS
            if line.strip():
                child.ready.set()
        log.error(
            "child_process_hangs", child=child.name, pid=process.pid, silent_s=round(missed * self._beat_s, 1)
        )


def pause_s(deaths: int) -> float:
    """How long to wait after so many deaths in a row: longer each time, half a minute at most."""
    return float(min(FIRST_PAUSE_S * 2 ** min(max(deaths - 1, 0), 10), LONGEST_PAUSE_S))


@asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """In a child: send the parent heartbeats while the event loop runs."""
    beating = asyncio.create_task(_beat(sys.stdout.fileno()))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(fd: int) -> None:
    while True:
        # It is closed once the parent is gone, and full while that is stopped.
        with suppress(OSError):
            if select.select([], [fd], [], 0)[1]:
                os.write(fd, b"\n")
        await asyncio.sleep(BEAT_S)


def end_with_parent() -> None:
    """In a child: be told to stop when the parent is gone, and end in any case, whatever hangs, once there was time to drain."""
    stdin = sys.stdin.fileno()

    def wait() -> None:
        # Nobody ever writes to it: that it can be read is its end.
        os.read(stdin, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(DRAINED_WITHIN_S)
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()
