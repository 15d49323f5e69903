"""The filter language as people type it: `platform = ios and app_version < 4.2 and person.plan = "pro"`.

A name is a field of the device or, after `person.`, of the person. Conditions on devices that are joined apply to the
same device.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from pushkeeper.core.filters import from_json, values
from pushkeeper.core.filters.nodes import (
    MAX_DEPTH,
    And,
    BadFilter,
    Condition,
    DeviceCondition,
    InSegment,
    Match,
    Node,
    Not,
    Or,
    Performed,
    Subject,
    check_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Attributes that Customer.io's SDKs set, which are written without a prefix as well.
COMMON_ATTRIBUTES = (
    *("app_version", "device_os", "device_model", "device_locale", "device_manufacturer"),
    *("push_enabled", "timezone", "cio_sdk_version", "screen_width", "screen_height"),
)
_CLOSE = 0.85
MAX_TEXT_BYTES = 20_000
_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<sign><=|>=|!=|[=<>(),])|(?P<word>[^\s"=<>!(),]+)|(?P<end>$))'
)
_SIGNS = {"=": "eq", "!=": "neq", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_WORDS = {"contains": "contains", "before": "before", "after": "after"}
RESERVED = frozenset({"and", "or", "not", "in", "exists", "within", "since", "starts", "with", *_WORDS})
_ENDS = frozenset({"and", "or", ")"})
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_WHOLE = re.compile(r"[0-9]{1,19}")
UNUSED = "unused"
EVERYBODY = "everybody"
NOBODY = "nobody"
_NOTHING: dict[str, Node] = {EVERYBODY: And(()), NOBODY: Or(())}


class _Token(msgspec.Struct, frozen=True):
    """A piece of the text; `kind` is quoted, sign, word or end, and `at` where it starts."""

    kind: str
    text: str
    at: int


def read(given: object) -> Node:
    """The filter that a tree of JSON or a text says; BadFilter of what says none."""
    return parse(given) if isinstance(given, str) else from_json.read(given)


def parse(text: str) -> Node:
    """The filter that a text says; BadFilter of what says none, with the character where it goes wrong."""
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise BadFilter("filter", f"at most {MAX_TEXT_BYTES:,} bytes")
    found = _Parser(_tokens(text)).whole()
    check_size(found)
    return found


def misspelled(text: str) -> tuple[str, str] | None:
    """The first field of a filter that is probably a misspelled field of devices, and the one that is probably meant.

    A field that is written with `device.` or in quotation marks is an attribute of that name.
    """
    parser = _Parser(_tokens(text))
    parser.whole()
    for name in parser.bare:
        known = [*from_json.DEVICE_FIELDS, *COMMON_ATTRIBUTES]
        if name not in known and (close := get_close_matches(name, known, n=1, cutoff=_CLOSE)):
            return name, close[0]
    return None


def _tokens(text: str) -> list[_Token]:
    found, at = list[_Token](), 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = "a closing quotation mark is missing" if text[at] == '"' else f'unexpected "{text[at]}"'
            raise BadFilter("filter", f"{what} (character {at + 1})")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self.bare: list[str] = []  # fields without a prefix

    def whole(self) -> Node:
        found = self._either()
        if self._seen.kind != "end":
            before = self._tokens[self._next - 1].text[:40] if self._next else ""
            self._expected("and / or, or remove it", after=before)
        return _of_devices(found)

    @property
    def _seen(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._seen
        self._next += token.kind != "end"
        return token

    def _takes(self, *texts: str) -> str | None:
        """The next token, if it is one of these unquoted words."""
        token = self._seen
        if token.kind in ("quoted", "end") or token.text.lower() not in texts:
            return None
        return self._take().text.lower()

    def _expected(self, what: str, token: _Token | None = None, *, after: str = "") -> NoReturn:
        found = token or self._seen
        if after:
            after, what = f' after "{after}"', f"use {what}"
        else:
            what = f"expected {what}"
        shown = f'unexpected "{found.text[:40]}"' if found.kind != "end" else "unexpected end of the filter"
        raise BadFilter("filter", f"{shown}{after} (character {found.at + 1}): {what}")

    def _either(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadFilter("filter", f"more than {MAX_DEPTH} levels (character {self._seen.at + 1})")
        nodes = [self._both()]
        while self._takes("or"):
            nodes.append(self._both())
        self._depth -= 1
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _both(self) -> Node:
        nodes = [self._one()]
        while self._takes("and"):
            nodes.append(self._one())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _one(self) -> Node:
        if self._takes("not"):
            return Not(self._negated())
        if self._takes("("):
            return self._closed()
        following = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if (following.kind == "end" or following.text.lower() in _ENDS) and self._seen.text in _NOTHING:
            return _NOTHING[self._take().text]
        if following.text == "(" and following.kind == "sign" and self._seen.text.lower() in list(Match):
            return self._matched(following)
        return self._named(following) or self._condition()

    def _named(self, following: _Token) -> Node | None:
        """A segment or an event, if one follows: these words can be fields as well."""
        if following.kind in ("word", "quoted") and following.text.lower() not in RESERVED:
            if self._takes("segment"):
                return InSegment(self._count("a segment number", most=(1 << 63) - 1))
            if self._takes("event"):
                return self._event()
        return None

    def _negated(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadFilter("filter", f"more than {MAX_DEPTH} levels (character {self._seen.at + 1})")
        inner = self._one()
        self._depth -= 1
        return inner

    def _matched(self, opening: _Token) -> Node:
        token = self._take()
        self._take()
        inner = self._closed()
        if not _only_devices(inner):
            self._expected(f"conditions on devices only within {token.text}", opening)
        return DeviceCondition(inner, Match(token.text.lower()))

    def _closed(self) -> Node:
        inner = self._either()
        if not self._takes(")"):
            self._expected("and, or, or )")
        return inner

    def _event(self) -> Node:
        given: dict[str, Any] = {"name": self._value("an event name")}
        token = self._seen
        if sign := self._takes("<", "<=", ">", ">="):
            given |= {"operator": _SIGNS[sign], "count": self._count("a count")}
        if self._takes("since"):
            given["since"] = self._value("a time")
        if self._takes("within"):
            given["within_last_s"] = self._duration()
        found = self._read(lambda: from_json.read({"event": given}), token)
        assert isinstance(found, Performed)  # noqa: S101 - the caller checked it
        return found

    def _condition(self) -> Node:
        start = self._seen
        if start.kind == "word" and start.text.lower() not in RESERVED:
            name, of_device = self._take().text, True
            if "." not in name:
                self.bare.append(name)
        elif start.kind == "quoted":
            name, of_device = self._value("a field"), True
        else:
            self._expected("a condition")
        if start.kind == "word" and name.startswith(("person.", "device.")):
            whose, _, name = name.partition(".")
            of_device = whose == "device"
            # person."first name" is two tokens.
            if not name and self._seen.kind == "quoted":
                name = self._value("a field")
        if not name or name == from_json.OWN_ATTRIBUTE:
            self._expected("a field name", start)
        sense = self._takes("not") is None
        operator, value = self._test(name)
        found = self._read(
            lambda: from_json.condition(name, operator, value, "filter", of_device=of_device), start
        )
        return found if sense else Not(found)

    def _test(self, name: str) -> tuple[str, Any]:
        if self._takes("exists"):
            return "exists", from_json.MISSING
        if self._takes("in"):
            return "in", self._list(name)
        if self._takes("within"):
            return "within_last_s", self._duration()
        if self._takes("starts"):
            if not self._takes("with"):
                self._expected("with")
            return "starts_with", self._value("a text")
        if sign := self._takes(*_SIGNS, *_WORDS):
            value = self._value("a value")
            unused = name == "last_status" and value == UNUSED
            return _SIGNS.get(sign) or _WORDS[sign], "" if unused else value
        return self._expected(
            "=, !=, <, <=, >, >=, in, contains, starts with, before, after, within or exists"
        )

    def _list(self, name: str) -> list[str]:
        if not self._takes("("):
            self._expected("(")
        found = [self._value("a value")]
        while self._takes(","):
            found.append(self._value("a value"))
        if not self._takes(")"):
            self._expected(", or )")
        return ["" if name == "last_status" and one == UNUSED else one for one in found]

    def _value(self, what: str) -> str:
        token = self._seen
        if token.kind == "quoted":
            try:
                return str(msgspec.json.decode(self._take().text))
            except msgspec.DecodeError:
                self._expected("a text with JSON's escapes", token)
        if token.kind != "word" or token.text.lower() in RESERVED:
            self._expected(what)
        return self._take().text

    def _count(self, what: str, most: int = 10**9) -> int:
        token = self._seen
        if token.kind != "word" or not _WHOLE.fullmatch(token.text) or int(token.text) > most:
            self._expected(what)
        return int(self._take().text)

    def _duration(self) -> int:
        match = _DURATION.fullmatch(self._seen.text)
        if match is None:
            self._expected("a time such as 90s, 15m, 12h, 30d or 4w")
        self._take()
        return int(match[1]) * values.DURATION_UNITS_S[match[2]]

    def _read(self, read: Callable[[], Node], start: _Token) -> Node:
        try:
            return read()
        except BadFilter as error:
            raise BadFilter(
                "filter", f"character {start.at + 1}: {start.text[:40]}: {error.message}"
            ) from None


def _only_devices(node: Node) -> bool:
    match node:
        case And(nodes) | Or(nodes):
            return bool(nodes) and all(map(_only_devices, nodes))
        case Not(inner):
            return _only_devices(inner)
        case Condition(subject):
            return subject in (Subject.DEVICE, Subject.DEVICE_ATTRIBUTE)
    return False


def _of_devices(node: Node) -> Node:
    """The tree with joined device conditions applied to one device."""
    if _only_devices(node):
        return DeviceCondition(node)
    match node:
        case And(nodes):
            return And(_together(nodes, And))
        case Or(nodes):
            return Or(_together(nodes, Or))
        case Not(inner):
            return Not(_of_devices(inner))
    return node


def _together(nodes: tuple[Node, ...], kind: type[And | Or]) -> tuple[Node, ...]:
    """The nodes, those on devices as one, at the place of the first."""
    own = [node for node in nodes if _only_devices(node)]
    found: list[Node] = []
    for node in nodes:
        if not _only_devices(node):
            found.append(_of_devices(node))
        elif node is own[0]:
            found.append(DeviceCondition(node if len(own) == 1 else kind(tuple(own))))
    return tuple(found)
