"""Liquid in what a push says: compiled once, rendered for each person, and bounded in work and in output.

The language is python-liquid's; its files, its includes and its unbounded growth are not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import liquid
from liquid.exceptions import LiquidError, UndefinedError
from liquid.undefined import FalsyStrictUndefined, Undefined

from pushkeeper.core.messages.liquid_budget import (
    MAX_OUTPUT_CHARACTERS,
    MAX_UNITS,
    Budget,
    BudgetSpent,
    Buffer,
    Context,
    charged,
)
from pushkeeper.core.messages.liquid_nodes import ChargedTag
from pushkeeper.core.messages.liquid_source import MAX_SOURCE_CHARACTERS, BadTemplate, check_source

if TYPE_CHECKING:
    from liquid.static_analysis import Variable

_MAX_ROUNDS = 5_000  # of loops within one another, multiplied
_MAX_CACHED_CHARACTERS = 400_000  # of sources; a compiled text takes some 130 bytes for each
_PER_TEXT = 100
_MAX_MESSAGE_CHARACTERS = 300  # it may quote the template
_QUICK_TAGS = frozenset(
    {"#", "assign", "capture", "case", "comment", "decrement", "echo", "if", "increment", "liquid", "unless"}
)
_QUICK_FILTERS = frozenset(
    {
        *("abs", "append", "at_least", "at_most", "capitalize", "ceil", "default", "divided_by", "downcase"),
        *("escape", "first", "floor", "last", "lstrip", "minus", "modulo", "plus", "prepend", "remove"),
        *("replace", "round", "rstrip", "size", "strip", "times", "truncate", "upcase", "url_encode"),
    }
)
_REACHES_OUT = ("include", "render")

Values: TypeAlias = Mapping[str, Any]


class WhenUndefined(StrEnum):
    """How to render a variable that has no value for this person. Conditions and `default` filters may always use one."""

    FAIL = "fail"  # it is not sent to them, as Customer.io does it
    EMPTY = "empty"  # it is sent without the value, as Liquid does it


class RenderError(Exception):
    """Why a template says nothing to this person: a value that is missing, a filter that fails, too much of anything."""


class RenderBudgetExceeded(RenderError):
    """It needs more than the budget; with a larger one it may do."""


def is_liquid(text: str) -> bool:
    """Whether there is anything in a text to be rendered."""
    return "{{" in text or "{%" in text


class Compiled:
    """A compiled text.

    Attributes:
        is_quick: there are no loops in it, and no filters but those that do little more than copy.
        snippets: the names of those that it uses.
    """

    __slots__ = ("_compiled", "is_quick", "snippets")

    def __init__(
        self, compiled: liquid.BoundTemplate, *, is_quick: bool, snippets: frozenset[str] = frozenset()
    ) -> None:
        self._compiled = compiled
        self.is_quick = is_quick
        self.snippets = snippets

    def render(self, values: Values, budget: Budget | None = None) -> str:
        """The text for these values; NotRenderable when it cannot be had, TooMuchWork when it costs too much.

        `budget` is what may be spent on it; None: as much as for a whole push.
        """
        budget = Budget() if budget is None else budget
        buffer = Buffer(budget)
        try:
            budget.charge(_PER_TEXT)
            self._compiled.render_with_context(Context(self._compiled, values, budget), buffer)
        except BudgetSpent:
            raise RenderBudgetExceeded("Liquid: too much work") from None
        except RenderError:  # of a snippet, which is rendered where it is used
            raise
        except UndefinedError as error:
            raise RenderError(str(error.message)[:_MAX_MESSAGE_CHARACTERS]) from None
        except Exception as error:  # noqa: BLE001 - whatever a filter cannot do with what it is given is the text's fault
            said = error.message if isinstance(error, LiquidError) else type(error).__name__
            raise RenderError(f"Liquid: {said}"[:_MAX_MESSAGE_CHARACTERS]) from None
        return buffer.getvalue()


class _Cache:
    """The texts that were compiled lately; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._compiled: OrderedDict[tuple[str, WhenUndefined], Compiled] = OrderedDict()
        self.characters = 0

    def get(self, text: str, when_undefined: WhenUndefined) -> Compiled:
        key = (text, when_undefined)
        with self._lock:
            if (found := self._compiled.get(key)) is not None:
                self._compiled.move_to_end(key)
                return found
        made = _compile(text, when_undefined)
        with self._lock:
            if key not in self._compiled:
                self.characters += len(text)
            self._compiled[key] = made
            while self.characters > _MAX_CACHED_CHARACTERS:
                (forgotten, _), _ = self._compiled.popitem(last=False)
                self.characters -= len(forgotten)
        return made


_cache = _Cache()


def compile_text(text: str, when_undefined: WhenUndefined = WhenUndefined.FAIL) -> Compiled:
    """Compile a text; one that was compiled lately is remembered. BadTemplate when it is not Liquid."""
    return _cache.get(text, when_undefined)


def _compile(text: str, when_undefined: WhenUndefined) -> Compiled:
    check_source(text)
    try:
        compiled = _ENVIRONMENTS[when_undefined].from_string(text)
        used = compiled.analyze(include_partials=False)
    except LiquidError as error:
        raise _bad(error) from None
    except RecursionError:
        raise BadTemplate("nested too deeply") from None
    for name in sorted(used.filters.keys() - _FILTERS):
        raise BadTemplate.at(text, used.filters[name][0].index, f"unknown filter {name!r}")
    is_quick = used.tags.keys() <= _QUICK_TAGS and used.filters.keys() <= _QUICK_FILTERS
    return Compiled(compiled, is_quick=is_quick, snippets=_snippets(text, used.globals.get("snippets", ())))


def _snippets(text: str, variables: Iterable[Variable]) -> frozenset[str]:
    """The names in `snippets.name` and `snippets["name"]`; BadTemplate where none is written out."""
    names = set()
    for variable in variables:
        name = next(iter(variable.segments[1:]), None)
        if not isinstance(name, str):
            where = variable.span.index
            raise BadTemplate.at(
                text, where, "snippets: expected the name of a snippet, such as snippets.address"
            )
        names.add(name)
    return frozenset(names)


def _bad(error: LiquidError) -> BadTemplate:
    try:
        where = error.context()
    except ValueError:
        where = None
    line, column = (where[0], where[1] + 1) if where else (1, 1)
    return BadTemplate(str(error.message)[:_MAX_MESSAGE_CHARACTERS], line, column)


class _Environment(liquid.Environment):
    loop_iteration_limit = _MAX_ROUNDS
    context_depth_limit = 20


def _environment(undefined: type[Undefined]) -> liquid.Environment:
    made = _Environment(undefined=undefined, autoescape=False)
    for tag in _REACHES_OUT:
        del made.tags[tag]
    made.tags.update({name: ChargedTag(tag) for name, tag in made.tags.items()})
    made.filters.update({name: charged(name, filter_) for name, filter_ in made.filters.items()})
    return made


_ENVIRONMENTS = {
    WhenUndefined.FAIL: _environment(FalsyStrictUndefined),
    WhenUndefined.EMPTY: _environment(Undefined),
}
_FILTERS = frozenset(_ENVIRONMENTS[WhenUndefined.FAIL].filters)

__all__ = [
    "MAX_OUTPUT_CHARACTERS",
    "MAX_SOURCE_CHARACTERS",
    "MAX_UNITS",
    "BadTemplate",
    "Budget",
    "Compiled",
    "RenderBudgetExceeded",
    "RenderError",
    "WhenUndefined",
    "compile_text",
    "is_liquid",
]
