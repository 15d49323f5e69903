"""A device's history and its pushes as one timeline, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from pushkeeper.dashboard.ui import labels
from pushkeeper.errors import BadRequest
from pushkeeper.services.listings import HistoryRow, LineKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import PersonId
    from pushkeeper.services.people import HistoryLine, PushLine

    Delivery: TypeAlias = Callable[[UUID, PersonId], DeliveryId]

PAGE = 50
_TONES = {
    "registered": "unused",
    "imported": "unused",
    "refreshed": "unused",
    "moved": "unused",
    "deleted": "unused",
}
_ICONS = {"moved": "moved", "deleted": "gone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry of the timeline.

    Attributes:
        delivery_id: of the push that caused it, if any.
    """

    at: datetime
    kind: str
    tone: str
    icon: str
    what: str
    because: str = ""
    answer: str = ""
    from_status: str | None = None
    to_status: str | None = None
    delivery_id: DeliveryId | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a page: before a history line and before a message."""

    line: LineKey | None = None
    message: UUID | None = None

    def __str__(self) -> str:
        line = f"{_micros(self.line.at)}.{self.line.history_id}" if self.line else ""
        return f"{line}~{self.message.hex if self.message else ''}"

    @classmethod
    def parse(cls, text: str) -> Start:
        """Read what `str` wrote.

        Raises:
            BadRequest: it is none.
        """
        line, _, message = text.partition("~")
        try:
            micros, _, number = line.partition(".")
            key = LineKey(_from_micros(int(micros)), _bigint(number)) if line else None
            return cls(key, UUID(hex=message) if message else None)
        except (ValueError, OverflowError):
            raise BadRequest("start", "expected the address of a next page") from None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of events and the start of the next page; None on the last page."""

    events: Sequence[Event]
    following: Start | None


def timeline(
    start: Start,
    lines: Sequence[HistoryRow],
    pushes: Sequence[PushLine],
    person: PersonId,
    delivery: Delivery,
) -> Timeline:
    """Merge history lines and pushes; both contain one more than a page. `delivery` computes delivery IDs.

    If one source has more than a page, nothing older than its last entry is shown before the rest is read.
    """
    told = [(of_line(one.line, delivery), one) for one in lines[:PAGE]]
    sent = [(of_push(one, person, delivery), one) for one in pushes[:PAGE]]
    cuts = [events[-1][0].at for events, found in ((told, lines), (sent, pushes)) if len(found) > PAGE]
    cut = max(cuts, default=None)
    told = [one for one in told if cut is None or one[0].at >= cut]
    sent = [one for one in sent if cut is None or one[0].at >= cut]
    events = _joined([event for event, _ in told], [event for event, _ in sent])
    if cut is None:
        return Timeline(events, None)
    line = told[-1][1].key if told else start.line
    message = sent[-1][1].message_id if sent else start.message
    return Timeline(events, Start(line, message))


def _joined(told: Sequence[Event], sent: Sequence[Event]) -> list[Event]:
    """Both, newest first; a push that changed the device's status appears once."""
    of_push = {event.delivery_id: event for event in sent}
    turned = {event.delivery_id for event in told if event.delivery_id in of_push}
    lines = [
        replace(event, because=of_push[event.delivery_id].because) if event.delivery_id in turned else event
        for event in told
    ]
    pushes = [event for event in sent if event.delivery_id not in turned]
    return sorted((*lines, *pushes), key=lambda event: event.at, reverse=True)


def of_line(line: HistoryLine, delivery: Delivery) -> Event:
    """A line of history."""
    person = line.to_person_id or line.from_person_id
    turned = line.to_status if line.to_status is not None else "unused"
    return Event(
        at=line.at,
        kind=line.event,
        tone=_TONES.get(line.event) or turned or "unused",
        icon=_ICONS.get(line.event) or turned or "unused",
        what=labels.EVENT_SAYS.get(line.event, line.event),
        answer=labels.answer_of(line.provider, line.provider_status, line.provider_reason),
        from_status=line.from_status,
        to_status=line.to_status,
        delivery_id=delivery(line.message_id, person) if line.message_id and person else None,
    )


def of_push(push: PushLine, person: PersonId, delivery: Delivery) -> Event:
    """A push and its outcome."""
    return Event(
        at=push.settled_at,
        kind="push",
        tone=labels.ENDING_TONES[push.ending],
        icon=labels.ENDING_TONES[push.ending],
        what=f"Push {push.ending}",
        because=labels.because(push.reason) if push.ending != "accepted" else "",
        answer=labels.answer_of(push.provider, push.provider_status, push.provider_reason),
        delivery_id=delivery(push.message_id, person),
    )


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _from_micros(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _bigint(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 63:
        raise OverflowError
    return number
