"""The pictures that the documentation shows, and PNG files that are as small as those of few colours can be.

`make screenshots` has the browser take them. A picture that is added has its line here and its place on a page.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
_EXACT = 160  # of them as they are; the others are for gradients
_CHANNELS = {2: 3, 6: 4}  # of colour types: RGB, and RGB with alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a picture shows: a page of the workspace, from its top, so large.

    Attributes:
        page: below the workspace's own address; `{token}` is that of Ann's phone, `{broadcast}` one under way.
        there: what is on the page once it is whole.
        options: of the browser.
    """

    page: str
    there: str
    width: int = 1200
    height: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """In the picture's own points."""
        scale = self.options.get("device_scale_factor", 1)
        return self.width * scale, self.height * scale


_PHONE = {"is_mobile": True, "has_touch": True, "device_scale_factor": 2}
_CHART = ".uplot canvas"
PICTURES = {
    "overview": Picture(page="", there=_CHART, height=1100),
    "overview-in-the-dark": Picture(page="", there=_CHART, height=1100, options={"color_scheme": "dark"}),
    "devices": Picture(
        page="/devices?filter=platform = ios and last_status = suppressed", there="table", height=760
    ),
    "device": Picture(page="/devices?filter={token}", there=".timeline", height=900),
    "audience": Picture(
        page="/audiences/new?filter=last_status = suppressed&count=yes", there="#apart table", height=900
    ),
    "compose": Picture(page="/broadcasts/new?from={broadcast}", there=".phone", height=900),
    "broadcast": Picture(page="/broadcasts/{broadcast}", there=_CHART, height=900),
    "reports": Picture(page="/reports/pushes", there=_CHART, height=860),
    "phone": Picture(page="", there=_CHART, width=390, height=790, options=_PHONE),
}


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack_from(">II", png, 16)
    return width, height


def small(png: bytes) -> bytes:
    """The same picture in 256 colours; each of the others becomes the nearest one of them."""
    chunks = list(_chunks(png))
    width, height, _, kind, *_ = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    data = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    rows = list(_rows(data, width, height, _CHANNELS[kind]))
    counted = Counter(pixel for row in rows for pixel in row)
    palette = _palette(counted)
    known = {colour: number for number, colour in enumerate(palette)}
    for colour in counted:
        if colour not in known:
            known[colour] = min(range(len(palette)), key=lambda n: _apart(palette[n], colour))
    lines = b"".join(b"\0" + bytes(known[pixel] for pixel in row) for row in rows)
    return _SIGNATURE + b"".join(
        _chunk(name, body)
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(lines, 9)),
            (b"IEND", b""),
        )
    )


def _palette(counted: Counter[bytes]) -> list[bytes]:
    """The most frequent colours, and for gradients the means of the most frequent cells of the others."""
    frequent = [colour for colour, _ in counted.most_common(_EXACT)]
    cells: dict[bytes, Counter[bytes]] = {}
    for colour in counted.keys() - set(frequent):
        cells.setdefault(bytes(channel >> 4 for channel in colour), Counter())[colour] = counted[colour]
    largest = sorted(cells.values(), key=lambda cell: (-cell.total(), min(cell)))[: _COLOURS - len(frequent)]
    means = [
        bytes(round(sum(colour[at] * n for colour, n in cell.items()) / cell.total()) for at in range(3))
        for cell in largest
    ]
    return list(dict.fromkeys([*frequent, *means]))


def _apart(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _rows(data: bytes, width: int, height: int, channels: int) -> Iterator[list[bytes]]:
    """Rows of pixels without their filters (PNG, section 9); of a pixel with alpha its colour."""
    stride = width * channels
    above = bytearray(stride)
    for start in range(0, height * (stride + 1), stride + 1):
        line = bytearray(data[start + 1 : start + 1 + stride])
        _unfilter(data[start], line, above, channels)
        yield [bytes(line[at : at + 3]) for at in range(0, stride, channels)]
        above = line


def _unfilter(kind: int, line: bytearray, above: bytearray, channels: int) -> None:
    if kind == 2:
        line[:] = bytes((a + b) & 255 for a, b in zip(line, above, strict=True))
        return
    for at in range(len(line)) if kind else ():
        left = line[at - channels] if at >= channels else 0
        corner = above[at - channels] if at >= channels else 0
        guess = (left, 0, (left + above[at]) // 2, _paeth(left, above[at], corner))[kind - 1]
        line[at] = (line[at] + guess) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    middle = left + above - corner
    return min((left, above, corner), key=lambda one: abs(middle - one))
