"""JSON that is encoded once for all devices of a message, with holes for what is each device's own. Pure."""

from __future__ import annotations

import re
from enum import IntEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Placeholder(IntEnum):
    """What differs from device to device; its number is its place among the values."""

    DELIVERY_ID = 0
    TOKEN = 1
    IDENTITY = 2
    TTL = 3
    EXPIRES_AT = 4


class Slot:
    """Where a hole is in a tree of JSON values; no dataclass, as msgspec would encode that as an object."""

    __slots__ = ("hole",)

    def __init__(self, hole: Placeholder) -> None:
        self.hole = hole


# JSON text never holds a raw NUL, so that no content can pass for a hole.
_HOLE = re.compile(rb"\x00(\d)\x00")

_encode_with_holes = msgspec.json.Encoder(
    enc_hook=lambda slot: msgspec.Raw(b"\x00%d\x00" % slot.hole.value)
).encode


class JsonTemplate:
    """An encoded tree with its holes still open."""

    __slots__ = ("_pattern", "_pick")

    def __init__(self, tree: dict[str, Any]) -> None:
        """`tree` is of JSON values, and `Slot`s where a device's own text goes: one of them at least."""
        encoded = _encode_with_holes(tree)
        order = [int(digit) for digit in _HOLE.findall(encoded)]
        self._pattern = _HOLE.sub(b"%b", encoded.replace(b"%", b"%%"))
        self._pick: Callable[[tuple[bytes, ...]], Any] = itemgetter(*order)

    def fill(self, values: tuple[bytes, ...]) -> bytes:
        """The body; `values` are encoded JSON texts in the order of `Placeholder`."""
        filled: bytes = self._pattern % self._pick(values)
        return filled


def json_text(text: str) -> bytes:
    """A string as JSON, quotes and all."""
    return msgspec.json.encode(text)
