"""Makes the estimates of broadcasts that were requested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store import jobs

if TYPE_CHECKING:
    from pushkeeper.services.broadcasts.forecast import Estimates
    from pushkeeper.store.jobs import Claim


class Estimator:
    """How an estimate is made."""

    kind = jobs.ESTIMATE

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates

    async def do(self, claim: Claim) -> None:
        await self._estimates.make(claim)

    async def aclose(self) -> None:
        """Nothing is held."""
