"""A multipart form that ends in a file, read as it comes: of the file only a piece is in memory at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from pushkeeper.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pushkeeper.web.request import Request

MAX_FIELD_BYTES = 256_000  # of all fields together
_MAX_NAME_BYTES = 1_000
_NOT_A_FORM = "expected a multipart form whose last part is the file"


@dataclass(slots=True)
class Upload:
    """The fields of a form and its file.

    Attributes:
        name: of the file, as the client calls it.
        content: the file's bytes; to be read to their end, once.
    """

    fields: dict[str, str]
    name: str
    content: AsyncGenerator[bytes, None]


@dataclass(slots=True)
class _Part:
    name: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)


class _Reader:
    """What the parser finds, in its order: fields, then the pieces of the file."""

    def __init__(self, request: Request) -> None:
        _, options = parse_options_header(request.header(b"content-type"))
        if not options.get(b"boundary"):
            raise BadRequest("body", _NOT_A_FORM)
        self._request = request
        self._passed_on = request.scope.get("state", {}).get("passed_on")
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._on_part_begin,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        self._part = _Part()
        self._header = bytearray()
        self._value = bytearray()
        self._field_bytes = 0
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.pieces: deque[bytes] = deque()
        self.is_whole = False

    async def read_on(self) -> None:
        """Read what comes next of the body; Starlette's ClientDisconnect when the client has left.

        Raises:
            BadRequest: it is no such form.
            TooLarge: its fields are too long.
        """
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        content = message.get("body", b"")
        try:
            self._parser.write(content)
        except MultipartParseError as error:
            raise BadRequest("body", f"{_NOT_A_FORM}: {error}") from None
        if not message.get("more_body", False) and not self.is_whole:
            raise BadRequest("body", f"{_NOT_A_FORM}; it ends in the middle")
        if self._passed_on is not None:
            self._passed_on(len(content))

    def _on_part_begin(self) -> None:
        if self.file_name is not None:
            raise BadRequest("file", "must be the last part of the form")
        self._part = _Part()

    def _on_header_begin(self) -> None:
        self._header, self._value = bytearray(), bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end].lower()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.headers[bytes(self._header)] = bytes(self._value)

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition", b""))
        self._value = bytearray()
        self._part.name = _text(options.get(b"name", b""))
        if b"filename" in options:
            if self._part.name != "file":
                raise BadRequest(self._part.name or "body", "is not a file of this form; its name is file")
            self.file_name = _text(options[b"filename"][-_MAX_NAME_BYTES:])

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.file_name is not None:
            self.pieces.append(data[start:end])
            return
        self._count(end - start)
        self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self.file_name is not None:
            return
        self.fields[self._part.name] = _text(bytes(self._value), self._part.name)
        self._value = bytearray()

    def _on_end(self) -> None:
        self.is_whole = True

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            raise TooLarge("body", f"cannot have fields of more than {MAX_FIELD_BYTES:,} bytes")


async def read_upload(request: Request) -> Upload:
    """Read a form up to its file.

    Raises:
        BadRequest: it is no multipart form, or has no part named `file`.
        TooLarge: its fields are too long.
    """
    reader = _Reader(request)
    while reader.file_name is None:
        if reader.is_whole:
            raise BadRequest("file", "is required, as the last part of the form", "missing")
        await reader.read_on()

    async def content() -> AsyncGenerator[bytes, None]:
        while True:
            while reader.pieces:
                yield reader.pieces.popleft()
            if reader.is_whole:
                return
            await reader.read_on()

    return Upload(reader.fields, reader.file_name, content())


def _text(raw: bytes, name: str = "body") -> str:
    try:
        return raw.decode().replace("\0", "")
    except UnicodeDecodeError:
        raise BadRequest(name or "body", "is not UTF-8") from None
