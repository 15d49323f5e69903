"""One request as it came: its head, its body or form within their limits, and the id by which the log has it."""

from __future__ import annotations

import asyncio
import os
import re
from itertools import count
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes, urlsplit

from starlette import requests
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from pushkeeper.errors import BadRequest, Forbidden, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Message, Receive, Scope

MAX_FORM_BYTES = 256_000
_MAX_FIELDS = 200
_MAX_FILES = 4
_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Of the ids that we give ourselves: what nobody else's begin with, and what counts on.
_PROCESS = os.urandom(10).hex()
_NUMBERS = count(1)


def _at_once(size: int) -> float:
    """Let all of a body be read as it comes."""
    del size
    return 0.0


class Request:
    """What an ASGI server passes of a request; whatever reads it names what is wrong with it.

    Attributes:
        caller: who sent it, as soon as its style has found out.
    """

    __slots__ = ("caller", "receive", "request_id", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.request_id = request_id_of(scope)
        self.caller: object = None

    @property
    def method(self) -> str:
        return cast("str", self.scope["method"])

    @property
    def address(self) -> str:
        """The client's address."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def accepts_gzip(self) -> bool:
        return b"gzip" in self.header(b"accept-encoding")

    def header(self, name: bytes) -> bytes:
        """The first header of this lower-case name; empty when missing."""
        return next((value for found, value in self.scope["headers"] if found == name), b"")

    def segment(self, name: str, field: str | None = None) -> str:
        """A segment of the path, decoded after the path was split: a token may hold any character.

        Raises:
            BadRequest: it is not UTF-8.
        """
        try:
            return unquote_to_bytes(self.scope["path_params"][name].encode("latin-1")).decode()
        except UnicodeDecodeError:
            raise BadRequest(field or name, "not UTF-8") from None

    async def body(self, max_bytes: int, grown: Callable[[int], float] = _at_once) -> bytes:
        """The whole body; Starlette's ClientDisconnect when the client disconnects before its end.

        `grown` is called with its size so far, and returns for how many seconds to pause reading.

        Raises:
            TooLarge: it exceeds the limit.
            TooManyRequests: as `grown` does.
        """
        receive = _within(self.receive, max_bytes)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            wait_s = grown(size)
            if not message.get("more_body", False):
                return b"".join(chunks)
            if wait_s > 0:
                await asyncio.sleep(wait_s)

    async def form(self) -> tuple[dict[str, list[str]], dict[str, bytes]]:
        """The fields and files of a form.

        Raises:
            BadRequest: it is none.
            TooLarge: it is over 256 kB.
        """
        if self.header(b"content-type").partition(b";")[0].strip().lower() not in _FORMS:
            raise BadRequest("body", "expected a form")
        values: dict[str, list[str]] = {}
        files: dict[str, bytes] = {}
        sent = requests.Request(self.scope, _within(self.receive, MAX_FORM_BYTES))
        try:
            form = await sent.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=MAX_FORM_BYTES)
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
                else:
                    values.setdefault(name, []).append(value.replace("\0", "").replace("\r\n", "\n"))
            await form.close()
        except (MultiPartException, UnicodeDecodeError) as error:
            raise BadRequest("body", "expected a form") from error
        return values, files

    def refuse_other_sites(self, url: str) -> None:
        """Let no other site send what its visitors did not mean.

        Browsers say where a form was sent from. A proxy may have changed how we are called, so that the host is enough.

        Raises:
            Forbidden: it was sent from elsewhere.
        """
        said = {name: value.decode("latin-1") for name, value in self.scope["headers"]}
        origin, site = said.get(b"origin"), said.get(b"sec-fetch-site", "same-origin")
        ours = {said.get(b"host", "").lower(), urlsplit(url).netloc.lower()} - {""}
        if site not in {"same-origin", "none"} or (origin is not None and _host_of(origin) not in ours):
            raise Forbidden(
                "The form was submitted from another site. Open the page here and submit it again"
            )

    async def unless_gone(self, sending: Coroutine[None, None, None]) -> bool:
        """Send a long response while the client reads it; returns whether it was completed."""
        sent, gone = asyncio.ensure_future(sending), asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({sent, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sent.done():
                await sent
            return sent.done()
        finally:
            for task in (sent, gone):
                task.cancel()
            await asyncio.gather(sent, gone, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


def request_id_of(scope: Scope) -> str:
    """The caller's own X-Request-Id when it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return cast("bytes", value).decode()
    return f"{_PROCESS}{next(_NUMBERS):012x}"


def _within(receive: Receive, max_bytes: int) -> Receive:
    """The same, rejected as soon as it exceeds the limit."""
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise TooLarge("body", f"cannot be longer than {max_bytes} bytes")
        return message

    return received


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
