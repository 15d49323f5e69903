"""Audiences: filters in requests, and saved audiences."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.to_text import text_of
from pushkeeper.services import validation
from pushkeeper.services.schemas.base import (
    MAX_DESCRIPTION_BYTES,
    MAX_NAME_BYTES,
    Filter,
    Name,
    Request,
    View,
)
from pushkeeper.services.schemas.devices import DeviceView
from pushkeeper.store.audiences.audiences import Estimate
from pushkeeper.store.people.segments import Draft

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from pushkeeper.services.audiences import Preview
    from pushkeeper.store.audiences.audiences import Size
    from pushkeeper.store.audiences.plans import AudiencePlan
    from pushkeeper.store.devices.devices import Device
    from pushkeeper.store.people.segments import Segment, Use

MAX_WITHIN_MS = 30_000


class AudienceRequest(Request, frozen=True, kw_only=True):
    """A filter, and how it is evaluated."""

    filter: Filter
    unit: Unit = Unit.DEVICE


class CountRequest(AudienceRequest, frozen=True, kw_only=True):
    """A filter to count; with `within_ms`, an estimate if counting takes longer."""

    within_ms: Annotated[int, Meta(ge=1, le=MAX_WITHIN_MS)] | None = None


class NewAudience(Request, frozen=True, kw_only=True):
    """The audience to save."""

    name: Name
    filter: Filter
    description: str | None = None
    unit: Unit = Unit.DEVICE

    def draft(self) -> Draft:
        """The stored form.

        Raises:
            BadRequest: a text is blank or too long.
        """
        return Draft(
            name=validation.text(self.name, "name", max_bytes=MAX_NAME_BYTES),
            description=validation.optional_text(
                self.description, "description", max_bytes=MAX_DESCRIPTION_BYTES
            )
            or "",
            filter=self.filter,
            unit=self.unit,
        )


class SizeView(View, frozen=True, kw_only=True, omit_defaults=True):
    """The number of people and devices; for an estimate, with its margin."""

    people: int
    devices: int
    estimated: bool = False
    people_margin: int | UnsetType = UNSET
    devices_margin: int | UnsetType = UNSET

    @classmethod
    def of(cls, size: Size | Estimate) -> Self:
        if not isinstance(size, Estimate):
            return cls(people=size.people, devices=size.devices)
        return cls(
            people=size.people,
            devices=size.devices,
            estimated=True,
            people_margin=size.people_margin,
            devices_margin=size.devices_margin,
        )


class DifferenceView(View, frozen=True, kw_only=True):
    """A device that per-person evaluation would get wrong, with the responsible clause."""

    wrongly: Literal["included", "excluded"]
    device: DeviceView
    clause: str | None


class PreviewView(View, frozen=True, kw_only=True):
    """The size of an audience, and the devices that per-person evaluation would get wrong."""

    people: int
    devices: int
    wrongly_included: int
    wrongly_excluded: int
    examples: list[DifferenceView]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        differences, clauses = preview.apart.differences, preview.apart.clauses

        def shown(
            wrongly: Literal["included", "excluded"], devices: Iterable[Device]
        ) -> list[DifferenceView]:
            return [
                DifferenceView(
                    wrongly=wrongly, device=DeviceView.of(device), clause=clauses.get(device.device_id)
                )
                for device in devices
            ]

        return cls(
            people=preview.size.people,
            devices=preview.size.devices,
            wrongly_included=differences.wrongly_included,
            wrongly_excluded=differences.wrongly_excluded,
            examples=shown("included", differences.included) + shown("excluded", differences.excluded),
        )


class IndexView(View, frozen=True, kw_only=True):
    """A suggested index, and the share of devices that its clause matches."""

    clause: str
    sql: str
    share: float


class ScanView(View, frozen=True, kw_only=True):
    """A table scan: its index and the estimated number of rows."""

    table: str
    index: str | None
    rows: int


class PlanView(View, frozen=True, kw_only=True):
    """The query plan of an audience, its duration, and index suggestions."""

    people: int
    devices: int
    took_ms: float
    scans: list[ScanView]
    advice: list[IndexView]

    @classmethod
    def of(cls, plan: AudiencePlan) -> Self:
        return cls(
            people=plan.size.people,
            devices=plan.size.devices,
            took_ms=round(plan.took_ms, 1),
            scans=[ScanView(table=one.table, index=one.index, rows=one.rows) for one in plan.scans],
            advice=[
                IndexView(clause=text_of(one.index.node), sql=one.index.sql, share=round(one.share, 4))
                for one in plan.advice
            ],
        )


class UseView(View, frozen=True, kw_only=True):
    """A reference to an audience."""

    kind: Literal["audience", "template", "broadcast"]
    number: int
    name: str


class AudienceView(View, frozen=True, kw_only=True):
    """A saved audience or a manual list (which has no filter), and where it is used."""

    id: int
    name: str
    description: str
    type: Literal["filter", "list"]
    filter: Filter | None
    unit: Unit
    created_at: datetime
    updated_at: datetime
    used_by: list[UseView]

    @classmethod
    def of(cls, segment: Segment, uses: Iterable[Use] = ()) -> Self:
        return cls.from_attributes(
            segment,
            id=segment.segment_id,
            type="list" if segment.filter is None else "filter",
            unit=segment.unit or Unit.PERSON,
            used_by=[
                UseView(kind=use.kind, number=use.number, name=use.name)  # type: ignore[arg-type]  # the statement's words
                for use in uses
            ],
        )


class OneAudienceView(View, frozen=True, kw_only=True):
    """One audience."""

    audience: AudienceView


class AudienceListView(View, frozen=True, kw_only=True):
    """All audiences, oldest first."""

    audiences: list[AudienceView]


class MemberView(View, frozen=True, kw_only=True):
    """A person of an audience."""

    id: str | None
    email: str | None
    cio_id: str


class MembersView(View, frozen=True, kw_only=True):
    """A page of the people or the devices of an audience."""

    next: str | None
    people: list[MemberView] | UnsetType = UNSET
    devices: list[DeviceView] | UnsetType = UNSET
