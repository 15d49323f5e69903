"""Writes the exports that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store.database import PLAN_CHANNEL

if TYPE_CHECKING:
    from pushkeeper.exports import Exports


class Exporter:
    """Looks for exports that are to be written, as soon as it is told of one."""

    look_every_s: float = 5.0
    channel: str | None = PLAN_CHANNEL

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def look(self) -> None:
        """Write what there is to write."""
        while await self._exports.write_next():
            pass

    async def aclose(self) -> None:
        """Nothing is held."""
