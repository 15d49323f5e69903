"""API keys: authentication by their hashes in constant time; create, list and revoke."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import time
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core import cell
from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.errors import TooManyRequests, Unauthorized, Unreachable, WrongCell
from pushkeeper.interprocess.rate_limits import RateLimits
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.services.audit import audited
from pushkeeper.store.admin import keys, workspaces
from pushkeeper.store.admin.keys import KeyRecord, NewKey
from pushkeeper.store.admin.workspaces import KeyKind, Workspace
from pushkeeper.store.db import patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.workspaces import KeyHolder
    from pushkeeper.store.db.database import Database

__all__ = ["ApiKeys", "Authenticator", "Caller", "KeyKind", "KeyRecord", "NewKey"]

_REMEMBERED_S = 0.8  # a key that is revoked is refused everywhere within a second
_MOST_REMEMBERED = 10_000
_MISROUTED_FOR_S = 60
_LONGEST_KEY = 1_000  # bytes, with its scheme, far above those of ours: the rest is not looked up


@dataclass(frozen=True, slots=True)
class Caller(Workspace):
    """The workspace that a call is for, and what may be shown of the key that it came with: a site id, or a beginning."""

    key_id: str = ""

    def at(self, address: str) -> Actor:
        """Who makes a change by this call, which came from there."""
        return Actor(kind=ActorKind.KEY, name=self.key_id, address=address)


class Authenticator:
    """Looks keys up; an Authorization header that was good is remembered for less than a second, by a digest of it alone.

    Each kind of key of a workspace may make so many calls in a second, counted by `limits`. Calls that come while their key
    is looked up wait for that one look. An unknown key that names another cell than ours is refused as that.
    """

    def __init__(
        self,
        database: Database,
        *,
        cell: int = 0,
        requests_per_s: int | None = None,
        limits: RateLimits | None = None,
    ) -> None:
        """Without limits that processes share, this process counts alone."""
        self._database = database
        self._cell = cell
        self._requests_per_s = requests_per_s
        self._limits = limits or RateLimits()
        self._salt = os.urandom(16)
        self._allowed: dict[tuple[str, bytes], tuple[float, Caller]] = {}
        self._looking: dict[tuple[str, bytes], asyncio.Task[Caller]] = {}

    async def track(self, authorization: bytes) -> Caller:
        """The workspace of a site id and API key, in basic authentication.

        Raises:
            Unauthorized: missing or wrong.
            TooManyRequests: it has made all its calls for now.
        """
        return await self._of("track", authorization, self._holder_of_site)

    async def app(self, authorization: bytes) -> Caller:
        """The workspace of an App API key, as bearer.

        Raises:
            Unauthorized: missing or wrong.
            TooManyRequests: it has made all its calls for now.
        """
        return await self._of("app", authorization, self._holder_of_bearer)

    async def cdp(self, key: str) -> Caller:
        """The workspace of a write key in a body or a path.

        Raises:
            Unauthorized: it is not a write key.
            TooManyRequests: it has made all its calls for now.
        """
        return await self._of("cdp", key.encode("utf-8", "replace"), self._holder_of_write_key)

    async def cdp_header(self, authorization: bytes) -> Caller:
        """The workspace of a write key, as the user of basic authentication or as bearer.

        Raises:
            Unauthorized: missing or wrong.
            TooManyRequests: it has made all its calls for now.
        """
        scheme, _, key = authorization.decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return await self.cdp(key.strip())
        user, _ = _basic(authorization.decode("latin-1"))
        return await self.cdp(user)

    def count_items(self, kind: str, workspace: WorkspaceId, items: int) -> None:
        """Count a batch, which was let in as one call, by its items: what it has too many is waited for by later calls."""
        if items > 1 and self._requests_per_s is not None:
            self._limits.owe(kind, workspace, items - 1)

    async def _of(
        self, kind: str, authorization: bytes, look_up: Callable[[str], Awaitable[Caller]]
    ) -> Caller:
        if len(authorization) > _LONGEST_KEY:
            raise Unauthorized("unauthorized")
        digest = hashlib.blake2b(authorization, digest_size=16, key=self._salt).digest()
        until, allowed = self._allowed.get((kind, digest), (0.0, None))
        if allowed is None or time.monotonic() >= until:
            allowed = await self._looked_up(kind, digest, authorization.decode("latin-1"), look_up)
        if self._requests_per_s is not None:
            self._count(kind, allowed.workspace_id, self._requests_per_s)
        return allowed

    async def _looked_up(
        self, kind: str, digest: bytes, authorization: str, look_up: Callable[[str], Awaitable[Caller]]
    ) -> Caller:
        """The holder of a key, looked up once for all concurrent callers; cached from when the lookup began."""
        looking = self._looking.get((kind, digest))
        if looking is None:

            async def look() -> Caller:
                until = time.monotonic() + _REMEMBERED_S
                try:
                    found = await look_up(authorization)
                finally:
                    del self._looking[kind, digest]
                if len(self._allowed) >= _MOST_REMEMBERED:
                    self._allowed.clear()
                self._allowed[kind, digest] = until, found
                return found

            looking = self._looking[kind, digest] = asyncio.create_task(look())
            # The first caller may have left before the result.
            looking.add_done_callback(lambda done: done.cancelled() or done.exception())
        with patience.spent():
            return await asyncio.shield(looking)

    def _count(self, kind: str, workspace: WorkspaceId, per_s: int) -> None:
        if wait_s := self._limits.take(kind, workspace, per_s):
            raise TooManyRequests(
                f"too many requests: a key may make {per_s:,} in a second, each item of a batch counted (requests_per_s)",
                retry_after_s=math.ceil(wait_s),
            )

    async def _holder_of_site(self, authorization: str) -> Caller:
        site_id, api_key = _basic(authorization)
        return self._checked(await workspaces.holder_of_site(self._database, site_id), site_id, api_key)

    async def _holder_of_write_key(self, key: str) -> Caller:
        if not key or "\0" in key:
            raise Unauthorized("unauthorized")
        return self._checked(await workspaces.holder_of_key(self._database, "cdp", key), key, key)

    async def _holder_of_bearer(self, authorization: str) -> Caller:
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key or "\0" in key:
            raise Unauthorized("unauthorized")
        return self._checked(await workspaces.holder_of_key(self._database, "app", key), key, key)

    def _checked(self, holder: KeyHolder | None, name: str, key: str) -> Caller:
        """The holder's workspace: `name` is the key or site id by which the holder was looked for."""
        named = cell.of_key(name)
        if holder is None and named not in {None, self._cell}:
            PROCESS.count(Metric.MISROUTED, "key").value += 1
            raise WrongCell(f"The key belongs to cell {named}, but this is cell {self._cell}")
        if holder is None or not holder.matches(key):
            raise Unauthorized("unauthorized")
        workspace = holder.workspace
        # A site id is no secret; of a key that is its own name, the beginning is shown.
        shown = name if name != key else workspaces.public_part(key)
        return Caller(workspace.workspace_id, workspace.name, shown)


class ApiKeys:
    """The keys of all workspaces, as operators make, list and revoke them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_workspace(self, workspace: WorkspaceId) -> list[KeyRecord]:
        """The keys of a workspace, by their kinds, the oldest first."""
        return await keys.of_workspace(self._database, workspace)

    @audited("key.make", "kind")
    async def make(self, entry: AuditEntry, workspace: WorkspaceId, kind: KeyKind) -> NewKey:
        """Make another key of a kind, beside those that there are."""
        made = await keys.make(self._database, workspace, kind)
        entry.target = f"{kind} {made.key_id}"
        return made

    @audited("key.revoke", "kind", "key_id")
    async def revoke(self, entry: AuditEntry, workspace: WorkspaceId, kind: str, key_id: str) -> None:
        """Revoke a key; processes that cached it forget it within a second.

        Raises:
            NotFound: there is no such key.
            Conflict: it is the last of its kind.
        """
        await keys.revoke(self._database, workspace, kind, key_id, entry.done_with)


def not_here(message: str) -> Unreachable:
    """The response for a key of another cell: callers keep the call until the proxy in front of the cells is fixed."""
    return Unreachable(message, retry_after_s=_MISROUTED_FOR_S)


def _basic(authorization: str) -> tuple[str, str]:
    """User and password; Customer.io's Go client uses the URL-safe alphabet, and some leave the padding out."""
    scheme, _, encoded = authorization.partition(" ")
    standard = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        decoded = ""
    user, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or "\0" in decoded:
        raise Unauthorized("unauthorized")
    return user, password
