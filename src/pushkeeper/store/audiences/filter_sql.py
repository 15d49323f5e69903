"""A filter as a condition in SQL over `people p`, and `devices d`, equal to `filter_match.matches`.

Values are parameters. Functions of migrations 0007 and 0011 convert JSON to numbers, times and versions.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.filters import values as filter_values
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
    Unit,
    Version,
    WithinLast,
)

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from pushkeeper.core.filters.nodes import Node, Test

_SIGNS = {Order.GT: ">", Order.GTE: ">=", Order.LT: "<", Order.LTE: "<="}
_COLUMNS = {
    "platform": "d.platform",
    "last_status": "d.status",
    "environment": "d.environment",
    "app": "d.app",
    "failure_reason": "d.failure_reason",
    "strikes": "d.strikes",
    "created_at": "d.created_at",
    "registered_at": "d.registered_at",
    "last_used": "d.last_used",
}
_OWN = "d.workspace_id = p.workspace_id and d.person_id = p.person_id"
_OF_PERSON = {
    Match.ANY: "exists (select from devices d where {of} and {inner})",
    Match.NONE: "not exists (select from devices d where {of} and {inner})",
    Match.ALL: "(exists (select from devices d where {of}) and not exists (select from devices d where {of} and not {inner}))",
}


class Where(NamedTuple):
    """A condition in SQL, its parameters, and whether it is about `people p` at all, and about devices."""

    sql: str
    parameters: list[object]
    of_people: bool
    of_devices: bool


def condition(
    node: Node, *, first: int, now: datetime, unit: Unit = Unit.PERSON, total: bool = False
) -> Where:
    """The condition and its parameters, the first of which is `$first`.

    Args:
        node: the filter.
        first: the number of its first parameter.
        now: the time that `within` counts back from.
        unit: of DEVICE, device conditions are about the row `devices d`; else about any device of `people p`.
        total: it is never null; else null says false, which lets PostgreSQL use an index on what is tested.
    """
    writer = _Writer(first, now, unit, total=total)
    return Where(writer.write(node), writer.parameters, writer.of_people, writer.of_devices)


def attribute(column: str, name: str, test: Test) -> str | None:
    """What of an attribute a test compares: what an index of it has to be on. None of tests that no index serves.

    `column` is the attributes' and `name` the attribute's name, both in SQL.
    """
    match test:
        case OneOf(values):
            return f"({column} {'->>' if _are_texts(values) else '->'} {name})"
        case Number():
            return f"json_number({column} -> {name})"
        case Version():
            return f"attribute_version({column}, {name})"
        case Time() | WithinLast():
            return f"json_seconds({column} -> {name})"
    return None


class _Writer:
    def __init__(self, first: int, now: datetime, unit: Unit, *, total: bool) -> None:
        self._first = first
        self._now = now
        self._unit = unit
        self._total = total
        self.parameters: list[object] = []
        self.of_people = False
        self.of_devices = False

    @property
    def _row(self) -> str:
        """The row at hand, which has the person's key."""
        if self._unit is Unit.DEVICE:
            return "d"
        self.of_people = True
        return "p"

    def _theirs(self, alias: str) -> str:
        """That another row is of the same person."""
        row = self._row
        return f"{alias}.workspace_id = {row}.workspace_id and {alias}.person_id = {row}.person_id"

    def write(self, node: Node) -> str:
        match node:
            case And(nodes):
                return self._joined(nodes, " and ", "true")
            case Or(nodes):
                return self._joined(nodes, " or ", "false")
            case Not(inner):
                return f"(not {self._within(inner, total=True)})"
        return self._leaf(node)

    def _within(self, node: Node, *, total: bool, unit: Unit | None = None) -> str:
        """A subfilter that may be null or not, and may be evaluated in another unit than its parent."""
        kept = self._total, self._unit
        self._total, self._unit = total, unit or self._unit
        written = self.write(node)
        self._total, self._unit = kept
        return written

    def _leaf(self, node: InSegment | DeviceCondition | Performed | Condition | SavedAudience) -> str:
        match node:
            case DeviceCondition(inner, match):
                return self._of_device(inner, match)
            case Condition(subject, field, test):
                return self._condition(subject, field, test)
            case SavedAudience(_, unit, inner):
                return self._saved(unit, inner)
        match node:
            case InSegment(segment_id):
                number = self._parameter(segment_id, "bigint")
                where = f"{self._theirs('m')} and m.segment_id = {number}"
                return f"exists (select from segment_members m where {where})"
            case Performed():
                return self._performed(node)

    def _saved(self, unit: Unit, inner: Node) -> str:
        if unit is self._unit or unit is Unit.PERSON:
            return self._within(inner, total=self._total, unit=unit)
        self.of_people = True
        written = self._within(inner, total=False, unit=unit)
        return _OF_PERSON[Match.ANY].format(of=_OWN, inner=written)

    def _of_device(self, inner: Node, match: Match) -> str:
        self.of_devices = True
        if self._unit is Unit.DEVICE:
            if match is Match.NONE:
                return f"(not {self._within(inner, total=True)})"
            return self.write(inner)
        self.of_people = True
        written = self._within(inner, total=match is Match.ALL)
        return _OF_PERSON[match].format(of=_OWN, inner=written)

    def _performed(self, node: Performed) -> str:
        where = f"{self._theirs('e')} and e.name = {self._parameter(node.name, 'text')}"
        if node.since is not None:
            where += f" and e.happened_at >= {self._moment(node.since)}"
        if node.within_s is not None:
            where += f" and e.happened_at {self._recent(node.within_s)}"
        if (node.order, node.count) == (Order.GTE, 1):
            return f"exists (select from events e where {where})"
        count = self._parameter(node.count, "bigint")
        counted = f"(select count(*) from events e where {where})"  # noqa: S608 - only parameters' numbers are put in
        return f"({counted} {_SIGNS[node.order]} {count})"

    def _condition(self, subject: Subject, field: str, test: Test) -> str:
        self.of_devices |= subject in (Subject.DEVICE, Subject.DEVICE_ATTRIBUTE)
        match subject:
            case Subject.IDENTIFIER:
                return self._identifier(field, test)
            case Subject.DEVICE:
                return self._column(_COLUMNS[field], test)
            case Subject.PERSON:
                self.of_people = True
                return self._json("p.attributes", field, test)
            case Subject.DEVICE_ATTRIBUTE:
                return self._json("d.attributes", field, test)

    def _json(self, column: str, field: str, test: Test) -> str:
        name = self._parameter(field, "text")
        value = f"({column} -> {name})"
        match test:
            case Exists():
                return f"({column} ? {name})"
            case Contains(text):
                part = self._parameter(text, "text")
                one_of = self._parameter(_meanings((text,)), "jsonb[]")
                return (
                    f"(case jsonb_typeof{value} when 'string' then strpos({value} #>> '{{}}', {part}) > 0 "
                    f"when 'array' then exists (select from jsonb_array_elements{value} as one (own) "
                    f"where one.own = any ({one_of})) else false end)"
                )
            case StartsWith(text):
                part = self._parameter(text, "text")
                return (
                    f"(case jsonb_typeof{value} when 'string' then starts_with({value} #>> '{{}}', {part}) "
                    "else false end)"
                )
        return self._known(f"({attribute(column, name, test)} {self._compared(test)})")

    def _compared(self, test: OneOf | Number | Version | Time | WithinLast) -> str:
        """What an attribute's value is compared to."""
        match test:
            case OneOf(values) if _are_texts(values):
                return self._one_of(values)
            case OneOf(values):
                return f"= any ({self._parameter(_meanings(values), 'jsonb[]')})"
            case Version(order, parts):
                return f"{_SIGNS[order]} {self._parameter(_bound(order, parts), 'bigint[]')}"
            case Number(order, bound) | Time(order, bound):
                return f"{_SIGNS[order]} {self._parameter(bound, 'numeric')}"
            case WithinLast(seconds):
                until = filter_values.seconds_of(self._now)
                since = self._parameter(until - seconds, "numeric")
                return f"between {since} and {self._parameter(until, 'numeric')}"

    def _column(self, column: str, test: Test) -> str:
        """A test of a column of texts, numbers or times; only a reason to fail can be null."""
        match test:
            case Exists():
                return f"({column} is not null)"
            case Number(order, bound):
                return f"({column} {_SIGNS[order]} {self._parameter(bound, 'numeric')})"
            case Time(order, bound):
                return f"({column} {_SIGNS[order]} {self._moment(bound)})"
            case WithinLast(seconds):
                return f"({column} {self._recent(seconds)})"
            case OneOf(values) if column == _COLUMNS["strikes"]:
                numbers = [number for value in values if (number := filter_values.number(value)) is not None]
                return f"({column} = any ({self._parameter(numbers, 'numeric[]')}))"
        return self._known(f"({self._text(column, test)})")

    def _identifier(self, field: str, test: Test) -> str:
        if field == "cio_id":
            shown = f"lpad(to_hex({self._row}.person_id), 12, '0')"
            return f"({self._text(shown, test)})"
        kind = self._parameter(field, "text")
        column = "i.key" if field == "email" else "i.value"
        return (
            f"exists (select from identifiers i where {self._theirs('i')} and "
            f"i.kind = {kind} and {self._text(column, test)})"
        )

    def _text(self, column: str, test: Test) -> str:
        match test:
            case OneOf(values):
                return f"{column} {self._one_of(values)}"
            case Contains(text):
                return f"strpos({column}, {self._parameter(text, 'text')}) > 0"
            case StartsWith(text):
                return f"starts_with({column}, {self._parameter(text, 'text')})"
        return "true"

    def _one_of(self, texts: tuple[str, ...]) -> str:
        if len(texts) == 1:
            return f"= {self._parameter(texts[0], 'text')}"
        return f"= any ({self._parameter(list(texts), 'text[]')})"

    def _known(self, test: str) -> str:
        """A test that is null of what is not there, as a truth where that matters."""
        return f"coalesce({test}, false)" if self._total else test

    def _moment(self, bound: Decimal) -> str:
        return self._parameter(filter_values.moment_of(bound), "timestamptz")

    def _recent(self, seconds: int) -> str:
        # Both bounds are constants: PostgreSQL can only prune partitions by bounds that it knows when it plans.
        since = self._parameter(self._now - timedelta(seconds=seconds), "timestamptz")
        return f"between {since} and {self._parameter(self._now, 'timestamptz')}"

    def _joined(self, nodes: tuple[Node, ...], word: str, of_none: str) -> str:
        return f"({word.join(map(self.write, nodes))})" if nodes else of_none

    def _parameter(self, value: object, kind: str) -> str:
        self.parameters.append(value)
        return f"${self._first + len(self.parameters) - 1}::{kind}"


def _meanings(values: tuple[str, ...]) -> list[object]:
    return [meaning for value in values for meaning in filter_values.meanings(value)]


def _are_texts(values: tuple[str, ...]) -> bool:
    """Whether each can only be a text in JSON, and no list's or object's written form either."""
    return all(
        filter_values.meanings(value) == (value,) and not value.startswith(("[", "{")) for value in values
    )


def _bound(order: Order, parts: tuple[int, ...]) -> list[int]:
    """A version to compare others to, which may have zeros at their end: 4.2.0 is not above 4.2, as lists are."""
    zeros = filter_values.MOST_PARTS - len(parts) if order in (Order.GT, Order.LTE) else 0
    return [*parts, *[0] * zeros]
