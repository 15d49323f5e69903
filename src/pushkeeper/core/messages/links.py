"""Links that people follow from a push."""

from __future__ import annotations

import zlib


def link_id(href: str) -> int:
    """The number of a link, the same everywhere; 0 for no link."""
    return zlib.crc32(href.encode("utf-8", "surrogatepass"))
