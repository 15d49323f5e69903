"""The watchdog: detects that PostgreSQL no longer responds, and disconnects its callers."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from pushkeeper.errors import PushkeeperError, Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

log = logger("database")

_LOOK_EVERY_S = 0.5
_SUSPICIOUS_S = 1.5
_ASK_S = 2.0
_ATTEMPTS = 2  # one that our own process slept through is no proof


class Watchdog:
    """Probes the server while a statement runs for long and no other statement finishes meanwhile.

    A statement may take long, or wait for a lock; then the server still answers others. One that is frozen or cut off
    responds to nobody: its callers are disconnected, and new ones are rejected until it responds again.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], on_silence: Callable[[], Awaitable[None]]) -> None:
        """`ask` makes a connection and asks something; `on_silence` is to cut off who waits, as that got no answer."""
        self._ask = ask
        self._on_silence = on_silence
        self._waiting: dict[object, float] = {}
        self._answered_at = 0.0
        self._silent = False
        self._looking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Check that the server responded to the last probe.

        Raises:
            Unreachable: it did not.
        """
        if self._silent:
            raise Unreachable("the database does not answer")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look whether the server answers, while this takes long."""
        this = object()
        self._waiting[this] = time.monotonic()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
            self._answered_at = time.monotonic()
        finally:
            del self._waiting[this]

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            while self._waiting or self._silent:
                await asyncio.sleep(_LOOK_EVERY_S)
                # Nobody is let in while it is silent: this must not end before it is known to answer.
                with isolated(log, "database_not_looked_at"):
                    await self._look_once()
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        if self._silent:
            self._silent = not await self._answers()
            if not self._silent:
                log.info("database_answers_again")
        elif self._is_suspicious() and not await self._answers(_ATTEMPTS):
            self._silent = True
            log.warning("database_does_not_answer", cut_off=len(self._waiting))
            await self._on_silence()

    def _is_suspicious(self) -> bool:
        since = max(min(self._waiting.values(), default=time.monotonic()), self._answered_at)
        return time.monotonic() - since > _SUSPICIOUS_S

    async def _answers(self, attempts: int = 1) -> bool:
        for _ in range(attempts):
            try:
                async with asyncio.timeout(_ASK_S):
                    await self._ask()
            except asyncpg.PostgresError:
                pass  # it refuses, which is an answer
            except (PushkeeperError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                continue
            self._answered_at = time.monotonic()
            return True
        return False
