"""People from Customer.io's App API: page by page, within its limit, and from the page at which an attempt ended."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.errors import BadRequest
from pushkeeper.services.imports.fetching import CustomerioPeople
from pushkeeper.worker.jobs.customerio_people import CustomerioApi
from support.jobs import ANYWHERE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "a-key-of-theirs"
PEOPLE = 2_350


@dataclass
class Theirs:
    """The App API of Customer.io, as its OpenAPI description has it, with a limit of calls."""

    url: str = ""
    busy: int = 0  # calls that are answered 429 before any other
    calls: list[tuple[str, Any]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
                body = json.loads(await reader.readexactly(length))
                status, answer = self.answer(head.split(" ")[1], head, body)
                content = json.dumps(answer).encode()
                retry = "retry-after: 0\r\n" if status == 429 else ""
                writer.write(f"HTTP/1.1 {status} x\r\n{retry}content-length: {len(content)}\r\n\r\n".encode())
                writer.write(content)
        except asyncio.IncompleteReadError:
            writer.close()

    def answer(self, path: str, head: str, body: Any) -> tuple[int, Any]:
        self.calls.append((path, body))
        self.at.append(asyncio.get_running_loop().time())
        if f"authorization: bearer {KEY}" not in head.lower():
            return 401, {"errors": [{"detail": "unauthorized", "status": "401"}]}
        if self.busy:
            self.busy -= 1
            return 429, {"errors": [{"detail": "too many requests", "status": "429"}]}
        if path.startswith("/v1/customers?limit=1000"):
            assert "filter" in body
            begin = int(path.partition("&start=")[2] or 0)
            found = [
                {"cio_id": f"{n:012x}", "id": f"p{n}", "email": None}
                for n in range(begin, min(begin + 1_000, PEOPLE))
            ]
            after = str(begin + 1_000) if begin + 1_000 < PEOPLE else ""
            return 200, {"identifiers": found, "ids": [one["id"] for one in found], "next": after}
        assert path == "/v1/customers/attributes?id_type=cio_id"
        assert 1 <= len(body["ids"]) <= 100
        return 200, {"customers": [{"customer": person(int(one, 16))} for one in body["ids"]]}


def person(number: int) -> dict[str, Any]:
    attributes = {"_last_status": "sent", "app_version": "3.1"}
    device = {
        "id": f"fcm{number}:x",
        "platform": "android",
        "last_used": 1_772_013_598,
        "attributes": attributes,
    }
    return {
        "id": f"p{number}",
        "identifiers": {"id": f"p{number}", "email": None, "cio_id": f"{number:012x}"},
        "attributes": {"id": f"p{number}", "plan": "pro"},
        "unsubscribed": False,
        "devices": [device],
    }


@asynccontextmanager
async def theirs(**options: Any) -> AsyncIterator[Theirs]:
    served = Theirs(**options)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


async def pages(
    api: CustomerioApi, of: Theirs, start: str = "", key: str = KEY
) -> list[tuple[list[Any], str]]:
    fetch = CustomerioPeople(app_api_key=key, api_url=of.url)
    async with aclosing(api.pages(fetch, start)) as found:
        return [
            ([json.loads(line) for line in content.splitlines()], place) async for content, place in found
        ]


@pytest.fixture
async def api() -> AsyncIterator[CustomerioApi]:
    opened = CustomerioApi(ANYWHERE, calls_per_s=1_000.0)
    yield opened
    await opened.aclose()


async def test_all_people_come_once_page_by_page(api: CustomerioApi) -> None:
    async with theirs() as of:
        found = await pages(api, of)
        assert [len(people) for people, _ in found] == [1_000, 1_000, 350]
        names = [one["customer"]["id"] for people, _ in found for one in people]
        assert sorted(names) == sorted(f"p{number}" for number in range(PEOPLE))
        # A page whose place is known is not asked for again.
        of.calls.clear()
        [(people, place)] = await pages(api, of, found[1][1])
        assert (len(people), place) == (350, found[2][1])
        assert len(of.calls) == 1 + 4
        assert await pages(api, of, place) == []


async def test_who_is_told_to_wait_waits_and_loses_nobody(api: CustomerioApi) -> None:
    async with theirs(busy=2) as of:
        found = await pages(api, of, "2000")
    assert [len(people) for people, _ in found] == [350]
    assert of.at[1] - of.at[0] >= 1.0
    assert of.at[2] - of.at[1] >= 2.0


async def test_calls_are_no_more_than_they_allow() -> None:
    async with theirs() as of:
        api = CustomerioApi(ANYWHERE, calls_per_s=50.0)
        await pages(api, of)
        await api.aclose()
        apart = sorted(of.at)
        # Of any ten calls in a row the last begins nine turns after the first; what arrives may be late, not early.
        assert apart[-1] - apart[0] >= 0.9 * (len(apart) - 1) / 50.0


async def test_a_key_that_is_refused_is_said_without_it(api: CustomerioApi) -> None:
    async with theirs() as of:
        with pytest.raises(BadRequest) as refused:
            await pages(api, of, key="another")
    assert refused.value.field == "app_api_key"
    assert "another" not in refused.value.message
