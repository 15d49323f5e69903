"""Plans broadcasts, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store import jobs

if TYPE_CHECKING:
    from pushkeeper.services.broadcasts.planner import Planning
    from pushkeeper.store.jobs import Claim


class Planner:
    """How a broadcast is planned."""

    def __init__(self, planning: Planning, *, most_batches: int = jobs.MOST_BATCHES) -> None:
        """`most_batches` is how many of one broadcast may wait in the queue before its plan does."""
        self.kind = jobs.plan(most_batches)
        self._planning = planning

    async def do(self, claim: Claim) -> None:
        await self._planning.page(claim)

    async def aclose(self) -> None:
        """Nothing is held."""
