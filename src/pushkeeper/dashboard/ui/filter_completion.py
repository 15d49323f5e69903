"""What may come next in a filter that somebody is typing: names, signs, values, words between conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.filters.from_json import DEVICE_FIELDS, DEVICE_TEXTS, DEVICE_TIMES, IDENTIFIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pushkeeper.services.listings import Known

MOST = 12
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|<=|>=|!=|[=<>(),]|[^\s"=<>!(),]+')
_BARE = re.compile(r'[^\s"=<>!(),]+')
_RESERVED = frozenset(
    {
        *("and", "or", "not", "in", "exists", "within", "since", "starts", "with"),
        *("contains", "before", "after", "event", "segment"),
    }
)
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_OF_TEXTS = ("=", "!=", "in (", "contains", "starts with", "exists", "not exists")
_OF_TIMES = ("within", "before", "after", "exists")
_DURATIONS = ("1h", "24h", "7d", "30d", "90d", "270d")
_AFTER_EVENT = (">=", "<", "within", "and", "or")
_MATCHES = ("any(", "all(", "none(")


class _Next(Enum):
    FIELD = auto()
    OPERATOR = auto()
    VALUE = auto()
    LIST = auto()
    DURATION = auto()
    WITH = auto()
    NUMBER = auto()
    EVENT = auto()
    SEGMENT = auto()
    AFTER_EVENT = auto()
    BETWEEN = auto()


@dataclass(frozen=True, slots=True)
class Completion:
    """What can replace the characters from `start` to `end`, each with a description."""

    start: int
    end: int
    offers: Sequence[tuple[str, str]]


def complete(text: str, at: int, known: Known) -> Completion:
    """What may be typed at a character of a text."""
    before = text[:at]
    tokens = [(match[0], match.start()) for match in _TOKEN.finditer(before)]
    typed, start = "", at
    if tokens and tokens[-1][1] + len(tokens[-1][0]) == at and _is_open(tokens[-1][0]):
        typed, start = tokens.pop()
    following, field = _state([token for token, _ in tokens])
    wanted = typed.strip('"').lower()
    found = _matching(_offers(following, field, known), wanted)
    return Completion(start, at, found[:MOST])


def _is_open(token: str) -> bool:
    """Whether more of it may be typed still."""
    return bool(_BARE.fullmatch(token)) or (
        token.startswith('"') and not (len(token) > 1 and token.endswith('"'))
    )


def _matching(offers: Iterable[tuple[str, str]], wanted: str) -> list[tuple[str, str]]:
    """Names that begin with the input, then those that contain it."""
    seen: dict[str, str] = {}
    for word, what in offers:
        seen.setdefault(word, what)
    plain = {word: word.strip('"').lower() for word in seen}
    begin = [word for word in seen if plain[word].startswith(wanted)]
    within = [word for word in seen if wanted in plain[word] and word not in begin]
    return [(word, seen[word]) for word in (*begin, *within) if plain[word] != wanted or word.endswith("(")]


def _state(tokens: Sequence[str]) -> tuple[_Next, str]:
    """What is expected after these, and the field that it is about."""
    following, field = _Next.FIELD, ""
    for token in tokens:
        if following is _Next.OPERATOR and field.endswith(".") and token.startswith('"'):
            field += token.strip('"')  # person."first name" is two tokens
            continue
        before, following = following, _AFTER[following](token.lower())
        if before is _Next.FIELD and following is _Next.OPERATOR:
            field = token
    return following, field


def _after_field(word: str) -> _Next:
    match word:
        case "(" | "not" | "any" | "all" | "none":
            return _Next.FIELD
        case "event":
            return _Next.EVENT
        case "segment":
            return _Next.SEGMENT
        case "everybody" | "nobody":
            return _Next.BETWEEN
    return _Next.OPERATOR


def _after_operator(word: str) -> _Next:
    match word:
        case "not":
            return _Next.OPERATOR
        case "exists":
            return _Next.BETWEEN
        case "in":
            return _Next.LIST
        case "within":
            return _Next.DURATION
        case "starts":
            return _Next.WITH
    return _Next.VALUE


def _after_event(word: str) -> _Next:
    if word in {"and", "or"}:
        return _Next.FIELD
    if word == "within":
        return _Next.DURATION
    return _Next.NUMBER if word in {"<", "<=", ">", ">=", "since"} else _Next.BETWEEN


_AFTER: dict[_Next, Callable[[str], _Next]] = {
    _Next.FIELD: _after_field,
    _Next.OPERATOR: _after_operator,
    _Next.WITH: lambda _: _Next.VALUE,
    _Next.LIST: lambda word: _Next.BETWEEN if word == ")" else _Next.LIST,
    _Next.EVENT: lambda _: _Next.AFTER_EVENT,
    _Next.SEGMENT: lambda _: _Next.BETWEEN,
    _Next.AFTER_EVENT: _after_event,
    _Next.VALUE: lambda _: _Next.BETWEEN,
    _Next.DURATION: lambda _: _Next.BETWEEN,
    _Next.NUMBER: lambda _: _Next.BETWEEN,
    _Next.BETWEEN: lambda word: _Next.FIELD if word in {"and", "or"} else _Next.BETWEEN,
}
_WORDS: dict[_Next, Sequence[str]] = {
    _Next.DURATION: _DURATIONS,
    _Next.WITH: ("with",),
    _Next.AFTER_EVENT: _AFTER_EVENT,
    _Next.BETWEEN: ("and", "or", ")"),
    _Next.LIST: ("(", ",", ")"),
}


def _offers(following: _Next, field: str, known: Known) -> Iterator[tuple[str, str]]:
    match following:
        case _Next.FIELD:
            yield from _fields(known)
        case _Next.OPERATOR:
            yield from ((sign, "") for sign in _operators(field))
        case _Next.VALUE | _Next.LIST:
            yield from ((_quoted(value), "") for value in _values(field, known))
        case _Next.EVENT:
            yield from ((_quoted(name), "event") for name in known.events)
        case _Next.SEGMENT:
            yield from ((str(number), name) for number, name in known.segments)
    yield from ((word, "") for word in _WORDS.get(following, ()))


def _fields(known: Known) -> Iterator[tuple[str, str]]:
    own = DEVICE_FIELDS - {"app", "failure_reason"}
    yield from ((name, "device") for name in ("platform", "last_status", "last_used"))
    yield from ((name, "device") for name in sorted(DEVICE_FIELDS))
    yield from ((_quoted(name), "device attribute") for name in known.of_devices if name not in own)
    yield from ((f"person.{name}", "person") for name in sorted(IDENTIFIERS))
    for name in known.of_people:
        yield (f"person.{name}" if _is_bare(name) else f"person.{_quoted(name)}"), "person attribute"
    yield from (("event", "events of people"), ("segment", "a manual list or saved audience"), ("not", ""))
    yield ("everybody", "all devices")
    yield from ((word, "across a person's devices") for word in _MATCHES)


def _operators(field: str) -> Sequence[str]:
    name = field.removeprefix("device.")
    if name in DEVICE_TIMES:
        return _OF_TIMES
    if name in DEVICE_TEXTS or name.removeprefix("person.") in IDENTIFIERS:
        return _OF_TEXTS
    return (*_OF_TEXTS[:2], *_SIGNS[2:], *_OF_TEXTS[2:])


def _values(field: str, known: Known) -> Iterable[str]:
    if field.startswith("person."):
        return known.of_people.get(field.removeprefix("person."), ())
    name = field.removeprefix("device.").strip('"')
    said = DEVICE_TEXTS.get(name)
    if name == "last_status":
        return ("sent", "unused", "bounced", "suppressed")
    if said is not None:
        return [value for value in said if value]
    return known.of_devices.get(name, ())


def _is_bare(text: str) -> bool:
    return bool(_BARE.fullmatch(text)) and text.lower() not in _RESERVED


def _quoted(text: str) -> str:
    return text if _is_bare(text) else msgspec.json.encode(text).decode()
