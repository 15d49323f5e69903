"""How many examples a property is tried with, by Hypothesis's profile: `dev`, `ci` or `nightly` (tests/conftest.py)."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100  # what `ci` gives a property that asks for no number
_LEAST = 10


def examples(usual: int) -> int:
    """The number for a property that asks for `usual`: that by `ci`, a quarter of it by `dev`, tenfold by `nightly`."""
    assert settings.default is not None
    scaled = usual * settings.default.max_examples // USUAL
    return max(scaled, min(usual, _LEAST))
