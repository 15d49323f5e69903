"""Users of the dashboard: what each may do, how long a session lives, and when somebody has guessed often enough."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NewType

UserId = NewType("UserId", int)

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=14)
SETUP_LIVES = timedelta(days=1)
LINK_LIVES = timedelta(days=3)

FAILURES_WITHIN = timedelta(minutes=15)
# One person who mistypes has five; a whole office behind one address, and one name that the world guesses at, have more.
MAX_FAILURES = 5
MAX_FAILURES_OF_ADDRESS = 60
MAX_FAILURES_OF_NAME = 60

MAX_NAME_CHARACTERS = 200
MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_BYTES = 1_000


class Role(StrEnum):
    """What a user may do; each may all that the one before may."""

    VIEWER = "viewer"  # looks
    OPERATOR = "operator"  # pauses, resumes, decides on what is held, sends tests
    ADMIN = "admin"  # keeps credentials, keys, options, workspaces and users

    def includes(self, other: Role) -> bool:
        """Whether this role includes the permissions of the other one."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER = list(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failed logins recently: by this name from this address, from this address, by this name."""

    of_both: int
    of_address: int
    of_name: int

    @property
    def are_too_many(self) -> bool:
        """Whether nobody may try again for now."""
        return (
            self.of_both >= MAX_FAILURES
            or self.of_address >= MAX_FAILURES_OF_ADDRESS
            or self.of_name >= MAX_FAILURES_OF_NAME
        )


def key_of(name: str) -> str:
    """What two spellings of the same name share."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def name_fault(name: str) -> str | None:
    """Why this can't be a user name; None if it can."""
    if not name or len(name) > MAX_NAME_CHARACTERS:
        return f"expected 1 to {MAX_NAME_CHARACTERS} characters"
    return None if name.isprintable() else "expected visible characters"


def password_fault(password: str, name: str) -> str | None:
    """Why this password is too easily guessed for somebody of this name, or too long; None when it is neither."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        return f"expected at least {MIN_PASSWORD_CHARACTERS} characters"
    if len(password.encode("utf-8", "replace")) > MAX_PASSWORD_BYTES:
        return f"at most {MAX_PASSWORD_BYTES:,} bytes"
    if key_of(password) == key_of(name) or len(set(password)) == 1:
        return "this password is too easy to guess"
    return None
