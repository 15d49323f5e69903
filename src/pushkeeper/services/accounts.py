"""Users of the dashboard: made, logged in and kept out; their passwords are set by links that work once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.core.client_address import network_of
from pushkeeper.core.known_browser import KnownDevices
from pushkeeper.core.model import Secret
from pushkeeper.core.roles import (
    LINK_LIVES,
    MAX_FAILURES,
    SETUP_LIVES,
    Role,
    UserId,
    key_of,
    name_fault,
    password_fault,
)
from pushkeeper.errors import BadRequest, Conflict, NotFound, TooManyRequests, Unauthorized
from pushkeeper.services import audit
from pushkeeper.services.audit import audited
from pushkeeper.services.passwords import Passwords
from pushkeeper.store.admin import accounts, sessions
from pushkeeper.store.admin.accounts import User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from argon2 import PasswordHasher

    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.accounts import Link
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

__all__ = ["Entry", "User", "Users"]

_NO_LINK = (
    "The link is invalid, expired or already used. Ask an admin for a new one, or run `pushkeeper user link`"
)
_NO_USER = "User not found"
_LAST_ADMIN = "This is the last admin who can log in"


@dataclass(frozen=True, slots=True)
class Entry:
    """A link that was made: what it ends with, and until when it may be followed."""

    token: str
    expires_at: datetime


class Users:
    """The users of this installation.

    `device_key` signs what browsers hold in which somebody has logged in before; without one they are known until this process
    ends.
    """

    def __init__(
        self, database: Database, hasher: PasswordHasher | None = None, *, device_key: Secret | None = None
    ) -> None:
        self._database = database
        self._passwords = Passwords(hasher)
        self._devices = KnownDevices(device_key or Secret(secrets.token_bytes(32)))

    # Who there is.

    async def all(self) -> list[User]:
        """All users, by their names."""
        return await accounts.every(self._database)

    async def are_there(self) -> bool:
        """Whether there is any user."""
        return await accounts.are_there(self._database)

    @audited("user.add", "name")
    async def add(self, audit_entry: AuditEntry, name: str, role: Role) -> tuple[User, Entry]:
        """Make a user, and the link by which they set their password.

        Raises:
            BadRequest: the name is none.
            Conflict: it is taken.
        """
        name = _checked_name(name)

        async def work(connection: Connection) -> tuple[UserId, Entry]:
            made = await accounts.insert(connection, name, key_of(name), role)
            if made is None:
                raise Conflict(f"A user named {name!r} already exists")
            await audit_entry.done_with(connection)
            return made, await _link(connection, made)

        made, entry = await self._database.in_transaction(work)
        audit_entry.changed("role", None, role.value)
        return await self.one(made), entry

    async def one(self, user: UserId) -> User:
        """One user.

        Raises:
            NotFound: it does not exist.
        """
        found = await accounts.read(self._database, user)
        if found is None:
            raise NotFound(_NO_USER)
        return found

    async def named(self, name: str) -> User:
        """The user with this name.

        Raises:
            NotFound: it does not exist.
        """
        found = await accounts.by_key(self._database, key_of(name))
        if found is None:
            raise NotFound(_NO_USER)
        return found[0]

    @audited("user.role", "user")
    async def set_role(self, entry: AuditEntry, user: UserId, role: Role) -> None:
        """Give a user another role.

        Raises:
            NotFound: it does not exist.
            Conflict: nobody would be an admin.
        """
        leaves = role is not Role.ADMIN
        before = await self._named_in(entry, user)
        await self._change(
            entry, user, lambda connection: accounts.set_role(connection, user, role), leaves=leaves
        )
        entry.changed("role", before.role.value, role.value)

    @audited("user.disable", "user")
    async def disable(self, entry: AuditEntry, user: UserId) -> None:
        """Disable a user: they are logged out everywhere, and cannot come back until somebody lets them.

        Raises:
            NotFound: it does not exist.
            Conflict: nobody would be an admin.
        """
        await self._named_in(entry, user)

        async def work(connection: Connection) -> None:
            await accounts.set_disabled(connection, user, disabled=True)
            await sessions.end_of(connection, user)

        await self._change(entry, user, work, leaves=True)

    @audited("user.enable", "user")
    async def enable(self, entry: AuditEntry, user: UserId) -> None:
        """Enable a disabled user.

        Raises:
            NotFound: it does not exist.
        """
        await self._named_in(entry, user)
        await self._change(
            entry, user, lambda connection: accounts.set_disabled(connection, user, disabled=False)
        )

    async def _named_in(self, entry: AuditEntry, user: UserId) -> User:
        """The user that is changed, by whose name the audit log shows them."""
        found = await self.one(user)
        entry.target = found.name
        return found

    async def _change(
        self,
        entry: AuditEntry,
        user: UserId,
        work: Callable[[Connection], Awaitable[None]],
        *,
        leaves: bool = False,
    ) -> None:
        """Change a user; where they leave the admins, another has to be there."""

        async def changed(connection: Connection) -> None:
            everybody = {one.user_id: one for one in await accounts.lock(connection)}
            if user not in everybody:
                raise NotFound(_NO_USER)
            others = [one for one in everybody.values() if one.user_id != user and _is_admin(one)]
            if leaves and not others and _is_admin(everybody[user]):
                raise Conflict(_LAST_ADMIN)
            await entry.done_with(connection)
            await work(connection)

        await self._database.in_transaction(changed)

    # Links.

    async def setup_link(self) -> Entry | None:
        """A link that makes the first admin; None where there is somebody already."""
        if await self.are_there():
            return None
        return await self._database.in_transaction(lambda connection: _link(connection, None))

    @audited("user.link", "user")
    async def new_link(self, entry: AuditEntry, user: UserId) -> Entry:
        """A link by which a user sets another password; those that they had are used up.

        Raises:
            NotFound: it does not exist.
            Conflict: they are kept out.
        """
        if (await self._named_in(entry, user)).disabled_at is not None:
            raise Conflict("The account is disabled; enable it first")
        return await self._database.in_transaction(lambda connection: _link(connection, user))

    async def link(self, token: str) -> Link:
        """What a link is for.

        Raises:
            NotFound: it was used, has ended, or never was.
        """
        found = await accounts.link(self._database, _hash(token))
        if found is None or (found.user is None and await self.are_there()):
            raise NotFound(_NO_LINK)
        return found

    async def follow(self, token: str, password: str, *, name: str = "", address: str = "") -> str:
        """Set a password by a link, and log the user in; a link without a user creates the first admin.

        Returns the session cookie.

        Raises:
            NotFound: the link was used, has expired, or never existed.
            BadRequest: the name is invalid, or the password too easy to guess.
        """
        known = await self.link(token)
        name = known.user.name if known.user else _checked_name(name)
        _check_password(password, name)
        password_hash = await self._passwords.hash(password)

        async def work(connection: Connection) -> str:
            used = await accounts.use_link(connection, _hash(token))
            if used is None:
                raise NotFound(_NO_LINK)
            user = used[0] or await _first_admin(connection, name)
            await accounts.set_password(connection, user, password_hash)
            await sessions.end_of(connection, user)
            await audit.write_with(connection, _actor(user, name, address), "user.set_password")
            return await _start(connection, user, address)

        return await self._database.in_transaction(work)

    # Sessions.

    async def log_in(self, name: str, password: str, address: str, *, device: str = "") -> tuple[User, str]:
        """The user of this name and password, and what their browser is to hold.

        `device` is what it holds since somebody logged in there, as `known_device` made it: its attempts are counted apart, so
        that nobody else's keep it out.

        Raises:
            Unauthorized: one of the two is wrong, or they are kept out; which of them is not told.
            TooManyRequests: it failed too often.
        """
        found = await accounts.by_key(self._database, key_of(name))
        number = None if found is None else self._devices.read(device, found[0].user_id, datetime.now(UTC))
        source = network_of(address) if number is None else f"device {number}"
        try:
            user = await self._checked(name, found, password, source, known=number is not None)
        except Unauthorized as error:
            # Not the name: people type passwords where names belong.
            await audit.write_refused(self._database, _actor(None, "", address), "user.log_in", error.message)
            raise

        async def work(connection: Connection) -> str:
            await audit.write_with(connection, _actor(user.user_id, user.name, address), "user.log_in")
            return await _start(connection, user.user_id, address)

        return user, await self._database.in_transaction(work)

    def known_device(self, user: User) -> str:
        """What a browser is to hold, for long, in which this user has just logged in."""
        return self._devices.make(user.user_id, datetime.now(UTC))

    async def _checked(
        self, name: str, found: tuple[User, str | None] | None, password: str, source: str, *, known: bool
    ) -> User:
        """Whose password this is; `source` has the attempts that count together, `known` says that no stranger's are among them."""
        name_hash = _hash(key_of(name))
        failures = await sessions.failures(self._database, name_hash, source)
        if failures.of_both >= MAX_FAILURES if known else failures.are_too_many:
            raise TooManyRequests("Too many failed logins. Try again in 15 minutes")
        # Noted before it is known: those that are tried at the same time count too.
        await sessions.note_failure(self._database, name_hash, source)
        user, password_hash = found or (None, None)
        good = await self._passwords.verify(password_hash, password, known=known)
        if user is None or not good or user.disabled_at is not None:
            raise Unauthorized("Incorrect name or password")
        await sessions.forget_failures(self._database, name_hash, source)
        return user

    async def holder(self, token: str) -> User | None:
        """The user of a session token; None when it is over or never existed."""
        return await sessions.find(self._database, _hash(token))

    @audited("user.log_out")
    async def log_out(self, entry: AuditEntry, token: str) -> None:
        """End a session."""
        del entry
        await sessions.end(self._database, _hash(token))

    @audited("user.change_password")
    async def change_password(
        self, entry: AuditEntry, user: User, former: str, password: str, *, token: str
    ) -> None:
        """Give a user another password; they are logged out everywhere but here.

        Raises:
            BadRequest: the new one is too easily guessed.
            Unauthorized: the former one is wrong.
            TooManyRequests: it was wrong too often.
        """
        entry.target = user.name
        _check_password(password, user.name)
        # A logged-in user is not a stranger.
        found = await accounts.by_key(self._database, key_of(user.name))
        await self._checked(user.name, found, former, f"user {user.user_id}", known=True)
        password_hash = await self._passwords.hash(password)

        async def work(connection: Connection) -> None:
            await accounts.set_password(connection, user.user_id, password_hash)
            await sessions.end_of(connection, user.user_id, but=_hash(token))
            await entry.done_with(connection)

        await self._database.in_transaction(work)

    async def clean(self) -> None:
        """Forget what is over."""
        await sessions.clean(self._database)


async def _link(connection: Connection, user: UserId | None) -> Entry:
    token = secrets.token_urlsafe(32)
    lives = SETUP_LIVES if user is None else LINK_LIVES
    return Entry(token, await accounts.add_link(connection, _hash(token), user, lives))


async def _first_admin(connection: Connection, name: str) -> UserId:
    if await accounts.lock(connection):
        raise NotFound(_NO_LINK)
    made = await accounts.insert(connection, name, key_of(name), Role.ADMIN)
    assert made is not None  # noqa: S101 - there was nobody
    return made


async def _start(connection: Connection, user: UserId, address: str) -> str:
    token = secrets.token_urlsafe(32)
    await sessions.start(connection, _hash(token), user, address)
    return token


def _actor(user: UserId | None, name: str, address: str) -> Actor:
    return Actor(kind=ActorKind.USER, user_id=user, name=name, address=address)


def _checked_name(given: str) -> str:
    name = given.strip()
    if fault := name_fault(name):
        raise BadRequest("name", fault)
    return name


def _check_password(password: str, name: str) -> None:
    if fault := password_fault(password, name):
        raise BadRequest("password", fault)


def _is_admin(user: User) -> bool:
    return user.role is Role.ADMIN and user.ready and user.disabled_at is None


def _hash(text: str) -> bytes:
    """Random secrets are stored as one round of SHA-256; names only need to be distinct."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
