"""Worker processes beside the API: each started again when it dies, and all ended with the service."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pushkeeper import config
from pushkeeper.telemetry import logger

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from pushkeeper.config import Settings

log = logger("fleet")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0  # who ran so long and died did not die of its start
DRAINED_WITHIN_S = 15.0


class Fleet:
    """So many `pushkeeper worker` processes, kept at that number until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let all of them drain; `run` returns once they have ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep `settings.workers` of them running until stopped."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.workers):
                group.create_task(self._keep_one())

    async def _keep_one(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started_at = time.monotonic()
            ending = await self._run_one()
            if self._stopping.is_set():
                return
            deaths = 0 if time.monotonic() - started_at > STEADY_AFTER_S else deaths + 1
            wait_s = pause_s(deaths)
            log.warning("worker_process_ended", **ending, again_in_s=wait_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()

    async def _run_one(self) -> dict[str, object]:
        """Start one and wait for its end; how it ended, for the log."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pushkeeper", "worker", "--until-eof"),
                # The kernel closes our end when we are killed, and so ends it too.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env=config.environment(self._settings, os.environ),
            )
        except OSError as error:
            return {"error": str(error)}
        log.info("worker_process_started", pid=process.pid)
        return {"pid": process.pid, "code": await self._until_its_end(process)}

    async def _until_its_end(self, process: Process) -> int:
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not ended.done():
                process.terminate()
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(ended), DRAINED_WITHIN_S)
        log.warning("worker_process_does_not_end", pid=process.pid)
        process.kill()
        return await ended


def pause_s(deaths: int) -> float:
    """How long to wait after so many deaths in a row: longer each time, half a minute at most."""
    return float(min(FIRST_PAUSE_S * 2 ** min(max(deaths - 1, 0), 10), LONGEST_PAUSE_S))
