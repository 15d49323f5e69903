"""Filters as JSON says them: read, and what is wrong with one told by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.filters import values as filter_values
from pushkeeper.core.filters.nodes import (
    MAX_DEPTH,
    MAX_EVENT_COUNT,
    MAX_NODES,
    MAX_VALUE_BYTES,
    MAX_VALUES,
    And,
    BadFilter,
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
    StartsWith,
    Subject,
    Test,
    Time,
    Version,
    WithinLast,
)
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

MAX_SECONDS = 100 * 366 * 86_400
IDENTIFIERS = frozenset({"id", "email", "cio_id"})
DEVICE_TIMES = frozenset({"created_at", "registered_at", "last_used"})
DEVICE_TEXTS: dict[str, tuple[str, ...] | None] = {
    "platform": tuple(platform.value for platform in Platform),
    "last_status": tuple(status.value for status in LastStatus),
    "environment": ("", "production", "sandbox"),
    "app": None,
    "failure_reason": None,
}
DEVICE_FIELDS = frozenset({*DEVICE_TEXTS, *DEVICE_TIMES, "strikes"})
OWN_ATTRIBUTE = "attributes."

OPERATORS = (
    *("eq", "neq", "in", "exists", "gt", "gte", "lt", "lte"),
    *("contains", "starts_with", "before", "after", "within_last_s"),
)
_OPERATORS = f"{', '.join(OPERATORS[:-1])} or {OPERATORS[-1]}"
_KINDS = "and, or, not, segment, attribute, device, event"
_OF_ORDER = frozenset({"gt", "gte", "lt", "lte"})


def read(given: object) -> Node:
    """The filter that JSON says; BadFilter of what is none, or is too deep or large."""
    return _Reader().node(given, "filter", 1)


def condition(field: str, operator: str, value: Any, place: str, *, of_device: bool) -> Node:  # noqa: ANN401 - JSON
    """The condition of a field, an operator and a value, which is MISSING of `exists`; BadFilter of what makes none."""
    subject, name = subject_of(field, of_device=of_device)
    if operator == "neq":
        return Not(condition(field, "eq", value, place, of_device=of_device))
    test = _test(name, operator, value, place)
    if subject is Subject.DEVICE and DEVICE_TEXTS.get(name):
        test = _lowered(test)  # their values are all in lower case
    _check_subject(subject, name, test, place)
    if subject is Subject.IDENTIFIER and name == "email":
        test = _lowered(test)
    return Condition(subject, name, test)


def subject_of(field: str, *, of_device: bool) -> tuple[Subject, str]:
    """Where a field is kept, and its name there; `attributes.` leads to a device's attribute of a field's name."""
    if not of_device:
        return (Subject.IDENTIFIER if field in IDENTIFIERS else Subject.PERSON), field
    if field in DEVICE_FIELDS:
        return Subject.DEVICE, field
    return Subject.DEVICE_ATTRIBUTE, field.removeprefix(OWN_ATTRIBUTE)


class _Missing:
    """No value was given."""


MISSING = _Missing()


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0
        self._of_device = False

    def node(self, given: object, place: str, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise BadFilter(place, f"at most {MAX_DEPTH} levels and {MAX_NODES} conditions")
        if not isinstance(given, dict) or len(given) != 1:
            raise BadFilter(place, f"expected an object with one of {_KINDS}")
        [(kind, inner)] = given.items()
        within = f"{place}.{kind}"
        match kind:
            case "and":
                return And(self._list(inner, within, depth))
            case "or":
                return Or(self._list(inner, within, depth))
            case "not":
                return Not(self.node(inner, within, depth + 1))
            case "attribute":
                return _attribute(inner, within, of_device=self._of_device)
        if self._of_device:
            raise BadFilter(place, "within device, only and, or, not and attribute are allowed")
        return self._of_person(kind, inner, place, depth)

    def _of_person(self, kind: object, inner: object, place: str, depth: int) -> Node:
        match kind:
            case "segment":
                return _segment(inner, f"{place}.segment")
            case "device":
                return self._device(inner, f"{place}.device", depth)
            case "event":
                return _event(inner, f"{place}.event")
        raise BadFilter(place, f"{str(kind)[:40]!r} is not one of {_KINDS}")

    def _device(self, given: object, place: str, depth: int) -> Node:
        if not isinstance(given, dict):
            raise BadFilter(
                place, "expected an object with one of and, or, not, attribute, and optionally match"
            )
        match = given.get("match", Match.ANY.value)
        if match not in list(Match):
            raise BadFilter(f"{place}.match", "expected any, all or none")
        self._of_device = True
        inner = self.node({kind: one for kind, one in given.items() if kind != "match"}, place, depth + 1)
        self._of_device = False
        return DeviceCondition(inner, Match(match))

    def _list(self, given: object, place: str, depth: int) -> tuple[Node, ...]:
        if not isinstance(given, list):
            raise BadFilter(place, "expected a list")
        return tuple(self.node(inner, f"{place}[{n}]", depth + 1) for n, inner in enumerate(given))


def _segment(given: object, place: str) -> InSegment:
    found = given.get("id") if isinstance(given, dict) and len(given) == 1 else None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 1 << 63:
        raise BadFilter(place, 'expected {"id": number}')
    return InSegment(found)


def _attribute(given: object, place: str, *, of_device: bool) -> Node:
    if not isinstance(given, dict) or not given.keys() <= {"field", "operator", "value"}:
        raise BadFilter(place, "expected field, operator and value")
    field, operator = given.get("field"), given.get("operator")
    if (
        not isinstance(field, str)
        or field in ("", OWN_ATTRIBUTE)
        or "\0" in field
        or len(field.encode()) > MAX_VALUE_BYTES
    ):
        raise BadFilter(f"{place}.field", "expected an attribute name")
    if not isinstance(operator, str):
        raise BadFilter(f"{place}.operator", f"expected {_OPERATORS}")
    return condition(field, operator, given.get("value", MISSING), place, of_device=of_device)


def _event(given: object, place: str) -> Performed:
    if not isinstance(given, dict) or not given.keys() <= {
        "name",
        "operator",
        "count",
        "since",
        "within_last_s",
    }:
        raise BadFilter(place, "expected name, and optionally operator, count, since and within_last_s")
    if not isinstance(given.get("name"), str) or not given["name"]:
        raise BadFilter(f"{place}.name", "expected an event name")
    name = _text(given["name"], f"{place}.name")
    operator = given.get("operator", Order.GTE.value)
    if operator not in list(Order):
        raise BadFilter(f"{place}.operator", "expected gt, gte, lt or lte")
    count = given.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_EVENT_COUNT:
        raise BadFilter(f"{place}.count", f"expected a whole number up to {MAX_EVENT_COUNT:,}")
    since, within = given.get("since"), given.get("within_last_s")
    return Performed(
        name,
        Order(operator),
        count,
        None if since is None else _time(since, f"{place}.since"),
        None if within is None else _within(within, f"{place}.within_last_s"),
    )


def _test(field: str, operator: str, value: Any, place: str) -> Test:  # noqa: ANN401 - JSON
    if operator == "exists":
        return Exists()
    if operator not in _READERS and operator not in _OF_ORDER:
        raise BadFilter(f"{place}.operator", f"expected {_OPERATORS}")
    at = f"{place}.value"
    if value is MISSING:
        raise BadFilter(at, f"is required for {operator}")
    if operator in _OF_ORDER:
        return _order(field, Order(operator), value, at)
    return _READERS[operator](value, at)


def _order(field: str, order: Order, value: Any, place: str) -> Number | Version | Time:  # noqa: ANN401 - JSON
    """What "less" means: of times in a device's times, of versions by the field's name or the value, else of numbers."""
    if field in DEVICE_TIMES and filter_values.number(value) is None:
        return Time(order, _time(value, place))
    number, version = filter_values.number(value), filter_values.version(value)
    if version is not None and (number is None or field.endswith("version") or field == "device_os"):
        if isinstance(value, str) and filter_values.seconds(value) is not None and number is None:
            raise BadFilter(place, "use before or after for times")
        return Version(order, version)
    if number is None:
        raise BadFilter(place, "expected a number or a version; use before or after for times")
    return Number(order, number)


def _check_subject(subject: Subject, field: str, test: Test, place: str) -> None:
    """Refuse a test that a field of a kind cannot pass."""
    timed = isinstance(test, Time | WithinLast)
    if subject is Subject.IDENTIFIER and not isinstance(test, Exists | OneOf | Contains | StartsWith):
        raise BadFilter(f"{place}.operator", f"{field} has no order")
    if subject is not Subject.DEVICE:
        return
    if field in DEVICE_TIMES:
        if not timed and not isinstance(test, Exists):
            raise BadFilter(
                f"{place}.operator", f"{field} is a time: expected before, after, within_last_s or exists"
            )
    elif field == "strikes":
        if not isinstance(test, Number | Exists | OneOf):
            raise BadFilter(
                f"{place}.operator", "`strikes` is a number: expected eq, neq, in, gt, gte, lt or lte"
            )
    elif not isinstance(test, Exists | OneOf | Contains | StartsWith):
        raise BadFilter(f"{place}.operator", f"{field} is a string, which has no order")
    known = DEVICE_TEXTS.get(field)
    if known is not None and isinstance(test, OneOf) and not set(test.values) <= set(known):
        raise BadFilter(f"{place}.value", "expected " + " or ".join(one or "empty" for one in known))


def _lowered(test: Test) -> Test:
    # What an email is looked for by has no case.
    match test:
        case OneOf(values):
            return OneOf(tuple(value.lower() for value in values))
        case Contains(text):
            return Contains(text.lower())
        case StartsWith(text):
            return StartsWith(text.lower())
    return test


def _time(value: object, place: str) -> Decimal:
    found = filter_values.seconds(value)
    if found is None:
        raise BadFilter(place, "expected a time: seconds since 1970, or a text such as 2026-01-31T08:00:00Z")
    return found


def _within(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SECONDS:
        raise BadFilter(place, f"expected whole seconds, up to {MAX_SECONDS:,}")
    return value


def _text(value: Any, place: str) -> str:  # noqa: ANN401 - JSON
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if "\0" in text or len(text.encode()) > MAX_VALUE_BYTES:
        raise BadFilter(place, f"at most {MAX_VALUE_BYTES} bytes, and no NUL")
    return text


def _list_of_texts(value: Any, place: str) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise BadFilter(place, f"expected a list of 1 to {MAX_VALUES:,} values")
    return tuple(_text(one, f"{place}[{n}]") for n, one in enumerate(value))


_READERS: dict[str, Callable[[Any, str], Test]] = {
    "eq": lambda value, place: OneOf((_text(value, place),)),
    "in": lambda value, place: OneOf(_list_of_texts(value, place)),
    "contains": lambda value, place: Contains(_text(value, place)),
    "starts_with": lambda value, place: StartsWith(_text(value, place)),
    "before": lambda value, place: Time(Order.LT, _time(value, place)),
    "after": lambda value, place: Time(Order.GT, _time(value, place)),
    "within_last_s": lambda value, place: WithinLast(_within(value, place)),
}
