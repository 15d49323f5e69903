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
    """The filter: JSON if it starts with a brace, else text.

    Raises:
        BadRequest: it starts with a brace, and is not valid JSON.
    """
    if not text.lstrip().startswith("{"):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest("filter", f"not JSON: {error}") from None
