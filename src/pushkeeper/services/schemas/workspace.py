"""What a workspace chose, and lists about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pushkeeper.core.actor import ActorKind
from pushkeeper.services.schemas.base import PageQuery, Request, View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.admin.workspaces import Options


class OptionsChange(Request, frozen=True, kw_only=True):
    """The options that change; what is not given stays as it is."""

    suppress_after: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    min_strike_gap_s: Annotated[int, Meta(ge=0, le=31_536_000)] | UnsetType = UNSET
    suppress_on_definitive: bool | UnsetType = UNSET
    delete_unregistered: bool | UnsetType = UNSET
    max_pushes_per_s: Annotated[int, Meta(ge=1, le=1000000)] | UnsetType | None = UNSET
    ramp_s: Annotated[int, Meta(ge=0, le=3_600)] | UnsetType = UNSET
    token_ownership: Literal["move", "share"] | UnsetType = UNSET
    allow_placeholder_ids: bool | UnsetType = UNSET


class OptionsView(View, frozen=True, kw_only=True):
    """What a workspace chose; the defaults are the documented lifecycle."""

    suppress_after: int
    min_strike_gap_s: int
    suppress_on_definitive: bool
    delete_unregistered: bool
    max_pushes_per_s: int | None
    ramp_s: int
    token_ownership: Literal["move", "share"]
    allow_placeholder_ids: bool


class ChosenOptionsView(View, frozen=True, kw_only=True):
    """All options of a workspace."""

    options: OptionsView

    @classmethod
    def of(cls, options: Options) -> Self:
        return cls(options=OptionsView(**asdict(options)))


class AuditQuery(PageQuery, frozen=True, kw_only=True):
    """Lines of the audit log."""

    actor: Annotated[ActorKind, Meta(description="Of this kind of actor alone.")] | None = None


class PushesQuery(PageQuery, frozen=True, kw_only=True):
    """The pushes of a message."""

    ending: (
        Annotated[
            Literal["accepted", "bounced", "failed", "expired", "unknown", "skipped"],
            Meta(description="How they ended."),
        ]
        | None
    ) = None
