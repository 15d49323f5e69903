"""Renders messages: quick texts here, all others in a process that has limits and may die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.messages.liquid import Budget, RenderBudgetExceeded, RenderError
from pushkeeper.core.messages.personalize import BadContent
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.rendering.frames import (
    LENGTH_BYTES,
    Group,
    Message,
    NotRendered,
    Rendered,
    RenderReply,
    Said,
    framed,
)

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

    from pushkeeper.core.messages.personalize import MessageRenderer, RenderContext
    from pushkeeper.core.model import Platform, WorkspaceId

log = logger("rendering")

DEADLINE_S = 1.0  # of CPU, for one push; the budget is used up in about a tenth of it
MEMORY_BYTES = 384 * 2**20
LOCAL_UNITS = 20_000  # some milliseconds, at worst
_GROUP = 64
_STARTS_WITHIN_S = 20.0
ANSWERS_WITHIN_S = 20.0  # of the clock: what the kernel did not end by then hangs
_MAX_JOBS = 100  # of a workspace, that wait
LATE_S = 2.0  # how long a late result is still rendered, for a retry
_AT_ONCE_S = 0.005  # of rendering here, before others have their turn on the loop
_FAILED = NotRendered("it could not be rendered")
_TOO_MUCH = NotRendered("Liquid: too much work")
_KEPT_OF_ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "PYTHONPATH", "TZ")

Reader: TypeAlias = "tuple[RenderContext, Platform]"


@dataclass(slots=True)
class _Job:
    """A pending job: the remaining readers, and the results of the others.

    Attributes:
        alone: how many are rendered one by one, as one of them ended the process.
        deaths: how often the process ended with the first of those that are left, alone.
    """

    message: msgspec.Raw
    left: deque[tuple[int, Reader]]
    said: list[Said | None]
    alone: int = 0
    deaths: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Renderer:
    """One for each process of ours; the rendering process is started when something is first rendered in it."""

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        memory_bytes: int = MEMORY_BYTES,
        answers_within_s: float = ANSWERS_WITHIN_S,
    ) -> None:
        """`deadline_s` is the CPU that one push may take; `memory_bytes` is what the process may allocate."""
        self._answers_within_s = answers_within_s
        self._limits = (str(deadline_s), str(memory_bytes))
        self._jobs: OrderedDict[WorkspaceId, deque[_Job]] = OrderedDict()
        self._serving: asyncio.Task[None] | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The ID of the rendering process; None without one."""
        return None if self._process is None else self._process.pid

    async def say(
        self,
        workspace: WorkspaceId,
        speaker: MessageRenderer,
        readers: Sequence[Reader],
        *,
        within_s: float | None = None,
    ) -> list[Said | None]:
        """What a message says to each of some readers; None for those whose turn did not come in `within_s`.

        In their places the list is filled in later, for `LATE_S`. It is not where too much of the workspace waits already.
        """
        said: list[Said | None] = [None] * len(readers)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s) as limit:
                await _here(speaker, readers, said)
                left = deque((place, readers[place]) for place, one in enumerate(said) if one is None)
                if left:
                    await self._there(workspace, speaker, left, said, limit)
        return said

    async def _there(
        self,
        workspace: WorkspaceId,
        speaker: MessageRenderer,
        left: deque[tuple[int, Reader]],
        said: list[Said | None],
        limit: asyncio.Timeout,
    ) -> None:
        """Let the process render a message for those who are left."""
        jobs = self._jobs.setdefault(workspace, deque())
        if len(jobs) >= _MAX_JOBS:
            return
        told = msgspec.json.encode(Message(speaker.content, speaker.wording))
        job = _Job(msgspec.Raw(told), left, said)
        jobs.append(job)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            await job.done.wait()
        finally:
            if limit.expired():
                asyncio.get_running_loop().call_later(LATE_S, left.clear)
            else:
                # Nobody waits for the others any more.
                left.clear()

    async def aclose(self) -> None:
        """End the process."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        for job in (job for jobs in self._jobs.values() for job in jobs):
            job.done.set()
        self._jobs.clear()
        await self._end()

    async def _serve(self) -> None:
        """Render the jobs, one workspace after the other."""
        while self._jobs:
            workspace, jobs = next(iter(self._jobs.items()))
            self._jobs.move_to_end(workspace)
            job = jobs[0]
            with isolated(log, "rendering_error") as tried:
                if job.left:
                    await self._step(job)
            if tried.error is not None:
                while job.left:
                    job.said[job.left.popleft()[0]] = _FAILED
            if not job.left:
                job.done.set()
                jobs.popleft()
            if not jobs:
                del self._jobs[workspace]

    async def _step(self, job: _Job) -> None:
        """Let the process render some of a job's readers."""
        taken = [job.left[n] for n in range(min(1 if job.alone else _GROUP, len(job.left)))]
        try:
            process = self._process or await self._start()
        except (OSError, EOFError, TimeoutError) as error:
            # The recipients are not at fault: they are retried later.
            code = await self._end()
            log.error("rendering_process_does_not_start", code=code, error=str(error))  # noqa: TRY400 - it is no bug
            job.left.clear()
            return
        try:
            said = await self._ask(process, Group(job.message, [whom for _, whom in taken]))
        except (OSError, EOFError, TimeoutError, msgspec.DecodeError) as error:
            code = await self._end()
            log.warning("rendering_process_ended", code=code, error=type(error).__name__)
            if len(taken) > 1:
                job.alone = len(taken)
                return
            job.deaths += 1
            # What ended it may have been somebody else; its own time, once, is reason enough.
            if code != -signal.SIGPROF and job.deaths < 2:  # noqa: PLR2004 - a second chance
                return
            said = [_TOO_MUCH]
        for (place, _), one in zip(taken, said, strict=False):
            job.said[place] = one
            if job.left:
                job.left.popleft()
        job.alone, job.deaths = max(job.alone - 1, 0), 0

    async def _ask(self, process: Process, group: Group) -> list[Said]:
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        async with asyncio.timeout(self._answers_within_s):
            process.stdin.write(framed(msgspec.json.encode(group)))
            await process.stdin.drain()
            return (await _answer(process)).said

    async def _start(self) -> Process:
        started_at = time.monotonic()
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pushkeeper.rendering.child", *self._limits),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT_OF_ENVIRONMENT if name in os.environ},
        )
        async with asyncio.timeout(_STARTS_WITHIN_S):
            await _answer(process)
        log.info("rendering_process_started", pid=process.pid, took_s=round(time.monotonic() - started_at, 3))
        return process

    async def _end(self) -> int | None:
        """End the process, if there is one, however it is; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


async def _answer(process: Process) -> RenderReply:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    head = await process.stdout.readexactly(LENGTH_BYTES)
    body = await process.stdout.readexactly(int.from_bytes(head, "big"))
    return msgspec.json.decode(body, type=RenderReply)


async def _here(speaker: MessageRenderer, readers: Sequence[Reader], said: list[Said | None]) -> None:
    """Say to everybody what is quick, until somebody needs more than may be had here."""
    began = time.monotonic()
    for place, (reader, platform) in enumerate(readers):
        try:
            if speaker.is_quick_for(reader):
                said[place] = Rendered(speaker.say(reader, platform, Budget(LOCAL_UNITS)))
        except RenderBudgetExceeded:
            return
        except (RenderError, BadContent) as error:
            said[place] = NotRendered(str(error))
        except Exception as error:
            log.exception("person_not_rendered")
            said[place] = NotRendered(f"unexpected error ({type(error).__name__}); see the log")
        if time.monotonic() - began > _AT_ONCE_S:
            await asyncio.sleep(0)
            began = time.monotonic()
