"""Passwords: hashed and compared beside the event loop, few at a time."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from pushkeeper.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_HASHING_AT_ONCE = 1  # of strangers, and of others: 64 MiB each
_HASHING_WAITS = 20


class _Queue:
    """Hashing takes memory and a tenth of a second, so it runs in threads, a limited number at once."""

    def __init__(self) -> None:
        self._hashing = asyncio.Semaphore(_HASHING_AT_ONCE)
        self._waiting = 0

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do it when it is its turn.

        Raises:
            TooManyRequests: too many wait.
        """
        if self._waiting >= _HASHING_WAITS:
            raise TooManyRequests("Too many logins at the moment. Try again in a few seconds")
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


class Passwords:
    """Hashes passwords, and compares them with their hashes."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        # Strangers wait for each other, and nobody else for them.
        self._strangers = _Queue()
        self._known = _Queue()
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        """What is kept of a password.

        Raises:
            TooManyRequests: too many wait.
        """
        return await self._known(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str, *, known: bool) -> bool:
        """Whether this is the password; it takes as long without one to compare with.

        Raises:
            TooManyRequests: too many wait.
        """
        if self._nobodys_hash is None:
            self._nobodys_hash = await self.hash(secrets.token_urlsafe(16))
        against = password_hash or self._nobodys_hash

        def verify() -> bool:
            try:
                return self._hasher.verify(against, password)
            except (Argon2Error, InvalidHashError):
                return False

        return await (self._known if known else self._strangers)(verify) and password_hash is not None
