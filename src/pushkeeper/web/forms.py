"""How a request is read: its form, where it came from, and whether another site had it sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from pushkeeper.errors import BadRequest, Forbidden, TooLarge

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.types import Message, Receive, Scope

MAX_FORM_BYTES = 256_000
_MAX_FIELDS = 200
_MAX_FILES = 4
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def form(scope: Scope, receive: Receive) -> tuple[dict[str, list[str]], dict[str, bytes]]:
    """The fields and files of a form.

    Raises:
        BadRequest: it is none.
        TooLarge: it is over 256 kB.
    """
    request = Request(scope, _bounded(receive))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _FORMS:
        raise BadRequest("body", "expected a form")
    values: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    try:
        sent = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=MAX_FORM_BYTES)
        for name, value in sent.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                values.setdefault(name, []).append(value.replace("\0", "").replace("\r\n", "\n"))
        await sent.close()
    except (MultiPartException, UnicodeDecodeError) as error:
        raise BadRequest("body", "expected a form") from error
    return values, files


def _bounded(receive: Receive) -> Receive:
    read = 0

    async def received() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_FORM_BYTES:
            raise TooLarge("body", f"a form cannot be longer than {MAX_FORM_BYTES:,} bytes")
        return message

    return received


async def unless_gone(receive: Receive, sending: Coroutine[None, None, None]) -> bool:
    """Send what takes long, as long as somebody is there to read it; whether that was to the end."""
    sent, gone = asyncio.ensure_future(sending), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({sent, gone}, return_when=asyncio.FIRST_COMPLETED)
        if sent.done():
            await sent
        return sent.done()
    finally:
        for task in (sent, gone):
            task.cancel()
        await asyncio.gather(sent, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def refuse_other_sites(scope: Scope, url: str) -> None:
    """Let no other site send what its visitors did not mean.

    Browsers say where a form was sent from. A proxy may have changed how we are called, so that the host is enough.

    Raises:
        Forbidden: it was sent from elsewhere.
    """
    said = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin, site = said.get(b"origin"), said.get(b"sec-fetch-site", "same-origin")
    ours = {said.get(b"host", "").lower(), urlsplit(url).netloc.lower()} - {""}
    if site not in {"same-origin", "none"} or (origin is not None and _host_of(origin) not in ours):
        raise Forbidden("this form was sent from another site: open the page here, and send it again")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def segments(path_params: Mapping[str, str]) -> dict[str, str]:
    """The segments of an address, decoded after it was split: a name may hold a slash.

    Raises:
        BadRequest: one is not UTF-8.
    """
    try:
        return {
            name: unquote_to_bytes(segment.encode("latin-1")).decode().replace("\0", "")
            for name, segment in path_params.items()
        }
    except UnicodeDecodeError:
        raise BadRequest("address", "not UTF-8") from None


def zips(scope: Scope) -> bool:
    """Whether the browser reads what is zipped."""
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


def address_of(scope: Scope) -> str:
    """Who calls, by their address."""
    client = scope.get("client")
    return str(client[0]) if client else ""
