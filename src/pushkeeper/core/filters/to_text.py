"""A filter as its text form says it: what `core/filters/from_text.py` reads again as the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

import msgspec

from pushkeeper.core.filters import values as filter_values
from pushkeeper.core.filters.from_json import DEVICE_FIELDS, DEVICE_TIMES, OWN_ATTRIBUTE
from pushkeeper.core.filters.from_text import EVERYBODY, NOBODY, RESERVED, UNUSED
from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    Contains,
    DeviceCondition,
    Exists,
    InSegment,
    Match,
    Not,
    Number,
    OneOf,
    Or,
    Order,
    Performed,
    SavedAudience,
    StartsWith,
    Subject,
    Time,
    Version,
    WithinLast,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from pushkeeper.core.filters.nodes import Node, Test

_WORD = re.compile(r'[^\s"=<>!(),]+')
_SIGNS = {Order.GT: ">", Order.GTE: ">=", Order.LT: "<", Order.LTE: "<="}
_UNITS = sorted(filter_values.DURATION_UNITS_S.items(), key=lambda unit: -unit[1])
_ANY_DEVICE = Condition(Subject.DEVICE, "platform", Exists())
_PARTS_OF_A_VERSION = 3  # fewer are a number, in a field that is not called one


def text_of(node: Node) -> str:
    """The filter as text; of a saved audience its number."""
    match node:
        case DeviceCondition(inner, Match.ANY):
            return _node(_of_device(inner))
        case And(nodes) | Or(nodes) if sum(map(_is_any, nodes)) == 1:
            # Alone among others, it needs no "any( )": nothing else could be taken to be about the same device.
            return _word(node).join(_plain(one, _word(node)) for one in nodes)
    return _node(node)


def _is_any(node: Node) -> bool:
    return isinstance(node, DeviceCondition) and node.match is Match.ANY


def _plain(node: Node, word: str) -> str:
    if isinstance(node, DeviceCondition) and _is_any(node):
        written = _node(_of_device(node.node))
        return f"({written})" if word == " and " and isinstance(node.node, Or) else written
    return _closed(node)


def _node(node: Node) -> str:
    match node:
        case And(()):
            return EVERYBODY
        case Or(()):
            return NOBODY
        case And(nodes) | Or(nodes):
            return _word(node).join(map(_closed, nodes))
        case Not(inner):
            return _negated(inner)
        case DeviceCondition(inner, match):
            return f"{match}({_node(_of_device(inner))})"
    return _leaf(node)


def _word(node: And | Or) -> str:
    return " and " if isinstance(node, And) else " or "


def _closed(node: Node) -> str:
    """A part of "and" or "or", in parentheses where it would fall apart."""
    return f"({_node(node)})" if isinstance(node, And | Or) and node.nodes else _node(node)


def _leaf(node: InSegment | SavedAudience | Condition | Performed) -> str:
    match node:
        case InSegment(segment_id) | SavedAudience(segment_id):
            return f"segment {segment_id}"
        case Condition(subject, field, test):
            return f"{_field(subject, field)} {_test(field, test)}"
        case Performed():
            return _event(node)
        case unknown:
            assert_never(unknown)


def _negated(inner: Node) -> str:
    match inner:
        case Condition(subject, field, OneOf([value])):
            return f"{_field(subject, field)} != {_value(field, value)}"
    return f"not {_closed(inner)}"


def _of_device(node: Node) -> Node:
    """A device condition as text, with a placeholder for an empty one."""
    match node:
        case And(()):
            return _ANY_DEVICE
        case Or(()):
            return Not(_ANY_DEVICE)
        case And(nodes) | Or(nodes):
            return type(node)(tuple(map(_of_device, nodes)))
        case Not(inner):
            return Not(_of_device(inner))
    return node


def _field(subject: Subject, field: str) -> str:
    match subject:
        case Subject.PERSON | Subject.IDENTIFIER:
            return f"person.{_quoted(field)}"
        case Subject.DEVICE:
            return field
        case Subject.DEVICE_ATTRIBUTE:
            hidden = field in DEVICE_FIELDS or field.startswith(OWN_ATTRIBUTE)
            name = f"{OWN_ATTRIBUTE}{field}" if hidden else field
            return _quoted(name, unless_begins=("person.", "device."))


def _test(field: str, test: Test) -> str:
    match test:
        case Exists():
            return "exists"
        case OneOf([value]):
            return f"= {_value(field, value)}"
        case OneOf(values):
            return f"in ({', '.join(_value(field, value) for value in values)})"
        case Contains(text):
            return f"contains {_quoted(text)}"
        case StartsWith(text):
            return f"starts with {_quoted(text)}"
    return _order(field, test)


def _order(field: str, test: Number | Version | Time | WithinLast) -> str:
    match test:
        case Number(order, bound):
            return f"{_SIGNS[order]} {bound:f}"
        case Version(order, parts):
            named = field.endswith("version") or field == "device_os"
            padded = parts if named else parts + (0,) * (_PARTS_OF_A_VERSION - len(parts))
            return f"{_SIGNS[order]} {'.'.join(map(str, padded))}"
        case Time(order, bound):
            words = {Order.LT: "before", Order.GT: "after"}
            sign = _SIGNS[order] if field in DEVICE_TIMES else words.get(order, _SIGNS[order])
            return f"{sign} {_moment(bound)}"
        case WithinLast(seconds):
            return f"within {_duration(seconds)}"


def _event(node: Performed) -> str:
    said = f"event {_quoted(node.name)}"
    if (node.order, node.count) != (Order.GTE, 1):
        said += f" {_SIGNS[node.order]} {node.count}"
    if node.since is not None:
        said += f" since {_moment(node.since)}"
    if node.within_s is not None:
        said += f" within {_duration(node.within_s)}"
    return said


def _value(field: str, value: str) -> str:
    return UNUSED if field == "last_status" and not value else _quoted(value)


def _quoted(text: str, *, unless_begins: tuple[str, ...] = ()) -> str:
    plain = _WORD.fullmatch(text) and text.lower() not in RESERVED
    if plain and not (unless_begins and text.startswith(unless_begins)):
        return text
    return msgspec.json.encode(text).decode()


def _moment(bound: Decimal) -> str:
    found = filter_values.moment_of(bound)
    return found.isoformat().replace("+00:00", "Z")


def _duration(seconds: int) -> str:
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"
