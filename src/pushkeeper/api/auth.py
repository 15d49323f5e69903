"""Who is calling: keys, compared by their hashes and in constant time."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING

from pushkeeper.errors import Unauthorized
from pushkeeper.store import workspaces

if TYPE_CHECKING:
    from starlette.requests import Request

    from pushkeeper.store.database import Database
    from pushkeeper.store.workspaces import KeyHolder, Workspace

_REMEMBERED_S = 10.0
_MOST_REMEMBERED = 10_000


class Keys:
    """Looks keys up; who holds one is remembered for ten seconds, the key itself never."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holders: dict[tuple[str, str], tuple[float, KeyHolder]] = {}

    async def track(self, request: Request) -> Workspace:
        """The workspace of a site id and API key, in basic authentication.

        Raises:
            Unauthorized: there are none, or they are wrong.
        """
        site_id, api_key = _basic(request)
        holder = self._remembered("track", site_id) or self._remember(
            "track", site_id, await workspaces.holder_of_site(self._database, site_id)
        )
        return _allowed(holder, api_key)

    async def app(self, request: Request) -> Workspace:
        """The workspace of an App API key, as bearer.

        Raises:
            Unauthorized: there is none, or it is wrong.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key or "\0" in key:
            raise Unauthorized("unauthorized")
        key_id = key[: workspaces.PUBLIC_CHARACTERS]
        holder = self._remembered("app", key_id) or self._remember(
            "app", key_id, await workspaces.holder_of_key(self._database, "app", key)
        )
        return _allowed(holder, key)

    def _remembered(self, kind: str, key_id: str) -> KeyHolder | None:
        until, holder = self._holders.get((kind, key_id), (0.0, None))
        return holder if time.monotonic() < until else None

    def _remember(self, kind: str, key_id: str, holder: KeyHolder | None) -> KeyHolder | None:
        if holder is not None:
            if len(self._holders) >= _MOST_REMEMBERED:
                self._holders.clear()
            self._holders[kind, key_id] = (time.monotonic() + _REMEMBERED_S, holder)
        return holder


def _allowed(holder: KeyHolder | None, key: str) -> Workspace:
    if holder is None or not holder.matches(key):
        raise Unauthorized("unauthorized")
    return holder.workspace


def _basic(request: Request) -> tuple[str, str]:
    """User and password; Customer.io's Go client uses the URL-safe alphabet, and some leave the padding out."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    standard = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        decoded = ""
    user, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or "\0" in decoded:
        raise Unauthorized("unauthorized")
    return user, password
