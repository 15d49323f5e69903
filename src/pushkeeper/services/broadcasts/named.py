"""People that a request names one by one."""

from __future__ import annotations

from typing import Any

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.recipients import Recipient
from pushkeeper.services.validation import MAX_ID_BYTES, checked_identifier, number_as_text, one_identifier

MAX_DATA_BYTES = 50_000
MAX_RECIPIENTS = 10_000
_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)
_NAMES = (*(kind.value for kind in _KINDS), "internal", "phone")


def recipients_of(body: dict[str, Any], way: str) -> list[Recipient]:
    """The people that are named in one way: `ids`, `emails`, or `per_user_data`.

    Raises:
        BadRequest, TooLarge: the list, or one in it, is malformed.
    """
    given = body[way]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_RECIPIENTS:
        raise BadRequest(way, f"expected a list of 1 to {MAX_RECIPIENTS}", "wrong_type")
    if way == "per_user_data":
        return [_with_data(one, f"{way}[{n}]") for n, one in enumerate(given)]
    kind = IdentifierKind.ID if way == "ids" else IdentifierKind.EMAIL
    return [_named(kind, one, f"{way}[{n}]") for n, one in enumerate(given)]


def _with_data(given: object, place: str) -> Recipient:
    one = validation.as_object(given, place)
    named = {name: one[name] for name in _NAMES if name in one}
    who = one_identifier(named, place, _KINDS)
    name = next(name for name, value in named.items() if value is not None)
    data = validation.optional_object(one.get("data"), f"{place}.data")
    return Recipient(who=who, place=f"{place}.{name}", data=data)


def _named(kind: IdentifierKind, value: object, place: str) -> Recipient:
    text = validation.text(number_as_text(value), place, max_bytes=MAX_ID_BYTES)
    return Recipient(who=checked_identifier(Identifier(kind, text), place), place=place)
