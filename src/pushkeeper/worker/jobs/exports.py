"""Writes the exports of Customer.io's App API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store import jobs

if TYPE_CHECKING:
    from pushkeeper.services.exports.customerio import CustomerioExports
    from pushkeeper.store.jobs import Claim


class Exporter:
    """How an export is written."""

    kind = jobs.EXPORT

    def __init__(self, exports: CustomerioExports) -> None:
        self._exports = exports

    async def do(self, claim: Claim) -> None:
        await self._exports.write(claim)

    async def aclose(self) -> None:
        """Nothing is held."""
