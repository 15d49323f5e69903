"""Cells: independent databases behind one address, told apart by the beginning of a key or an id.

Every number that a database gives to a row has its cell above the 40th bit, so that no two cells give the same one. Keys
begin with their cell, and delivery ids with the number of a workspace; what names none is of cell 0. Why:
docs/decisions/0043-cells.md.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from pushkeeper.core.delivery import delivery_id

# Three digits in a key; and JavaScript, which is exact below 2**53, reads the numbers of every cell.
MOST = 999
_NUMBER_BITS = 40
_ID_BYTES = 3  # of a delivery id: what is above those 40 bits of its first eight bytes
_ID_CHARACTERS = 4  # the same in base64
_PREFIX = re.compile(r"k[0-9]{3}")
_KEY = re.compile(r"(?:k(?!000)([0-9]{3}))?[0-9a-f]{20,40}")


def first_number(cell: int) -> int:
    """The first number that a cell gives to a row of a table."""
    return (cell << _NUMBER_BITS) + 1


def last_number(cell: int) -> int:
    """The last one: there are a million million."""
    return ((cell + 1) << _NUMBER_BITS) - 1


def of_number(number: int) -> int:
    """The cell that gave this number to a row."""
    return number >> _NUMBER_BITS


def key_prefix(cell: int) -> str:
    """What the keys of a cell begin with; those of cell 0 with nothing, as keys did before there were cells."""
    return f"k{cell:03}" if cell else ""


def prefix_of(key: str) -> str:
    """What of a key names its cell; nothing of one that names none."""
    found = _PREFIX.match(key)
    return found[0] if found else ""


def of_key(key: str) -> int | None:
    """The cell of a key or a site ID; None if the key is not a Pushkeeper key."""
    found = _KEY.fullmatch(key)
    return None if found is None else int(found[1] or 0)


def id_prefix(cell: int) -> str:
    """What the delivery ids of a cell begin with."""
    return urlsafe_b64encode(cell.to_bytes(_ID_BYTES, "big")).decode()


def of_delivery_id(text: str) -> int | None:
    """The cell that a delivery id names, authentic or not; None of what is none, and of those of release 0.1."""
    if len(text) != delivery_id.CHARACTERS:
        return None
    try:
        cell = int.from_bytes(urlsafe_b64decode(text[:_ID_CHARACTERS]), "big")
    except ValueError:  # not ASCII, or padded where nothing can be
        return None
    return cell if cell <= MOST and text.startswith(id_prefix(cell)) else None


def beginnings(cell: int) -> list[str]:
    """What a request to a cell has at the beginning of its host name, its key, or the delivery id that it names."""
    return [f"cell{cell}.", *filter(None, [key_prefix(cell)]), id_prefix(cell)]
