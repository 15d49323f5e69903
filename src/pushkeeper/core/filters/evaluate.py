"""Evaluate a filter for a person or a device, and find the clause that does not match."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.filters import values as filter_values
from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    Contains,
    DeviceCondition,
    Exists,
    InSegment,
    Match,
    Node,
    Not,
    Number,
    OneOf,
    Or,
    Order,
    Performed,
    SavedAudience,
    StartsWith,
    Subject,
    Test,
    Time,
    Unit,
    Version,
    WithinLast,
)

if TYPE_CHECKING:
    from decimal import Decimal

_ORDERS: dict[Order, Callable[[Any, Any], bool]] = {
    Order.GT: operator.gt,
    Order.GTE: operator.ge,
    Order.LT: operator.lt,
    Order.LTE: operator.le,
}
_MISSING = object()


class DeviceFacts(msgspec.Struct, frozen=True):
    """The values of a device: its own fields (times as datetimes; unknown ones are missing), and attributes."""

    fields: Mapping[str, str | int | datetime]
    attributes: Mapping[str, Any] = {}


class PerformedEvent(msgspec.Struct, frozen=True):
    """Something that the person did."""

    name: str
    at: datetime


class PersonFacts(msgspec.Struct, frozen=True):
    """The values of a person: identifiers, attributes as JSON, segments, devices and events."""

    identifiers: Mapping[str, str]
    attributes: Mapping[str, Any]
    segments: Collection[int] = ()
    devices: Sequence[DeviceFacts] = ()
    events: Sequence[PerformedEvent] = ()


class EvaluationContext(msgspec.Struct, frozen=True):
    """What a filter is evaluated for: a person, or one of their devices, and when.

    Attributes:
        now: the time that `within` counts back from.
        device: the device, in an audience of devices.
    """

    facts: PersonFacts
    now: datetime
    device: DeviceFacts | None = None


def matches(node: Node, reading: EvaluationContext) -> bool:
    """Whether it is true."""
    match node:
        case And(nodes):
            return all(matches(inner, reading) for inner in nodes)
        case Or(nodes):
            return any(matches(inner, reading) for inner in nodes)
        case Not(inner):
            return not matches(inner, reading)
    return _leaf(node, reading)


def _leaf(
    node: InSegment | Performed | DeviceCondition | Condition | SavedAudience, reading: EvaluationContext
) -> bool:
    match node:
        case SavedAudience():
            return any(matches(node.node, own) for own in _readings(node.unit, reading))
        case InSegment(segment_id):
            return segment_id in reading.facts.segments
        case Performed():
            return _performed(node, reading)
        case DeviceCondition(inner, wanted):
            return _of_device(inner, wanted, reading)
        case Condition(subject, field, test):
            return _passes(test, _value(subject, field, reading), reading.now)


def failing(node: Node, reading: EvaluationContext) -> Node | None:
    """The smallest clause that keeps somebody out: of "and" its first false part, and so on within; None of nobody."""
    if matches(node, reading):
        return None
    if isinstance(node, And):
        return next(found for inner in node.nodes if (found := failing(inner, reading)) is not None)
    if isinstance(node, Or) and len(node.nodes) == 1:
        return failing(node.nodes[0], reading)
    if (
        isinstance(node, DeviceCondition)
        and node.match is not Match.NONE
        and isinstance(node.node, And)
        and reading.device
    ):
        return failing(node.node, reading)
    if isinstance(node, SavedAudience) and len(readings := _readings(node.unit, reading)) == 1:
        return failing(node.node, readings[0])
    return node


def _readings(unit: Unit, reading: EvaluationContext) -> list[EvaluationContext]:
    """How a saved audience is read within another filter: of the person, of the device, or of any that they have."""
    facts, now = reading.facts, reading.now
    if unit is Unit.PERSON:
        return [EvaluationContext(facts, now)]
    return (
        [reading] if reading.device else [EvaluationContext(facts, now, device) for device in facts.devices]
    )


def _of_device(inner: Node, wanted: Match, reading: EvaluationContext) -> bool:
    if reading.device is not None:
        return matches(inner, reading) is not (wanted is Match.NONE)
    each = (
        matches(inner, EvaluationContext(reading.facts, reading.now, device))
        for device in reading.facts.devices
    )
    match wanted:
        case Match.ANY:
            return any(each)
        case Match.ALL:
            return bool(reading.facts.devices) and all(each)
        case Match.NONE:
            return not any(each)


def _performed(node: Performed, reading: EvaluationContext) -> bool:
    now = filter_values.seconds_of(reading.now)
    count = 0
    for event in reading.facts.events:
        at = filter_values.seconds_of(event.at)
        if (
            event.name == node.name
            and (node.since is None or at >= node.since)
            and (node.within_s is None or now - node.within_s <= at <= now)
        ):
            count += 1
    return _ORDERS[node.order](count, node.count)


def _value(subject: Subject, field: str, reading: EvaluationContext) -> object:
    device = reading.device
    match subject:
        case Subject.IDENTIFIER:
            found = reading.facts.identifiers.get(field)
            return _MISSING if found is None else found.lower() if field == "email" else found
        case Subject.PERSON:
            return reading.facts.attributes.get(field, _MISSING)
        case Subject.DEVICE:
            return _MISSING if device is None else device.fields.get(field, _MISSING)
        case Subject.DEVICE_ATTRIBUTE:
            return _MISSING if device is None else device.attributes.get(field, _MISSING)


def _passes(test: Test, value: object, now: datetime) -> bool:
    if value is _MISSING or isinstance(test, Exists):
        return value is not _MISSING
    match test:
        case OneOf(values):
            return any(_same(value, meaning) for text in values for meaning in filter_values.meanings(text))
        case Contains(text):
            if isinstance(value, list):
                return any(_same(one, meaning) for one in value for meaning in filter_values.meanings(text))
            return isinstance(value, str) and text in value
        case StartsWith(text):
            return isinstance(value, str) and value.startswith(text)
    return _in_order(test, value, now)


def _in_order(test: Number | Version | Time | WithinLast, value: object, now: datetime) -> bool:
    match test:
        case Number(order, bound):
            number = filter_values.number(value)
            return number is not None and _ORDERS[order](number, bound)
        case Version(order, parts):
            version = filter_values.version(value)
            return version is not None and _ORDERS[order](version, parts)
        case Time(order, bound):
            at = _seconds(value)
            return at is not None and _ORDERS[order](at, bound)
        case WithinLast(seconds):
            at, until = _seconds(value), filter_values.seconds_of(now)
            return at is not None and until - seconds <= at <= until


def _seconds(value: object) -> Decimal | None:
    return filter_values.seconds_of(value) if isinstance(value, datetime) else filter_values.seconds(value)


def _same(one: object, other: object) -> bool:
    # To Python 1 is True, which it is not in JSON.
    return one == other and isinstance(one, bool) == isinstance(other, bool)
