"""Where a file is that a worker fetches: an address, or another service's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import msgspec

from pushkeeper.core.destination import url_fault
from pushkeeper.core.model import Secret
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.vault import Vault

PART_BYTES = 1 << 20
MAX_URL_BYTES = 2_000
CUSTOMERIO_API = {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}


class UrlFile(msgspec.Struct, frozen=True, kw_only=True, tag="url"):
    """A file at an address, which may be a secret itself, as those that object stores sign are."""

    url: str

    def check(self) -> None:
        """Check the address.

        Raises:
            BadRequest: it is none that can be called.
        """
        if len(self.url) > MAX_URL_BYTES:
            raise BadRequest("url", f"expected at most {MAX_URL_BYTES:,} characters", "too_large")
        if fault := url_fault(self.url):
            raise BadRequest("url", fault)

    @property
    def shown(self) -> str:
        return urlsplit(self.url).hostname or ""


class CustomerioPeople(msgspec.Struct, frozen=True, kw_only=True, tag="customerio"):
    """All people of a workspace of Customer.io with their devices, by its App API.

    Attributes:
        api_url: of the App API, without a path.
    """

    app_api_key: str
    api_url: str = CUSTOMERIO_API["us"]

    def check(self) -> None:
        """Check the key and the address.

        Raises:
            BadRequest: the key is none, or the address can't be called.
        """
        if not self.app_api_key.isascii() or not self.app_api_key.isprintable() or not self.app_api_key:
            raise BadRequest("app_api_key", "expected an App API key of Customer.io")
        if fault := url_fault(self.api_url):
            raise BadRequest("api_url", fault)

    @property
    def shown(self) -> str:
        return urlsplit(self.api_url).hostname or ""


Fetch: TypeAlias = UrlFile | CustomerioPeople


def seal(vault: Vault, workspace: WorkspaceId, fetch: Fetch) -> bytes:
    """What is kept of it."""
    return vault.seal(Secret(msgspec.json.encode(fetch)), _label(workspace))


def unseal(vault: Vault, workspace: WorkspaceId, sealed: bytes) -> Fetch:
    """Undo `seal`."""
    found: Fetch = msgspec.json.decode(vault.open(sealed, _label(workspace)).value, type=Fetch)
    return found


def _label(workspace: WorkspaceId) -> str:
    return f"import {workspace}"


async def in_parts(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, a megabyte at a time."""
    waiting = bytearray()
    async for block in content:
        waiting += block
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    if waiting:
        yield bytes(waiting)
