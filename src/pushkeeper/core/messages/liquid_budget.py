"""What rendering may cost: everything that reads or makes a value is charged for the size of it, before it does.

A unit is about a tenth of a microsecond at worst: a character that is searched, an element that is compared. The charges are
bounds, not measurements; `tests/core/test_template_cost.py` holds them against the clock, for each filter and tag there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeAlias

from liquid import RenderContext
from liquid.exceptions import FilterArgumentError, OutputStreamLimitError
from liquid.filter import flatten, sequence_filter
from liquid.undefined import UNDEFINED, Undefined

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager

    from liquid import BoundTemplate
    from liquid.builtin.tags.for_tag import ForLoop
    from liquid.builtin.tags.tablerow_tag import TableRow
    from liquid.token import Token

MAX_UNITS = 1_000_000
MAX_OUTPUT_CHARACTERS = 20_000
MAX_RANGE = 5_000
_MAX_INTEGER_BITS = 14_000  # Python prints no more than 4,300 digits
_PER_VALUE = 3
_PER_CALL = 40
_PER_ROUND = 20
_PER_DATE = 2_000  # a date is guessed from what it looks like

Filter: TypeAlias = Callable[..., Any]


class BudgetSpent(OutputStreamLimitError):
    """There is less left than something costs."""


class Budget:
    """What one push may still cost; all its texts share it."""

    __slots__ = ("left",)

    def __init__(self, units: int = MAX_UNITS) -> None:
        self.left = units

    def charge(self, units: int) -> None:
        """Spend some; BudgetSpent when there are not so many left."""
        self.left -= units
        if self.left < 0:
            raise BudgetSpent("too much work", token=None)

    def charge_for(self, value: object) -> None:
        """Spend what it costs to read a value whole, with all that is in it; a range counts as if it were a list."""
        waiting: list[Any] = [value]
        while waiting:
            one = waiting.pop()
            kind = type(one)
            if kind is str:
                units = _PER_VALUE + len(one)
            elif kind is dict:
                units = _PER_VALUE * (1 + len(one)) + sum(map(len, one))
                waiting += one.values()
            elif kind is list or kind is tuple:
                units = _PER_VALUE
                waiting += one
            elif kind is range:
                units = _PER_VALUE * (1 + len(one))
            elif kind is int:
                units = _PER_VALUE + one.bit_length() // 8
            else:
                units = _PER_VALUE
            # More than this waits, each of which costs as much.
            self.left -= units
            if self.left < _PER_VALUE * len(waiting):
                raise BudgetSpent("too much work", token=None)


class Buffer(StringIO):
    """Output that is charged for, and bounded."""

    def __init__(self, budget: Budget, room: int = MAX_OUTPUT_CHARACTERS) -> None:
        super().__init__()
        self.room = room
        self._budget = budget

    def write(self, text: str) -> int:
        """Write a text; OutputStreamLimitError when it is longer than there is room for."""
        self.room -= len(text)
        if self.room < 0:
            raise OutputStreamLimitError(f"longer than {MAX_OUTPUT_CHARACTERS} characters", token=None)
        self._budget.charge(len(text))
        return super().write(text)


class Context(RenderContext):
    """The state of one rendering, which is charged for every value that is looked up and every round of a loop."""

    __slots__ = ("budget",)

    def __init__(self, template: BoundTemplate, values: Mapping[str, object], budget: Budget) -> None:
        super().__init__(template, globals=values)
        self.budget = budget

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """What a variable's path leads to."""
        found = super().get(path, token=token, default=default)
        # Each enclosing loop adds a scope to the lookup.
        self.budget.charge(2 * self.scope.size())
        self.budget.charge_for(found)
        return found

    def loop(
        self, namespace: Mapping[str, object], forloop: ForLoop | TableRow
    ) -> _GeneratorContextManager[RenderContext]:
        """Charge for a loop's iterations in advance; its body is charged as it is rendered."""
        self.budget.charge(_PER_ROUND * forloop.length)
        return super().loop(namespace, forloop)

    def get_buffer(self, buf: object = None) -> Buffer:
        """A buffer within another, for `capture` and `ifchanged`."""
        return Buffer(self.budget, buf.room if isinstance(buf, Buffer) else MAX_OUTPUT_CHARACTERS)


def charged(name: str, filter_: Filter) -> Filter:
    """A filter that is charged for all that goes in and for what comes out.

    Beforehand it is charged, too, for what it makes of that: `_BEYOND` says which ones cost more than they read.
    """
    filter_ = _OWN.get(name, filter_)
    beyond = _BEYOND.get(name)
    with_environment = getattr(filter_, "with_environment", False)

    @wraps(filter_)
    def call(value: object, *args: object, context: Context, **kwargs: object) -> object:
        budget = context.budget
        budget.charge(_PER_CALL)
        budget.charge_for(value)
        for arg in (*args, *kwargs.values()):
            budget.charge_for(arg)
        if beyond is not None:
            budget.charge(beyond(value, *args))
        if with_environment:
            kwargs["environment"] = context.env
        found: object = filter_(value, *args, **kwargs)
        if isinstance(found, str | list | tuple | range):
            budget.charge(len(found))
        elif isinstance(found, int) and found.bit_length() > _MAX_INTEGER_BITS:
            raise FilterArgumentError("the number is too large", token=None)
        return found

    call.with_context = True  # type: ignore[attr-defined]
    call.with_environment = False  # type: ignore[attr-defined]
    return call


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, Undefined) else str(value)


def _replaced(value: object, sought: object = "", put: object = "", *_: object) -> int:
    text, part = _text(value), _text(sought)
    return (text.count(part) if part else len(text) + 1) * len(_text(put))


def _searched_from_the_end(value: object, sought: object = "", *_: object) -> int:
    # Python's search from the end compares each place with all that is sought.
    return len(_text(value)) * len(_text(sought)) // 32


def _joined(value: object, separator: object = " ", *_: object) -> int:
    elements = len(flatten(value)) if isinstance(value, list | tuple) else 0
    return (len(value) if isinstance(value, range) else elements) * len(_text(separator))


def _mapped(value: object, key: object = None, *_: object) -> int:
    # The library makes a text of the key for each element.
    elements = len(flatten(value)) if isinstance(value, list | tuple) else 1
    return 0 if isinstance(key, str) else elements * _all_of(key)


def _sorted(value: object, *_: object) -> int:
    return _all_of(value) * len(value).bit_length() // 8 if isinstance(value, list | tuple) else 0


def _without_tags(value: object, *_: object) -> int:
    # Python's HTML parser may look through the rest of the text from every "<" and "&" on.
    text = _text(value)
    return len(text) * (text.count("<") + text.count("&")) // 8 + 20 * text.count("<")


def _dated(value: object, form: object = "", *_: object) -> int:
    # Guessing a date takes the text apart and looks back; a directive may be replaced by 256 characters.
    return _PER_DATE + len(_text(value)) ** 2 + 256 * len(_text(form))


def _all_of(value: object) -> int:
    counted = Budget()
    counted.charge_for(value)
    return MAX_UNITS - counted.left


_BEYOND: Mapping[str, Callable[..., int]] = {
    "date": _dated,
    "join": _joined,
    "map": _mapped,
    "remove_last": _searched_from_the_end,
    "replace": _replaced,
    "replace_last": _searched_from_the_end,
    "sort": _sorted,
    "sort_natural": _sorted,
    "strip_html": _without_tags,
}


@sequence_filter
def _uniq(sequence: list[Any], key: object = None) -> list[object]:
    """`uniq` in linear time; the library's compares each element with all others."""
    seen: set[object] = set()
    kept = []
    for one in sequence:
        try:
            marked = _hashable(one if key is None else one[key])
        except KeyError:
            marked = _Missing
        except TypeError:
            raise FilterArgumentError(f"can't read property '{key}'", token=None) from None
        if marked not in seen:
            seen.add(marked)
            kept.append(one)
    return kept


class _Missing:
    """The value of a property that an element does not have."""


def _hashable(value: object) -> object:
    """Something that is equal where the value is equal, and can be in a set."""
    match value:
        case dict():
            return dict, frozenset((key, _hashable(inner)) for key, inner in value.items())
        case list() | tuple():
            return list, tuple(map(_hashable, value))
    return value


_OWN: Mapping[str, Filter] = {"uniq": _uniq}
