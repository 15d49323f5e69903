"""The results of a broadcast: what the push services and the app reported, the rates, and its status. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Status(StrEnum):
    """The status of a broadcast, as every page, call and command shows it."""

    DRAFT = "draft"  # not started
    SCHEDULED = "scheduled"  # started; nothing is due yet
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"  # over, and no push failed
    SENT_WITH_ERRORS = "sent_with_errors"  # over; some pushes were accepted, and some failed
    NO_RECIPIENTS = "no_recipients"  # over; there was no device to send to
    STOPPED = "stopped"  # the message cannot be sent
    CANCELLED = "cancelled"
    FAILED = "failed"  # it could not be planned, or every push failed

    @property
    def label(self) -> str:
        """The status in words."""
        return self.value.replace("_", " ")


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a broadcast's pushes, one per device.

    `accepted` to `skipped` are outcomes, of which each processed push has one. `delivered` to `converted` are what the app
    reported of accepted pushes; it reports nothing where the SDK is not set up for it.
    """

    accepted: int = 0
    bounced: int = 0
    failed: int = 0
    expired: int = 0
    unknown: int = 0
    skipped: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0

    @property
    def not_sent(self) -> int:
        """Pushes that failed for a reason that is not the device's: failed, expired, or with a lost response."""
        return self.failed + self.expired + self.unknown

    @property
    def processed(self) -> int:
        """All pushes with an outcome."""
        return self.attempted + self.skipped

    @property
    def attempted(self) -> int:
        """Processed pushes that were not skipped."""
        return self.accepted + self.bounced + self.not_sent

    @property
    def rates(self) -> Rates:
        """Shares of the pushes that could have counted."""
        return Rates(
            accepted=_share(self.accepted, self.attempted),
            bounced=_share(self.bounced, self.attempted),
            failed=_share(self.not_sent, self.attempted),
            skipped=_share(self.skipped, self.processed),
            delivered=_share(self.delivered, self.accepted),
            opened=_share(self.opened, self.accepted),
            clicked=_share(self.clicked, self.accepted),
            converted=_share(self.converted, self.accepted),
        )

    @property
    def trouble(self) -> float:
        """The share of attempted pushes that bounced or failed; -1 when none was attempted, so that those sort last."""
        return _share(self.bounced + self.not_sent, self.attempted) or 0.0 if self.attempted else -1.0


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Shares, from 0 to 1; None where there is nothing to divide by.

    Accepted, bounced and failed are of the attempted pushes, skipped of the processed ones. What the app reports is of the
    accepted pushes.
    """

    accepted: float | None
    bounced: float | None
    failed: float | None
    skipped: float | None
    delivered: float | None
    opened: float | None
    clicked: float | None
    converted: float | None


OUTCOMES = ("accepted", "bounced", "failed", "expired", "unknown", "skipped")
REPORTED = ("delivered", "opened", "clicked", "converted")


def add_up(counts: Iterable[tuple[str, int]]) -> Results:
    """The results of counts by outcome or reported metric, each of which may come several times."""
    found: dict[str, int] = {}
    for name, count in counts:
        found[name] = found.get(name, 0) + count
    return Results(**{name: found.get(name, 0) for name in (*OUTCOMES, *REPORTED)})


class StatusInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a status is derived from.

    Attributes:
        state: how far it has come: draft, scheduled, sending, paused, sent, stopped, cancelled or failed.
        planned: the number of devices that it is planned for so far.
        due_at: when the first or next devices are due.
    """

    now: datetime
    state: str
    planned: int
    due_at: datetime | None


def status_of(facts: StatusInput, results: Results) -> Status:
    """The status of a broadcast.

    One that is sent by local time counts as scheduled until the first time zone is due.
    """
    waits = facts.due_at is not None and facts.due_at > facts.now
    if facts.state == Status.SENDING and waits and not (results.processed or facts.planned):
        return Status.SCHEDULED
    if facts.state != Status.SENT:
        return Status(facts.state)
    if not results.processed:
        return Status.NO_RECIPIENTS
    if results.not_sent:
        return Status.SENT_WITH_ERRORS if results.accepted else Status.FAILED
    return Status.SENT


class Rank(StrEnum):
    """An order of broadcasts."""

    NEWEST = "newest"
    WORST = "worst"  # the largest share of bounced and failed pushes first
    DELIVERED = "delivered"  # the highest rate first, as the following
    OPENED = "opened"
    CLICKED = "clicked"
    CONVERTED = "converted"
    DEVICES = "devices"  # the largest first


def ranked(several: Mapping[int, Results], rank: Rank, *, reverse: bool = False) -> list[int]:
    """The numbers of broadcasts in an order, the newest first where they are equal; unknown rates come last."""

    def key(number: int) -> float:
        results = several[number]
        match rank:
            case Rank.NEWEST:
                return float(number)
            case Rank.WORST:
                return results.trouble
            case Rank.DEVICES:
                return float(results.processed)
        rate = getattr(results.rates, rank.value)
        return -1.0 if rate is None else float(rate)

    known = sorted((one for one in several if key(one) >= 0), reverse=True)
    known.sort(key=key, reverse=not reverse)
    return known + sorted((one for one in several if key(one) < 0), reverse=True)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
