"""Reverting bounces that devices did not cause."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.status_replay import StrikeFilter
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import Platform
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.schemas.base import Request, Time, View
from pushkeeper.services.strikes import StrikeSelector

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.services.strikes import Example, UndoResult

MAX_REASON_BYTES = 1_000
_MAX_NAME_BYTES = 300


class UndoRequest(Request, frozen=True, kw_only=True):
    """The bounces to revert; a dry run unless `dry_run` is false."""

    since: Time
    until: Time
    route: str | None = None
    credential: str | None = None
    reason: str | None = None
    only: StrikeFilter = StrikeFilter.ALL
    why: str | None = None
    dry_run: bool | None = True

    @property
    def is_dry_run(self) -> bool:
        return self.dry_run is not False

    def meant(self) -> StrikeSelector:
        """Which bounces to revert.

        Raises:
            BadRequest: a time is invalid, a name is too long, or a reason is missing.
        """
        why = validation.optional_text(self.why, "why", max_bytes=MAX_REASON_BYTES) or ""
        if not self.is_dry_run and not why.strip():
            raise BadRequest("why", "is required; it is saved in the history", "missing")
        return StrikeSelector(
            since=validation.time(self.since, "since"),
            until=validation.time(self.until, "until"),
            only=self.only,
            route=_name(self.route, "route"),
            credential=_name(self.credential, "credential"),
            reason=_name(self.reason, "reason"),
        )


class StatusChange(Struct, frozen=True, kw_only=True):
    """How many devices change from one last status to another."""

    before: LastStatus = field(name="from")
    after: LastStatus = field(name="to")
    devices: int


class UndoExample(Struct, frozen=True, kw_only=True):
    """A device whose status changes."""

    device: str
    token: str
    platform: Platform
    cio_id: str
    before: LastStatus = field(name="from")
    after: LastStatus = field(name="to")

    @classmethod
    def of(cls, one: Example) -> Self:
        return cls(
            device=one.before.device_id.hex(),
            token=one.before.token.masked,
            platform=one.before.platform,
            cio_id=cio_id(one.before.person_id),
            before=one.before.status,
            after=one.after.status,
        )


class UndoOutcome(Struct, frozen=True, kw_only=True):
    """The changes made by a revert, or that it would make."""

    dry_run: bool
    undo: int | None
    strikes: int
    devices: int
    changed: list[StatusChange]
    unchanged: int
    gone: int
    examples: list[UndoExample]

    @classmethod
    def of(cls, outcome: UndoResult) -> Self:
        return cls(
            dry_run=outcome.undo_id is None,
            undo=outcome.undo_id,
            strikes=outcome.strikes,
            devices=outcome.devices,
            changed=[
                StatusChange(before=LastStatus(before), after=LastStatus(after), devices=count)
                for (before, after), count in outcome.changed.most_common()
            ],
            unchanged=outcome.unchanged,
            gone=outcome.gone,
            examples=[UndoExample.of(one) for one in outcome.examples],
        )


class UndoView(View, frozen=True, kw_only=True):
    """A revert of bounces: its selection, reason and number of devices.

    Attributes:
        strikes: how many are undone, of how many `devices`; more than `meant_devices` there were not when it began.
        under_way: a process is at it now; what is neither finished nor under way was interrupted.
    """

    undo_id: int
    selection: dict[str, Any]
    why: str
    strikes: int
    devices: int
    meant_devices: int | None
    created_at: datetime
    finished_at: datetime | None
    under_way: bool


class UndoListView(View, frozen=True, kw_only=True):
    """Past reverts, newest first."""

    undone: list[UndoView]


def _name(given: str | None, field: str) -> str | None:
    return validation.optional_text(given, field, max_bytes=_MAX_NAME_BYTES) or None
