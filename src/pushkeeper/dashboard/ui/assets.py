"""Style, scripts and pictures, at addresses that hold a hash of what they are: browsers may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")


@dataclass(frozen=True, slots=True)
class File:
    """A static file, with its address."""

    path: str
    content_type: bytes
    body: bytes
    zipped: bytes


@cache
def files() -> Mapping[str, File]:
    """The files by their names (`vendor/htmx.min.js`)."""
    found = {}
    for file in sorted(FOLDER.rglob("*")):
        if file.suffix in _TYPES:
            name = file.relative_to(FOLDER).as_posix()
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            path = f"/static/{digest}/{file.name}"
            found[name] = File(path, _TYPES[file.suffix], body, gzip.compress(body, 9, mtime=0))
    return found


@cache
def by_path() -> Mapping[str, File]:
    """The same by their addresses."""
    return {file.path: file for file in files().values()}


def address(name: str) -> str:
    """The address of a static file."""
    return files()[name].path
