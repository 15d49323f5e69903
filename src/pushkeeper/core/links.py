"""Links that people follow from a push."""

from __future__ import annotations

import zlib


def link_id(href: str) -> int:
    """The number of a link, the same wherever it is shown; 0 of none."""
    return zlib.crc32(href.encode("utf-8", "surrogatepass"))
