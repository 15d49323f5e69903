"""The alert throttle: an alert is logged once a minute, not once a push."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushkeeper.core.model import RouteId
    from pushkeeper.worker.lanes import Alarm

log = logger("worker")

EVERY_S = 60.0


class AlertThrottle:
    """Lets each kind of alarm on a route through once a minute, into the log."""

    def __init__(self) -> None:
        self._said_at: dict[tuple[RouteId, str], float] = {}

    def new(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Those that were not said within the last minute, which are logged."""
        found = [alarm for alarm in alarms if self._is_new((alarm.route.route_id, alarm.reason))]
        for alarm in found:
            log.warning("provider_alert", route=alarm.route.name, code=alarm.reason, alert=alarm.text)
        return found

    def _is_new(self, what: tuple[RouteId, str]) -> bool:
        now = time.monotonic()
        if now - self._said_at.get(what, -EVERY_S) < EVERY_S:
            return False
        self._said_at[what] = now
        return True
