"""Counts people and devices once an hour, and when somebody looks; puts together, and forgets, what is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pushkeeper.store.reach import REACH_CHANNEL

if TYPE_CHECKING:
    from pushkeeper.census import Census
    from pushkeeper.insights import Insights
    from pushkeeper.users import Users

_CLEAN_EVERY_S = 3600.0


class Counting:
    """Looks every minute whether a workspace is to be counted, and as soon as it is told so; any worker may."""

    look_every_s: float = 60.0
    channel: str | None = REACH_CHANNEL

    def __init__(self, census: Census, insights: Insights, users: Users) -> None:
        self._census = census
        self._insights = insights
        self._users = users
        self._cleaned_at = -_CLEAN_EVERY_S

    async def look(self) -> None:
        """Count what is to be counted."""
        await self._census.count_due()
        await self._insights.count_due()
        if time.monotonic() - self._cleaned_at >= _CLEAN_EVERY_S:
            self._cleaned_at = time.monotonic()
            await self._census.thin()
            await self._insights.fold_days()
            await self._users.clean()

    async def aclose(self) -> None:
        """Nothing is held."""
