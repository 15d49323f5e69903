"""Replay a device's history into its status, with or without reverted bounces. Pure.

A device's status is the result of its history, line by line. A reverted bounce no longer counts; the line of the
revert itself changes nothing, as its bounces already don't count.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = frozenset({"registered", "imported"})
_CLEAN = frozenset({LastStatus.UNUSED, LastStatus.SENT})


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a device's history.

    Attributes:
        number: its number.
        to_status: None for a deleted device.
        strikes: consecutive bounces after this line; None for lines that don't record it.
        undone: the bounce was reverted.
    """

    number: int
    at: datetime
    event: str
    from_status: LastStatus | None
    to_status: LastStatus | None
    strikes: int | None
    generation: int
    reason: str | None = None
    undone: bool = False


class ReplayedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a device by its history; `struck_at` and `reason` are of the last bounce that counts."""

    status: LastStatus
    strikes: int = 0
    struck_at: datetime | None = None
    reason: str | None = None


class StrikeFilter(StrEnum):
    """Which bounces to revert."""

    ALL = "all"  # whatever the device became by them
    SUPPRESSED = "suppressed"  # those by which it was suppressed


def fold(
    lines: Iterable[HistoryEvent], *, suppress_after: int, without: frozenset[int] = frozenset()
) -> ReplayedStatus | None:
    """The state after these lines, oldest first; None of a deleted device, or without lines.

    Args:
        lines: of one device; if the oldest are deleted, the first line's own state is the start.
        suppress_after: consecutive bounces that suppress.
        without: numbers of bounces to ignore besides the reverted ones.
    """
    balance: ReplayedStatus | None = None
    recorded: int | None = None
    for line in lines:
        if balance is None and line.from_status is not None:
            balance = _begun(line, line.from_status, suppress_after)
        counts = _is_strike(line, recorded) and not line.undone and line.number not in without
        balance = _after(balance, line, suppress_after, counts=counts)
        recorded = line.strikes
    return balance


def _is_strike(line: HistoryEvent, recorded: int | None) -> bool:
    """Whether the line is a bounce that counted; `recorded` are the bounces of the line before. The first stale one is only noted.

    The first doubt about the registration is only noted.
    """
    if line.event != "refused_as_stale":
        return line.event == "refused"
    if line.strikes is None or recorded is None:
        return line.to_status != line.from_status
    return line.strikes > recorded


def _begun(line: HistoryEvent, status: LastStatus, suppress_after: int) -> ReplayedStatus:
    """How it stood before the first line that is left."""
    if line.event == "refused" and line.strikes:
        return ReplayedStatus(status=status, strikes=line.strikes - 1)
    strikes = {LastStatus.BOUNCED: 1, LastStatus.SUPPRESSED: suppress_after}
    return ReplayedStatus(status=status, strikes=strikes.get(status, 0))


def _after(
    balance: ReplayedStatus | None, line: HistoryEvent, suppress_after: int, *, counts: bool
) -> ReplayedStatus | None:
    match line.event:
        case "deleted":
            return None
        case "registered" | "refreshed" | "moved" | "imported":
            return _registered(balance, line)
        case "accepted":
            return ReplayedStatus(status=LastStatus.SENT)
    return _struck(balance, line, suppress_after) if counts and balance is not None else balance


def _registered(balance: ReplayedStatus | None, line: HistoryEvent) -> ReplayedStatus:
    status = line.to_status or LastStatus.UNUSED
    if status in _CLEAN:
        # Whether a reactivated device had been sent to depends on its current state, which reverts may have changed.
        revived = balance is not None and line.event not in _NEW and balance.status is LastStatus.SENT
        return ReplayedStatus(status=LastStatus.SENT if revived else status)
    # A merge keeps the device unchanged.
    return balance or ReplayedStatus(status=status, strikes=line.strikes or 1)


def _struck(balance: ReplayedStatus, line: HistoryEvent, suppress_after: int) -> ReplayedStatus:
    strikes = min(balance.strikes + 1, suppress_after)
    # One that was over at the first was named as gone, which a workspace may choose to be enough.
    at_once = line.to_status is LastStatus.SUPPRESSED and line.from_status in _CLEAN
    over = strikes >= suppress_after or at_once or balance.status is LastStatus.SUPPRESSED
    return ReplayedStatus(
        status=LastStatus.SUPPRESSED if over else LastStatus.BOUNCED,
        strikes=strikes,
        struck_at=line.at,
        reason=line.reason,
    )
