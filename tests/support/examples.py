"""How much of it a property is tried with, by Hypothesis's profile: `dev`, `ci` or `nightly` (tests/conftest.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

USUAL = 100  # what `ci` gives a property that asks for no number
_LEAST = 10
_NIGHTLY = 1_000  # what `nightly` gives it


def is_nightly() -> bool:
    """Whether this run is the thorough one, which may take hours."""
    assert settings.default is not None
    return settings.default.max_examples >= _NIGHTLY


nightly = pytest.mark.skipif(not is_nightly(), reason="run with --hypothesis-profile nightly")


def devices(usual: int) -> int:
    """The devices of a broadcast that several processes send: so many, and by `nightly` two and a half times as many."""
    return usual * 5 // 2 if is_nightly() else usual


def examples(usual: int) -> int:
    """The number for a property that asks for `usual`: that by `ci`, a quarter of it by `dev`, tenfold by `nightly`."""
    assert settings.default is not None
    scaled = usual * settings.default.max_examples // USUAL
    return max(scaled, min(usual, _LEAST))


def share(of: Iterable[T], turn: int, *, usual: int = 1) -> list[T]:
    """What is tried of a list of cases, others at each turn.

    `nightly` tries all, `ci` every `usual`-th, and `dev` a quarter of those.
    """
    assert settings.default is not None
    step = usual * max(USUAL // settings.default.max_examples, 1)
    return list(of)[turn % step :: step] if not is_nightly() else list(of)
