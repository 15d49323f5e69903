"""A finding: what was checked, the result, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    ATTENTION = "attention"  # it works, and somebody should look before it does not
    WRONG = "wrong"  # something does not work, or promises less than it should


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`check` is what was checked, `about` which of several, `todo` empty where nothing needs to be done."""

    check: str
    state: State
    said: str
    about: str = ""
    todo: str = ""


def ok(check: str, said: str, *, about: str = "") -> Finding:
    return Finding(check=check, state=State.OK, said=said, about=about)


def attention(check: str, said: str, todo: str, *, about: str = "") -> Finding:
    return Finding(check=check, state=State.ATTENTION, said=said, about=about, todo=todo)


def wrong(check: str, said: str, todo: str, *, about: str = "") -> Finding:
    return Finding(check=check, state=State.WRONG, said=said, about=about, todo=todo)


def span(seconds: float) -> str:
    """A length of time for people: its greatest unit."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:,.0f} {unit}"
    return f"{seconds:.1f} s"
