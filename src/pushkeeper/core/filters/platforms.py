"""The platforms that the devices of an audience can have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    DeviceCondition,
    Match,
    Not,
    OneOf,
    Or,
    SavedAudience,
    Subject,
    Unit,
)
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from pushkeeper.core.filters.nodes import Node


def platforms(node: Node, unit: Unit) -> tuple[Platform, ...]:
    """The platforms that an audience can reach, judged by its filter alone; all of them for an audience of people."""
    if unit is Unit.PERSON:
        return tuple(Platform)
    return tuple(platform for platform in Platform if _can(node, platform, be=True))


def _can(node: Node, platform: Platform, *, be: bool) -> bool:
    """Whether a filter can be true (`be`), or else false, for a device on a platform."""
    match node:
        case And(nodes) | Or(nodes):
            of_each = all if isinstance(node, And) is be else any
            return of_each(_can(inner, platform, be=be) for inner in nodes)
        case Not(inner):
            return _can(inner, platform, be=not be)
        case DeviceCondition(inner, match):
            return _can(inner, platform, be=be is not (match is Match.NONE))
        case SavedAudience(_, Unit.DEVICE, inner):
            return _can(inner, platform, be=be)
        case Condition(Subject.DEVICE, "platform", OneOf(values)):
            return (platform.value in values) is be
    return True
