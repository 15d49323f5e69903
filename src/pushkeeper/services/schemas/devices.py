"""Which devices are meant, and which of their lines."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.filters.values import meanings
from pushkeeper.core.identity import person_of_cio_id
from pushkeeper.core.model import PersonId, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.schemas.base import Limit, PageQuery, Request
from pushkeeper.store.devices.devices import Search

MAX_DAYS = 366
# The time of a query: digits, or a text with its zone.
_Moment: TypeAlias = Annotated[
    str,
    Meta(
        description="Unix seconds, or a time with its zone: 2026-12-24T18:00:00Z.",
        extra_json_schema={"x-schema": "UnixTime"},
    ),
]


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
    """Whose device of a token is meant, where several people share it."""

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

    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, description="How many days.")] | None = None
