"""How much of it a property is tried with, by Hypothesis's profile: `dev`, `ci` or `nightly` (tests/conftest.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

USUAL = 100  # what `ci` gives a property that asks for no number
_LEAST = 10


def examples(usual: int) -> int:
    """The number for a property that asks for `usual`: that by `ci`, a quarter of it by `dev`, tenfold by `nightly`."""
    assert settings.default is not None
    scaled = usual * settings.default.max_examples // USUAL
    return max(scaled, min(usual, _LEAST))


def share(of: Iterable[T], turn: int) -> list[T]:
    """What is tried of a list of cases: all of it, and by `dev` every fourth, others at each turn."""
    assert settings.default is not None
    step = max(USUAL // settings.default.max_examples, 1)
    return list(of)[turn % step :: step]
