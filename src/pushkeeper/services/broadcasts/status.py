"""How a broadcast does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.store.broadcasts.broadcasts import BroadcastState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.broadcasts.progress import Progress
    from pushkeeper.services.broadcasts.results import BroadcastSummary
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.broadcasts.progress import FailureDetail, RemainingDevices, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastStatus:
    """The status of a broadcast: progress, results, and what it waits for.

    Attributes:
        summary: its status and results.
        details: the most frequent details of failed pushes, by reason.
        lacks_worker: its estimate is pending, and no worker is running.
    """

    broadcast: Broadcast
    progress: Progress
    summary: BroadcastSummary
    tallies: Sequence[Tally]
    waiting: Sequence[RemainingDevices]
    details: Sequence[FailureDetail] = ()
    lacks_worker: bool = False

    @property
    def compared(self) -> dict[str, Any] | None:
        """Accepted pushes beside the estimate, once it is sent; None before, or without an estimate."""
        foreseen = (self.broadcast.preflight or {}).get("accepted")
        is_sent = self.broadcast.state is BroadcastState.PLANNED and self.broadcast.is_over
        if foreseen is None or not is_sent or self.broadcast.dry_run:
            return None
        accepted = self.summary.results.accepted
        return {
            "accepted": accepted,
            "foreseen": foreseen,
            "within": foreseen["least"] <= accepted <= foreseen["most"],
        }
