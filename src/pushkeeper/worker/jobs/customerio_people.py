"""People and their devices from Customer.io's App API, within its rate limit.

Source: Customer.io's OpenAPI description of the App API: a thousand people a page, a hundred a call with their devices, ten
calls a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpcore
import msgspec

from pushkeeper.errors import BadRequest
from pushkeeper.worker.http_client import NOT_ANSWERING, Checked
from pushkeeper.worker.jobs.failures import TryAgain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pushkeeper.core.destination import Destinations
    from pushkeeper.services.imports.fetching import CustomerioPeople

PAGE = 1_000
WITH_DEVICES = 100
CALLS_PER_S = 10.0
AT_ONCE = 5
MAX_ANSWER_BYTES = 50_000_000
_END = "."  # the place behind the last page; no place of theirs is this one
_ATTEMPTS = 6
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_TIMEOUTS_S = {"connect": 15.0, "read": 60.0, "write": 15.0, "pool": 60.0}
_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500
_REFUSED = frozenset({401, 403})
# Who has neither an id nor an email can't be imported.
_EVERYBODY = {
    "filter": {"or": [{"attribute": {"field": field, "operator": "exists"}} for field in ("id", "email")]}
}


class CustomerioApi:
    """Reads people, as fast as Customer.io allows."""

    def __init__(self, destinations: Destinations, *, calls_per_s: float = CALLS_PER_S) -> None:
        self._every_s = 1.0 / calls_per_s
        self._next_at = 0.0
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._http = httpcore.AsyncConnectionPool(
            network_backend=Checked(destinations), max_connections=AT_ONCE, keepalive_expiry=30.0
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def pages(self, of: CustomerioPeople, start: str) -> AsyncGenerator[tuple[bytes, str], None]:
        """Pages of people as JSON lines, each with the place that follows it, from a place on; empty: from the beginning.

        `TryAgain` where Customer.io does not answer now.

        Raises:
            BadRequest: the key is refused, or what answers is not the App API.
        """
        while start != _END:
            query = f"limit={PAGE}{f'&start={quote(start)}' if start else ''}"
            found = await self._call(of, f"/v1/customers?{query}", _EVERYBODY)
            ids = [
                one["cio_id"] for one in _items(found, "identifiers") if isinstance(one.get("cio_id"), str)
            ]
            start = _text(found, "next") or _END
            yield b"".join(await self._lines(of, ids)), start

    async def _lines(self, of: CustomerioPeople, ids: Sequence[str]) -> Sequence[bytes]:
        groups = [ids[begin : begin + WITH_DEVICES] for begin in range(0, len(ids), WITH_DEVICES)]
        return await asyncio.gather(*(self._group(of, group) for group in groups))

    async def _group(self, of: CustomerioPeople, ids: Sequence[str]) -> bytes:
        found = await self._call(of, "/v1/customers/attributes?id_type=cio_id", {"ids": ids})
        return b"".join(msgspec.json.encode(one) + b"\n" for one in _items(found, "customers"))

    async def _call(self, of: CustomerioPeople, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a call is answered, after as many attempts as it takes."""
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(_ATTEMPTS)):
            async with self._at_once:
                await self._turn()
                status, answer, retry_after_s = await self._exchange(of, path, body)
            if status == _OK:
                return _decoded(answer)
            if status in _REFUSED:
                raise BadRequest("app_api_key", f"Customer.io refuses it ({status})")
            if status != _TOO_MANY and status < _SERVER_ERROR:
                raise BadRequest("api_url", f"answered {status} to {path.partition('?')[0]}")
            if not left:
                break
            # All calls wait: the limit is the workspace's.
            self._next_at = asyncio.get_running_loop().time() + max(pause_s, retry_after_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise TryAgain(f"Customer.io answered {status}")

    async def _turn(self) -> None:
        """Wait until another call may begin."""
        loop = asyncio.get_running_loop()
        begins_at = max(self._next_at, loop.time())
        self._next_at = begins_at + self._every_s
        await asyncio.sleep(begins_at - loop.time())

    async def _exchange(
        self, of: CustomerioPeople, path: str, body: dict[str, Any]
    ) -> tuple[int, bytes, float]:
        headers: dict[bytes | str, bytes | str] = {
            "authorization": f"Bearer {of.app_api_key}",
            "content-type": "application/json",
            "user-agent": "Pushkeeper",
        }
        answer = bytearray()
        try:
            async with self._http.stream(
                "POST",
                of.api_url.rstrip("/") + path,
                headers=headers,
                content=msgspec.json.encode(body),
                extensions={"timeout": _TIMEOUTS_S},
            ) as response:
                async for chunk in response.aiter_stream():
                    answer += chunk
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise BadRequest("api_url", f"answered more than {MAX_ANSWER_BYTES:,} bytes")
        except NOT_ANSWERING as error:
            raise TryAgain(f"Customer.io: {str(error) or type(error).__name__}") from None
        return response.status, bytes(answer), _retry_after_s(response)


def _retry_after_s(response: httpcore.Response) -> float:
    [said] = [value for name, value in response.headers if name.lower() == b"retry-after"][:1] or [b""]
    return min(float(said), _LONGEST_PAUSE_S) if said.isdigit() else 0.0


def _decoded(answer: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadRequest("api_url", "answered something other than a JSON object") from None


def _items(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = found.get(name)
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise BadRequest("api_url", f"answered without a list of {name}")
    return items


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""
