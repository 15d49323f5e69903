"""The filter language's tree: Customer.io's, with devices, events and more tests; read from JSON, and bounded.

Its text form is `core/filters/from_text.py`'s, its truth `core/filters/evaluate.py`'s, its SQL `store/audiences/filter_sql.py`'s.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

MAX_DEPTH = 20
MAX_NODES = 500
MAX_VALUES = 1_000
MAX_VALUE_BYTES = 1_000
MAX_EVENT_COUNT = 1_000_000


class BadFilter(Exception):
    """What is wrong with a filter, and where (`and[1].attribute.operator`)."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class Unit(StrEnum):
    """Whether a filter is evaluated per device or per person."""

    DEVICE = "device"
    PERSON = "person"


class Match(StrEnum):
    """How many of a person's devices must meet a device condition; of no device only NONE is true."""

    ANY = "any"
    ALL = "all"
    NONE = "none"


class Subject(StrEnum):
    """Whose field a condition is about, and where it is kept."""

    IDENTIFIER = "identifier"
    PERSON = "person"
    DEVICE = "device"
    DEVICE_ATTRIBUTE = "device_attribute"


class Order(StrEnum):
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"


class Exists(msgspec.Struct, frozen=True):
    """There is one at all."""


class OneOf(msgspec.Struct, frozen=True):
    """It is one of these, by their text, as the App API shows them."""

    values: tuple[str, ...]


class Number(msgspec.Struct, frozen=True):
    """It is a number, and in this order to this one."""

    order: Order
    bound: Decimal


class Version(msgspec.Struct, frozen=True):
    """It is a version, and in this order to this one, part by part."""

    order: Order
    bound: tuple[int, ...]


class Time(msgspec.Struct, frozen=True):
    """It is a time, and in this order to this one, in seconds since 1970."""

    order: Order
    bound: Decimal


class WithinLast(msgspec.Struct, frozen=True):
    """A time within the last number of seconds."""

    seconds: int


class Contains(msgspec.Struct, frozen=True):
    """It is a text with this in it, or a list with this as an element."""

    text: str


class StartsWith(msgspec.Struct, frozen=True):
    """It is a text that starts so."""

    text: str


Test: TypeAlias = Exists | OneOf | Number | Version | Time | WithinLast | Contains | StartsWith


class And(msgspec.Struct, frozen=True):
    """All of them; of none it is true."""

    nodes: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """Any of them; of none it is false."""

    nodes: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True):
    node: Node


class InSegment(msgspec.Struct, frozen=True):
    segment_id: int


class Condition(msgspec.Struct, frozen=True):
    """A test of one field."""

    subject: Subject
    field: str
    test: Test


class DeviceCondition(msgspec.Struct, frozen=True):
    """Conditions for one device; `match` says how many of a person's devices must meet them."""

    node: Node
    match: Match = Match.ANY


class Performed(msgspec.Struct, frozen=True):
    """How often the person did something: since a time, in the last seconds, or ever."""

    name: str
    order: Order = Order.GTE
    count: int = 1
    since: Decimal | None = None
    within_s: int | None = None


class SavedAudience(msgspec.Struct, frozen=True):
    """Membership in a saved audience: its own filter, evaluated in its own unit regardless of where it is used.

    An audience of people matches all devices of its people; one of devices matches people with such a device.
    """

    segment_id: int
    unit: Unit
    node: Node


Node: TypeAlias = And | Or | Not | InSegment | Condition | DeviceCondition | Performed | SavedAudience


def inner_nodes(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    match node:
        case And(nodes) | Or(nodes):
            return nodes
        case Not(inner) | DeviceCondition(inner):
            return (inner,)
        case SavedAudience():
            return (node.node,)
    return ()


def events_in(node: Node) -> frozenset[str]:
    """The events that a filter asks about."""
    if isinstance(node, Performed):
        return frozenset((node.name,))
    return frozenset().union(*map(events_in, inner_nodes(node)))


def check_size(node: Node, place: str = "filter") -> None:
    """Refuse what is too deep or large (BadFilter): a filter that others were put into can be."""
    depth, count = _size(node)
    if depth > MAX_DEPTH or count > MAX_NODES:
        raise BadFilter(place, f"at most {MAX_DEPTH} levels and {MAX_NODES} conditions")


def _size(node: Node) -> tuple[int, int]:
    inner = [_size(one) for one in inner_nodes(node)]
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(count for _, count in inner)
