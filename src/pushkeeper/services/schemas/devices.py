"""Selection of devices, and of their lines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.filters.values import meanings
from pushkeeper.core.identity import cio_id, person_of_cio_id
from pushkeeper.core.model import IdKind, PersonId, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.schemas.base import Limit, PageQuery, Request, View
from pushkeeper.store.devices.devices import Search

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from pushkeeper.core.delivery.delivery_id import DeliveryIds
    from pushkeeper.services.routes import DeviceRoute
    from pushkeeper.store.devices.counts import Count
    from pushkeeper.store.devices.devices import Device, HistoryLine, PushLine

MAX_DAYS = 366
# The time of a query: digits, or a text with its zone.
_Moment: TypeAlias = Annotated[
    str,
    Meta(
        description="Unix seconds or an ISO 8601 time with a zone, such as 2026-12-24T18:00:00Z.",
        extra_json_schema={"x-schema": "UnixTime"},
    ),
]


class DeviceView(View, frozen=True, kw_only=True):
    """A device with its person. A single device also has the route that a push would take now, or the reason why it has no route."""

    token: str
    id_kind: IdKind
    platform: Platform
    person: str
    app: str
    environment: str
    last_status: LastStatus
    strikes: int
    generation: int
    attributes: dict[str, Any]
    dropped_attributes: Annotated[
        dict[str, str],
        Meta(
            description="Attributes of the last registration that could not be stored, each with the reason."
        ),
    ]
    created_at: datetime
    registered_at: datetime
    last_used: datetime
    route: str | UnsetType | None = UNSET
    no_route_reason: str | UnsetType | None = UNSET

    @classmethod
    def of(cls, device: Device, way: DeviceRoute | None = None) -> Self:
        return cls.from_attributes(
            device,
            token=device.token.value,
            person=cio_id(device.person_id),
            last_status=device.status,
            route=UNSET if way is None else None if way.route is None else way.route.name,
            no_route_reason=UNSET if way is None else way.reason or None,
        )


class DevicePageView(View, frozen=True, kw_only=True):
    """A page of devices."""

    devices: list[DeviceView]
    next: str | None


class PushView(View, frozen=True, kw_only=True):
    """The outcome of a push to a device."""

    delivery_id: str
    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    attempts: int
    settled_at: datetime

    @classmethod
    def of(cls, device: Device, line: PushLine, ids: DeliveryIds) -> Self:
        return cls.from_attributes(
            line,
            delivery_id=ids.text(device.workspace_id, line.message_id, device.person_id),
        )


class PushListView(View, frozen=True, kw_only=True):
    """The pushes to a device, newest first."""

    pushes: list[PushView]


class HistoryLineView(View, frozen=True, kw_only=True):
    """An event in a device's history, with the provider response that caused it."""

    at: datetime
    event: str
    from_status: str | None
    to_status: str | None
    from_person: str | None
    to_person: str | None
    generation: int
    message: UUID | None
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    request_id: str | None
    strikes: int | None
    undone: bool

    @classmethod
    def of(cls, line: HistoryLine) -> Self:
        return cls.from_attributes(
            line,
            from_person=_person(line.from_person_id),
            to_person=_person(line.to_person_id),
            message=line.message_id,
        )


class DeviceHistoryView(View, frozen=True, kw_only=True):
    """The history of a device, newest first."""

    history: list[HistoryLineView]


class DevicesQuery(PageQuery, frozen=True, kw_only=True):
    """Devices by what they are; all that is given must be so."""

    last_status: (
        Annotated[
            Literal["", "unused", "sent", "bounced", "suppressed"],
            Meta(description="The last status; `unused` is the same as the empty one."),
        ]
        | None
    ) = None
    platform: Annotated[Platform, Meta(description="The platform.")] | None = None
    app: (
        Annotated[str, Meta(description="The bundle id or the FCM project that the device belongs to.")]
        | None
    ) = None
    used_since: _Moment | None = None
    used_before: _Moment | None = None
    attribute: (
        Annotated[str, Meta(pattern="^[^=]+=", description="An attribute and its value, as `name=value`.")]
        | None
    ) = None

    def search(self) -> Search:
        """The same, as the store takes it.

        Raises:
            BadRequest: a time is none.
        """
        status = self.last_status
        return Search(
            status=None if status is None else LastStatus("" if status == "unused" else status),
            platform=self.platform,
            app=self.app,
            used_since=validation.optional_time(self.used_since, "used_since"),
            used_before=validation.optional_time(self.used_before, "used_before"),
            attribute=self._attribute(),
        )

    def _attribute(self) -> tuple[str, tuple[str | float | bool, ...]] | None:
        if self.attribute is None:
            return None
        name, _, value = self.attribute.partition("=")
        return name, meanings(value)


class DeviceQuery(Request, frozen=True, kw_only=True):
    """The person whose device it is, for a token that several people share."""

    person: (
        Annotated[
            str,
            Meta(description="The cio_id of the device's owner, where several people share a token."),
        ]
        | None
    ) = None

    def owner(self) -> PersonId | None:
        """The person, if one is named.

        Raises:
            BadRequest: it is no cio_id.
        """
        if self.person is None:
            return None
        if (found := person_of_cio_id(self.person)) is None:
            raise BadRequest("person", "expected a cio_id")
        return found


class DeviceLinesQuery(DeviceQuery, frozen=True, kw_only=True):
    """Lines about a device."""

    limit: Limit | None = None


class DaysQuery(Request, frozen=True, kw_only=True):
    """The last days."""

    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, description="Number of days.")] | None = None


class DeviceCountView(View, frozen=True, kw_only=True):
    """How many devices of a platform have a last status."""

    platform: Platform
    last_status: LastStatus
    devices: int


class DeviceCountsView(View, frozen=True, kw_only=True):
    """Devices by platform and last status, and by last status alone."""

    counts: list[DeviceCountView]
    totals: dict[str, int]
    devices: int

    @classmethod
    def of(cls, counts: Iterable[Count]) -> Self:
        shown = [
            DeviceCountView(platform=one.platform, last_status=one.status, devices=one.devices)
            for one in counts
        ]
        totals = dict.fromkeys((status.value for status in LastStatus), 0)
        for one in shown:
            totals[one.last_status] += one.devices
        return cls(counts=shown, totals=totals, devices=sum(totals.values()))


class PushCountView(View, frozen=True, kw_only=True):
    """How many pushes ended in a way, and what the push service answered; nothing where none was sent."""

    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    ending: str
    reason: str
    pushes: int


class PushCountsView(View, frozen=True, kw_only=True):
    """What the push services answered in the last days."""

    days: int
    counts: list[PushCountView]


def _person(person_id: PersonId | None) -> str | None:
    return None if person_id is None else cio_id(person_id)
