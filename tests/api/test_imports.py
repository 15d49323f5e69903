"""Imports over the API: uploaded piece by piece or fetched from an address, tried, applied, cancelled and verified."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.destination import Destinations
from pushkeeper.errors import BadRequest
from pushkeeper.web.request import Request
from pushkeeper.web.upload import read_upload
from support.imports import work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PATH = "/api/v1/imports"
BOUNDARY = "0123456789abcdef"
FILE = b"token,platform,person\n" + b"".join(
    b"fcm%d:APA91b%s,android,p%d\n" % (number, b"x" * 20, number) for number in range(3)
)


def form(*fields: tuple[str, str], file: bytes | None = FILE, end: bytes = b"--\r\n") -> bytes:
    parts = [
        f'content-disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields
    ]
    if file is not None:
        parts.append(b'content-disposition: form-data; name="file"; filename="devices.csv"\r\n\r\n' + file)
    begin = f"--{BOUNDARY}\r\n".encode()
    return b"".join(begin + part + b"\r\n" for part in parts) + f"--{BOUNDARY}".encode() + end


async def upload(door: Any, body: bytes) -> tuple[int, dict[str, Any]]:
    status, answer, _ = await door.raw(
        "POST",
        PATH,
        body,
        authorization=door.bearer,
        **{"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    return status, json.loads(answer)


async def one(door: Any, number: int) -> dict[str, Any]:
    status, found = await door.app("GET", f"{PATH}/{number}")
    assert status == 200
    return dict(found)


async def test_a_file_is_uploaded_tried_applied_and_verified(door) -> None:
    status, made = await upload(door, form(("source", "generic"), ("environment", "production")))
    assert (status, made["state"], made["name"], made["apply"]) == (202, "pending", "devices.csv", False)
    assert (await door.app("GET", f"{PATH}/{made['import']}/verification"))[0] == 409
    await work(door.database)
    dry = await one(door, made["import"])
    assert (dry["state"], dry["progress"], dry["has_file"]) == ("done", 1.0, True)
    assert (dry["rows"], dry["people"], dry["devices"]["new"]) == (3, {"new": 3, "known": 0}, 3)
    assert (await door.counts())["devices"] == 0
    status, applied = await door.app("POST", f"{PATH}/{made['import']}/apply")
    assert (status, applied["apply"]) == (202, True)
    await work(door.database)
    done = await one(door, applied["import"])
    assert (done["state"], done["devices"], done["has_file"]) == ("done", dry["devices"], False)
    assert (await door.counts())["devices"] == 3
    verified = {"devices": 3, "missing": 0, "wrong_owner": 0, "lines": []}
    assert await door.app("GET", f"{PATH}/{applied['import']}/verification") == (200, verified)
    assert [found["import"] for found in (await door.app("GET", PATH))[1]["imports"]] == [
        applied["import"],
        made["import"],
    ]
    # The file is the other import's by now, which has deleted it.
    assert (await door.app("POST", f"{PATH}/{made['import']}/apply"))[0] == 409


async def test_of_an_upload_only_a_piece_is_in_memory(narrow_door) -> None:
    row = b"fcm1:APA91b%s,android,ann\n" % (b"x" * 20)
    file = b"token,platform,person\n" + row * (3_000_000 // len(row))
    status, made = await upload(narrow_door, form(("source", "generic"), file=file))
    assert status == 202, made
    size = "select bytes from imports where workspace_id = $1"
    assert await narrow_door.database.value(size, narrow_door.workspace_id) == len(file)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(), "source"),
        (form(("source", "generic"), ("move", "perhaps")), "move"),
        (form(("source", "generic"), ("mvoe", "true")), "mvoe"),
        (form(("source", "mailchimp")), "source"),
        (form(("source", "generic"), file=b""), "file"),
        (form(("source", "generic"), file=None), "file"),
        (form(("source", "generic"), ("url", "https://example.com/")), "url"),
        (form(("source", "generic"), end=b""), "body"),
        (form(("source", "generic"), end=b"") + b"\r\n" + form(("move", "true"), file=None), "file"),
        (form(("source", "x" * 300_000)), "body"),
        (b"nothing of the kind", "body"),
        (b"", "body"),
    ],
)
async def test_an_upload_that_is_none_leaves_nothing(door, body: bytes, field: str) -> None:
    status, refused = await upload(door, body)
    assert (status // 100, refused["error"]["field"]) == (4, field), refused
    assert (await door.app("GET", PATH))[1] == {"imports": []}
    left = "select count(*) from import_parts where workspace_id = $1"
    assert await door.database.value(left, door.workspace_id) == 0


ROW = b"fcm1:APA91b%s,android,ann" % (b"x" * 20)
_HEAD = b"token,platform,person\n"


@pytest.mark.parametrize(
    ("file", "skipped", "devices"),
    [
        (_HEAD + b"fcm\0:x,android,ann\n" + ROW, {"malformed": 1}, 1),
        (b"\xef\xbb\xbf" + (_HEAD + ROW).replace(b"\n", b"\r\n"), {}, 1),
        ((_HEAD + ROW).decode().encode("utf-16"), {}, 1),
        (_HEAD + b"x" * 10_000_000 + b",android,ann\n" + ROW, {"malformed": 1}, 1),
        (_HEAD + b'"a"b,android,ann\n' + ROW, {"malformed": 1}, 1),
        (_HEAD + b"\xff:x,android,ann\n" + ROW, {"malformed": 1}, 1),
        (gzip.compress(_HEAD + (b"x" * 900_000 + b",android,ann\n") * 40 + ROW), {"bad_token": 40}, 1),
        (gzip.compress(_HEAD + ROW)[:-12], None, 0),
        (b"[{" * 5_000, None, 0),
        (b"\0" * 5_000, None, 0),
    ],
    ids=["nul", "bom", "utf-16", "10 MB", "quotes", "not utf-8", "bomb", "truncated", "nested", "nothing"],
)
async def test_what_is_wrong_with_a_file_costs_its_rows_or_fails_it_with_a_reason(
    door, file: bytes, skipped: dict[str, int] | None, devices: int
) -> None:
    status, made = await upload(door, form(("source", "generic"), ("apply", "true"), file=file))
    assert status == 202, made
    await work(door.database)
    done = await one(door, made["import"])
    if skipped is None:
        assert done["state"] == "failed" or done["skipped"], done
        assert "unexpected" not in (done["failure"] or "")
    else:
        assert (done["state"], done["skipped"]) == ("done", skipped)
        assert all(example["line"] >= 2 for example in done["examples"])
    assert (await door.counts())["devices"] == devices


@asynccontextmanager
async def files(answers: Sequence[bytes]) -> AsyncIterator[str]:
    """A server that gives each of these answers once, the last to all who come later."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + FILE


async def test_a_file_is_fetched_from_an_address_that_nothing_shows(door) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /there?signature=secret\r\nconnection: close\r\n\r\n"
    async with files([moved, OK]) as url:
        asked = {"source": "generic", "url": f"{url}/export/people.csv?key=secret", "apply": True}
        status, made = await door.app("POST", PATH, asked)
        assert (status, made["name"], made["state"]) == (202, "people.csv", "pending")
        await work(door.database)
    done = await one(door, made["import"])
    assert (done["state"], done["devices"]["new"], done["failure"]) == ("done", 3, None)
    rows = await door.database.rows("select * from imports where workspace_id = $1", door.workspace_id)
    lines = await door.database.rows("select * from audit_log where workspace_id = $1", door.workspace_id)
    assert "secret" not in f"{done} {[dict(row) for row in (*rows, *lines)]}"


async def test_what_may_not_be_called_is_not(door) -> None:
    async with files([OK]) as url:
        _, made = await door.app("POST", PATH, {"source": "generic", "url": url, "apply": True})
        await work(door.database, Destinations())
        failed = await one(door, made["import"])
        assert "can't be called" in failed["failure"]
        assert (failed["rows"], await door.counts()) == (0, dict.fromkeys(await door.counts(), 0))
        # Another attempt, once the operator allows it, begins at the beginning of the file.
        retry = f"/api/v1/jobs/import/{made['import']}/retry"
        assert (await door.raw("POST", retry, authorization=door.bearer))[0] == 204
        await work(door.database)
    assert (await one(door, made["import"]))["devices"]["new"] == 3


@pytest.mark.parametrize(
    "asked", [{}, {"url": "ftp://x"}, {"url": ""}, {"url": "http://x" * 400}, {"url": 7}]
)
async def test_an_address_that_is_none_is_refused_at_once(door, asked: dict[str, Any]) -> None:
    status, refused = await door.app("POST", PATH, {"source": "generic", **asked})
    assert (status, refused["error"]["field"]) == (400, "url")


async def test_an_import_is_cancelled_once(door) -> None:
    _, made = await upload(door, form(("source", "generic"), ("apply", "true")))
    path = f"{PATH}/{made['import']}"
    status, cancelled = await door.app("POST", f"{path}/cancel")
    assert (status, cancelled["state"], cancelled["has_file"]) == (200, "cancelled", False)
    assert (await door.app("POST", f"{path}/cancel"))[0] == 409
    assert (await door.app("POST", f"{path}/apply"))[0] == 409
    await work(door.database)
    assert (await door.counts())["devices"] == 0


def request_of(blocks: Sequence[bytes]) -> Request:
    left = list(blocks)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    kind = f"multipart/form-data; boundary={BOUNDARY}".encode()
    return Request({"type": "http", "headers": [(b"content-type", kind)]}, receive)


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[begin:end] for begin, end in pairwise(ends)]


@given(st.text(max_size=30), st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=8))
async def test_a_form_is_read_the_same_however_it_comes(field: str, file: bytes, places: list[int]) -> None:
    if BOUNDARY.encode() in file:
        return
    body = form(("name", field.encode("utf-8", "ignore").decode()), file=file)
    read = await read_upload(request_of(cut(body, places)))
    assert read.fields == {"name": field.encode("utf-8", "ignore").decode().replace("\0", "")}
    assert (read.name, b"".join([block async for block in read.content])) == ("devices.csv", file)


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=4))
async def test_what_is_no_form_is_refused(rest: bytes, places: list[int]) -> None:
    body = form(("source", "generic"), file=None, end=b"\r\n") + rest

    async def read() -> None:
        upload = await read_upload(request_of(cut(body, places)))
        assert [block async for block in upload.content] == []

    with pytest.raises(BadRequest):
        await read()
