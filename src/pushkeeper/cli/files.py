"""JSON from files and the command line."""

from __future__ import annotations

from typing import Any, BinaryIO

import msgspec

from pushkeeper.errors import BadRequest


def json_object(file: BinaryIO | None) -> dict[str, Any]:
    """The object in a file; without one, an empty one.

    Raises:
        BadRequest: it is no JSON object.
    """
    if file is None:
        return {}
    try:
        found = msgspec.json.decode(file.read())
    except msgspec.DecodeError as error:
        raise BadRequest("file", f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest("file", "expected a JSON object", "wrong_type")
    return found


def read_filter(text: str) -> object:
    """The filter as it was typed: JSON where it starts as JSON does, else a text.

    Raises:
        BadRequest: it starts as JSON, and is none.
    """
    if not text.lstrip().startswith("{"):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest("filter", f"not JSON: {error}") from None
