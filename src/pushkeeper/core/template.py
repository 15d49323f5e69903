"""Liquid in what a push says: compiled once, rendered for each person, and bounded in work and in output.

The language is python-liquid's; its files, its includes and its unbounded growth are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache, wraps
from typing import Any, TypeAlias

import liquid
from liquid.exceptions import (
    LiquidError,
    OutputStreamLimitError,
    UndefinedError,
)
from liquid.undefined import FalsyStrictUndefined, Undefined

MAX_SOURCE_CHARACTERS = 20_000
MAX_OUTPUT_CHARACTERS = 20_000
_MAX_ROUNDS = 5_000  # of all loops together, one within another multiplied
_MAX_WORK_CHARACTERS = 1_000_000  # of what all filters of one rendering give back
_COMPILED = 1_024
_REACHES_OUT = ("include", "render")

Values: TypeAlias = Mapping[str, Any]


class WhenUndefined(StrEnum):
    """What becomes of a text with a variable that this person has no value for; a test or a default always may ask."""

    FAIL = "fail"  # it is not sent to them, as Customer.io does it
    EMPTY = "empty"  # it is sent without the value, as Liquid does it


class BadTemplate(Exception):
    """What is wrong with a template, and where: line and column, from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {message}")


class NotRenderable(Exception):
    """Why a template says nothing to this person: a value that is missing, a filter that fails, too much of anything."""


def is_liquid(text: str) -> bool:
    """Whether there is anything in a text to be rendered."""
    return "{{" in text or "{%" in text


class Compiled:
    """A compiled text."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: liquid.BoundTemplate) -> None:
        self._compiled = compiled

    def render(self, values: Values) -> str:
        """The text for these values; NotRenderable when it cannot be had."""
        _work.left = _MAX_WORK_CHARACTERS
        try:
            return self._compiled.render(values)
        except UndefinedError as error:
            raise NotRenderable(str(error.message)) from None
        except (LiquidError, ArithmeticError, ValueError, RecursionError) as error:
            said = error.message if isinstance(error, LiquidError) else type(error).__name__
            raise NotRenderable(f"Liquid: {said}") from None


@lru_cache(_COMPILED)
def compile_text(text: str, when_undefined: WhenUndefined = WhenUndefined.FAIL) -> Compiled:
    """Compile a text; one that was compiled lately is remembered. BadTemplate when it is not Liquid."""
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise BadTemplate(f"at most {MAX_SOURCE_CHARACTERS} characters")
    try:
        compiled = _ENVIRONMENTS[when_undefined].from_string(text)
        used = compiled.analyze(include_partials=False).filters
    except LiquidError as error:
        raise _bad(error) from None
    except RecursionError:
        raise BadTemplate("nested too deeply") from None
    for name in sorted(used.keys() - _FILTERS):
        before = text[: used[name][0].index]
        raise BadTemplate(
            f"there is no filter {name!r}", before.count("\n") + 1, len(before) - before.rfind("\n")
        )
    return Compiled(compiled)


def _bad(error: LiquidError) -> BadTemplate:
    try:
        where = error.context()
    except ValueError:
        where = None
    line, column = (where[0], where[1] + 1) if where else (1, 1)
    return BadTemplate(str(error.message), line, column)


class _Work:
    """What the rendering under way may still do; there is one at a time, as nothing in it waits."""

    left = _MAX_WORK_CHARACTERS

    def do(self, characters: int) -> None:
        self.left -= characters + 1
        if self.left < 0:
            raise OutputStreamLimitError("too much work", token=None)


_work = _Work()


def _bounded(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for what it gives back, and beforehand where that is a product of what it is given."""
    foresee = _PRODUCTS.get(name)

    @wraps(filter_)
    def charged(value: object, *args: object, **kwargs: object) -> object:
        if foresee is not None:
            _work.do(foresee(value, *args))
        found: object = filter_(value, *args, **kwargs)
        _work.do(len(found) if isinstance(found, str | list) else 1)
        return found

    return charged


def _replaced(value: object, sought: object = "", put: object = "", *_: object) -> int:
    text, part = str(value), str(sought)
    times = text.count(part) if part else len(text) + 1
    return times * len(str(put))


def _joined(value: object, separator: object = " ", *_: object) -> int:
    return len(value) * len(str(separator)) if isinstance(value, list | tuple) else 0


_PRODUCTS: dict[str, Callable[..., int]] = {"replace": _replaced, "join": _joined}


class _Environment(liquid.Environment):
    loop_iteration_limit = _MAX_ROUNDS
    output_stream_limit = MAX_OUTPUT_CHARACTERS
    local_namespace_limit = 10 * MAX_OUTPUT_CHARACTERS
    context_depth_limit = 20


def _environment(undefined: type[Undefined]) -> liquid.Environment:
    made = _Environment(undefined=undefined, autoescape=False)
    for tag in _REACHES_OUT:
        del made.tags[tag]
    made.filters.update({name: _bounded(name, filter_) for name, filter_ in made.filters.items()})
    return made


_ENVIRONMENTS = {
    WhenUndefined.FAIL: _environment(FalsyStrictUndefined),
    WhenUndefined.EMPTY: _environment(Undefined),
}
_FILTERS = frozenset(_ENVIRONMENTS[WhenUndefined.FAIL].filters)
