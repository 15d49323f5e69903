"""Erases what is left of people who are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.people import blocklist, erasures

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

log = logger("erasures")

WEBHOOKS_HAVE_S = 60.0
_AT_ONCE = 100  # of a workspace: they share their looks


class Eraser:
    """Looks every second whether there is something to erase; one workspace after the other, a hundred people each."""

    name = "erasures"
    look_every_s: float = 1.0
    channel: str | None = None

    def __init__(self, database: Database, *, webhooks_have_s: float = WEBHOOKS_HAVE_S) -> None:
        """`webhooks_have_s` is how long webhooks have to receive the last events, before they are erased too."""
        self._database = database
        self._webhooks_have_s = webhooks_have_s

    async def look(self) -> None:
        """Erase all that there is now; workspaces take turns."""
        await blocklist.hash_all(self._database)
        while waiting := await erasures.workspaces(self._database):
            claims = [await self._take_turn(workspace) for workspace in waiting]
            if not any(claims):  # others have them
                return

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _take_turn(self, workspace: WorkspaceId) -> int:
        claimed = await erasures.claim(self._database, workspace, most=_AT_ONCE)
        if claimed and not await self._erase(workspace, claimed):
            # One item is at fault: it fails alone.
            for one, alone in claimed.items():
                await self._erase(workspace, {one: alone})
        return len(claimed)

    async def _erase(self, workspace: WorkspaceId, claimed: dict[int, bool]) -> bool:
        over: list[int] = []
        with isolated(passing=Unreachable) as tried:
            over = await erasures.look(
                self._database, workspace, claimed, webhooks_have_s=self._webhooks_have_s
            )
        if tried.error is not None:
            # Its text may contain what is to be erased.
            failure = type(tried.error).__name__
            log.warning("erasure_failed", workspace=workspace, erasures=sorted(claimed), reason=failure)
            await erasures.put_off(self._database, workspace, sorted(claimed), failure)
            return False
        if over:
            log.info("erased", workspace=workspace, erasures=over)
        return True
