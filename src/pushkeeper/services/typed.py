"""Requests of the native API as msgspec structs: what is refused is refused by its path, with a stable code.

msgspec stops at the first error and puts where it is into the text; this module reads that text in one place, so that everybody
else has a BadRequest with the path as data. It is taken for granted that the names of fields are Python names.
"""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import inspect

from pushkeeper.errors import BadRequest
from pushkeeper.services.validation import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pushkeeper.errors import Path

T = TypeVar("T", bound=msgspec.Struct)

_MAX_SHOWN = 40  # characters of a name or value in an error's text
_MOST_SPELLINGS = (
    20  # values such as 42.0 and "iOS" that are read as 42 and "ios"; each costs one more reading of the body
)
_PLACE = re.compile(r"(?s)(?P<problem>.*?)(?: - at (?:`key` in )?`\$(?P<place>[^`]*)`)?\Z")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"(?s)Object contains unknown field `(.*)`")
_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_LENGTH = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `\w+` (>=|<=|>|<) (\S+)")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_BOUNDS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}


def read(value: object, kind: type[T]) -> T:
    """The request of this kind that a JSON value is.

    Raises:
        BadRequest: it is none; names the first field that is wrong.
    """
    return _read(value, kind, strict=True)


def query(parameters: Mapping[str, str], kind: type[T]) -> T:
    """The request of this kind that the parameters of a query are.

    Raises:
        BadRequest: one is unknown, or its value is none that it can have.
    """
    return _read(dict(parameters), kind, strict=False)


def _read(value: object, kind: type[T], *, strict: bool) -> T:
    for _ in range(_MOST_SPELLINGS):
        try:
            return msgspec.convert(value, kind, strict=strict)
        except msgspec.ValidationError as error:
            refused = _refusal(error, value, kind)
            value, changed = _respelled(value, refused, kind)
        if not changed:
            break
    raise refused


def _refusal(error: msgspec.ValidationError, value: object, kind: type[msgspec.Struct]) -> BadRequest:
    found = _PLACE.fullmatch(str(error))
    assert found is not None  # noqa: S101 - it matches any text
    problem = found["problem"]
    path = _path(_STEP.finditer(found["place"] or ""), value, kind, str(error))
    if missing := _MISSING.fullmatch(problem):
        return BadRequest((*path, missing[1]), "is required", "missing")
    if unknown := _UNKNOWN.fullmatch(problem):
        return _unknown(path, unknown[1], kind)
    return _of_value(path or ("body",), problem, kind)


def _of_value(path: Path, problem: str, kind: type[msgspec.Struct]) -> BadRequest:
    if wrong := _TYPE.fullmatch(problem):
        expected = [_WORDS.get(word, word) for word in wrong[1].split(" | ") if word != "null"]
        if wrong[2] == "null":
            return BadRequest(path, "is required", "missing")
        got = _WORDS.get(wrong[2], wrong[2])
        return BadRequest(path, f"expected {' or '.join(expected)}, not {got}", "wrong_type")
    if length := _LENGTH.fullmatch(problem):
        return _of_length(path, *length.groups())
    if bound := _BOUND.fullmatch(problem):
        number = float(bound[2])
        return BadRequest(path, f"expected a number {_BOUNDS[bound[1]]} {number:,.15g}", "out_of_range")
    if problem.startswith("Invalid enum value") and (words := _words_at(kind, path)):
        return BadRequest(path, f"expected {' or '.join(words)}", "unknown_value")
    return BadRequest(
        path, problem, "out_of_range" if problem == "Integer value out of range" else "malformed"
    )


def _unknown(path: Path, name: str, kind: type[msgspec.Struct]) -> BadRequest:
    close = get_close_matches(name[:_MAX_SHOWN], _fields_at(kind, path), n=1)
    meant = f"; did you mean `{close[0]}`?" if close else ""
    return BadRequest((*path, name[:_MAX_SHOWN]), f"unknown field{meant}", "unknown_field")


def _of_length(path: Path, kind: str, comparison: str, length: str) -> BadRequest:
    if kind == "str" and comparison == ">=":
        return BadRequest(path, "is required and cannot be empty", "missing")
    what = "characters" if kind == "str" else "items"
    problem = f"expected {'at least' if comparison == '>=' else 'at most'} {int(length):,} {what}"
    return BadRequest(path, problem, "too_large" if comparison == "<=" else "out_of_range")


def _respelled(value: object, refused: BadRequest, kind: type[msgspec.Struct]) -> tuple[Any, bool]:
    """The value with 42 for 42.0, or a word in lower case; and whether anything changed."""
    found = _at(value, refused.path)
    spelled = found
    if refused.code == "wrong_type":
        spelled = whole(found)
    elif (
        refused.code == "unknown_value"
        and isinstance(found, str)
        and found.lower() in _words_at(kind, refused.path)
    ):
        spelled = found.lower()
    if type(spelled) is type(found) and spelled == found:
        return value, False
    changed: Any = deepcopy(value)
    _at(changed, refused.path[:-1])[refused.path[-1]] = spelled
    return changed, True


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value


def _path(steps: Iterator[re.Match[str]], value: Any, kind: type[msgspec.Struct], error: str) -> Path:  # noqa: ANN401 - JSON
    """The path of an error; msgspec does not say which entry of a mapping it is in."""
    path: list[str | int] = []
    for step in steps:
        if step["any"]:
            path.append(_entry(value, tuple(path), kind, error))
        else:
            path.append(step["name"] or int(step["index"]))
    return tuple(path)


def _entry(value: Any, path: Path, kind: type[msgspec.Struct], error: str) -> str:  # noqa: ANN401 - JSON
    """The key of a mapping's entry that has this error, found by halves: each time, half of the entries are read alone."""
    value = deepcopy(value)
    entries = _at(value, path)
    if not isinstance(entries, dict) or not entries:  # a name of the caller's reads like a place
        return ""
    keys = list(entries)
    whole_of_it = dict(entries)
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        entries.clear()
        entries.update((key, whole_of_it[key]) for key in half)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as found:
            keys = half if str(found) == error else keys[len(half) :]
        else:
            keys = keys[len(half) :]
    return str(keys[0])


def _types_at(kind: type[msgspec.Struct], path: Path) -> list[inspect.Type]:
    """What may be at a place of a request, as types."""
    found = _alternatives(inspect.type_info(kind))
    for step in path:
        found = [inner for outer in found for one in _within(outer, step) for inner in _alternatives(one)]
    return found


def _alternatives(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [inner for one in kind.types for inner in _alternatives(one)]
    return [kind]


def _within(kind: inspect.Type, step: str | int) -> Sequence[inspect.Type]:
    match kind:
        case inspect.StructType(fields=fields):
            return [field.type for field in fields if field.encode_name == step]
        case inspect.DictType(value_type=inner):
            return [inner]
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            return [inner]
    return []


def _fields_at(kind: type[msgspec.Struct], path: Path) -> list[str]:
    return [
        field.encode_name
        for one in _types_at(kind, path)
        if isinstance(one, inspect.StructType)
        for field in one.fields
    ]


def _words_at(kind: type[msgspec.Struct], path: Path) -> list[str]:
    """The values that a field may have, where it may have only some."""
    found: list[str] = []
    for one in _types_at(kind, path):
        if isinstance(one, inspect.EnumType):
            found += [str(member.value) or '""' for member in one.cls]
        elif isinstance(one, inspect.LiteralType):
            found += [str(value) or '""' for value in one.values]
    return found
