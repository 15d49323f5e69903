"""Reading what a client sent: each reader names the field that it refuses."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pushkeeper.core import identity, times
from pushkeeper.core.devices import tokens
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Platform
from pushkeeper.errors import BadRequest, NotFound, TooLarge, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pushkeeper.core.model import Token

OnBad: TypeAlias = "Callable[[BadRequest], None]"  # takes the error of a skipped value, or raises it

MAX_NAME_BYTES = 150
MAX_VALUE_BYTES = 1000
MAX_EVENT_NAME_BYTES = 100
MAX_ATTRIBUTES = 300
MAX_ID_BYTES = 150
MAX_TOKEN_BYTES = 4096
NO_PHONE_NUMBERS = "phone numbers are not supported as identifiers; use id, email or cio_id"
_LONGEST_INTEGER = 2**63
_EXACT_IN_A_FLOAT = 2**53
_DIGITS = re.compile(r"[0-9]{1,18}")  # far more of them are no number to Python


def as_object(value: object, field: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise BadRequest(field, "expected an object", "wrong_type")
    return value


def optional_object(value: object, field: str) -> dict[str, Any]:
    """A JSON object; null and absent are an empty one."""
    return {} if value is None else as_object(value, field)


def optional_text(value: object, field: str, *, max_bytes: int | None = None) -> str | None:
    """A string; null and absent are None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(field, "expected a string", "wrong_type")
    # A character is a byte or more: what is far too long is not encoded to be told so.
    if max_bytes is not None and (len(value) > max_bytes or len(value.encode()) > max_bytes):
        raise TooLarge(field, f"cannot be longer than {max_bytes} bytes")
    return value


def text(value: object, field: str, *, max_bytes: int) -> str:
    """A string that is there and not empty."""
    found = optional_text(value, field, max_bytes=max_bytes)
    if found is None or not found.strip():
        raise BadRequest(field, "is required and cannot be empty", "missing")
    return found


def optional_flag(value: object, field: str, *, default: bool) -> bool:
    """True or false; null and absent are the default."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequest(field, "expected true or false", "wrong_type")
    return value


def optional_time(value: object, field: str) -> datetime | None:
    """A time in any form that has a zone (core/times.py); null, "" and absent are None.

    Raises:
        BadRequest: it is not a time, or out of bounds.
    """
    if value is None or value == "":
        return None
    if (found := times.from_any(value)) is None:
        raise BadRequest(
            field,
            "expected Unix seconds or an ISO 8601 time with a zone (2026-12-24T18:00:00Z), "
            f"from {times.EARLIEST.year} to {times.TOO_LATE.year - 1}",
        )
    return found


def time(value: object, field: str) -> datetime:
    """The same of a time that is needed."""
    if (found := optional_time(value, field)) is None:
        raise BadRequest(field, "is required", "missing")
    return found


def whole(value: object) -> object:
    """42 for 42.0, which is the same number in JSON; a float that may have lost digits, and anything else, unchanged."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_IN_A_FLOAT:
        return int(value)
    return value


def optional_whole(value: object, field: str, *, least: int, most: int) -> int | None:
    """A whole number; null and absent are None."""
    value = whole(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadRequest(field, f"expected a whole number from {least} to {most}", "out_of_range")
    return value


def number(text: str, field: str, *, most: int) -> int:
    """A whole number from 1 to the most there may be."""
    if not (_DIGITS.fullmatch(text) and 1 <= int(text) <= most):
        raise BadRequest(field, f"expected a number from 1 to {most}", "out_of_range")
    return int(text)


def number_of_path(text: str, what: str) -> int:
    """The number in a path by which something is found.

    Raises:
        NotFound: it is no number.
    """
    if not _DIGITS.fullmatch(text) or not text.isascii():
        raise NotFound(f"{what.capitalize()} not found")
    return int(text)


def page(limit: str | None, start: str | None, *, usual: int, most: int) -> tuple[int, int]:
    """How many of a list are wanted, and after which key: a `next` of ours that was given back as `start`.

    Raises:
        BadRequest: the limit is no such number, or the start is none of ours.
    """
    after = 0
    if start:
        try:
            after = int(b64decode(start + "=" * (-len(start) % 4), altchars=b"-_", validate=True))
        except ValueError:
            raise BadRequest("start", "expected the `next` value of a previous response") from None
    return number(limit, "limit", most=most) if limit else usual, after


def next_page(after: int) -> str:
    """The cursor to pass as `start`, to continue after this key."""
    return urlsafe_b64encode(str(after).encode()).decode().rstrip("=")


def key_of_page(start: str | None) -> bytes:
    """The key to continue after: a `next` of ours, given back as `start`; hexadecimal for devices.

    Raises:
        BadRequest: it is not such a cursor.
    """
    try:
        return bytes.fromhex(start or "")
    except ValueError:
        raise BadRequest("start", "expected the `next` value of a previous response") from None


def one_of(value: object, field: str, allowed: tuple[str, ...]) -> str:
    """One of these words, whatever its case."""
    if not isinstance(value, str) or value.lower() not in allowed:
        raise BadRequest(field, f"expected {' or '.join(allowed)}", "unknown_value")
    return value.lower()


def refuse(error: BadRequest) -> None:
    """Raise the error, which is what most readers do with an invalid attribute."""
    raise error


def attributes(
    given: dict[str, Any], field: str, on_bad: OnBad = refuse
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Attributes to set, and the names of those that null or "" removes; invalid ones are passed to `on_bad` and skipped.

    Raises:
        BadRequest, TooLarge: one is over Customer.io's limits, or there are too many.
    """
    if len(given) > MAX_ATTRIBUTES:
        on_bad(TooLarge(field, f"at most {MAX_ATTRIBUTES} attributes can be set at once", "out_of_range"))
    kept: dict[str, Any] = {}
    removed = []
    for name, value in islice(given.items(), MAX_ATTRIBUTES):
        try:
            check_attribute(name, value, field)
        except BadRequest as error:
            on_bad(error)
            continue
        if value is None or value == "":
            removed.append(name)
        else:
            kept[name] = value
    return kept, tuple(removed)


def check_attribute(name: str, value: object, field: str) -> None:
    """Check one attribute by Customer.io's limits.

    Raises:
        BadRequest, TooLarge: it exceeds them.
    """
    # A character is four bytes at most: nearly all attributes are short, and no path is made for an error that they don't have.
    if (
        name
        and len(name) <= MAX_NAME_BYTES // 4
        and isinstance(value, str)
        and len(value) <= MAX_VALUE_BYTES // 4
    ):
        return
    shown = name if len(name) <= MAX_NAME_BYTES else f"{name[:40]}…"
    place = (*path_of(field), shown)
    if not name:
        raise BadRequest(field, "an attribute needs a name")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise TooLarge(
            place,
            f"name of attribute '{shown}' cannot be longer than {MAX_NAME_BYTES} bytes",
            is_sentence=True,
        )
    if isinstance(value, int) and abs(value) >= _LONGEST_INTEGER:
        raise BadRequest(
            place, f"value for attribute '{shown}' is not a 64-bit integer", "out_of_range", is_sentence=True
        )
    encoded = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    if len(encoded) > MAX_VALUE_BYTES:
        raise TooLarge(
            place,
            f"value for attribute '{shown}' cannot be longer than {MAX_VALUE_BYTES} bytes",
            is_sentence=True,
        )


# Identifiers of people, and tokens of devices.


def checked_identifier(found: Identifier, field: str) -> Identifier:
    """An identifier that can be kept.

    Raises:
        BadRequest, TooLarge: it is over 150 bytes, or has a NUL character.
    """
    require_identifier(found.value, field)
    return found


def identifier_of_path(segment: str, field: str = "identifier") -> Identifier:
    """Whom a segment of a path names: by an id, an email, or `cio_` and a cio_id.

    Raises:
        BadRequest, TooLarge: it is blank or too long, or cannot be stored.
    """
    given = text(segment, field, max_bytes=MAX_ID_BYTES + len("cio_"))
    return checked_identifier(identity.of_path(given), field)


def require_identifier(value: str, field: str) -> None:
    """Refuse a text that cannot identify anybody.

    Raises:
        BadRequest, TooLarge: it is blank, over 150 bytes, or has a NUL character.
    """
    if "\0" in value:
        raise BadRequest(field, "cannot contain NUL characters")
    if not value.strip():
        raise BadRequest(field, "is required and cannot be empty", "missing")
    if len(value.encode()) > MAX_ID_BYTES:
        raise TooLarge(field, f"cannot be longer than {MAX_ID_BYTES} bytes")


def identifiers_in(given: object, field: str) -> dict[str, Any]:
    """The identifiers of an object without null ones, nor empty ones beside others; an empty one alone is refused by its name later.

    Raises:
        BadRequest: it is no object.
    """
    there = {name: value for name, value in as_object(given, field).items() if value is not None}
    if len(there) == 1:
        return there
    return {name: value for name, value in there.items() if not isinstance(value, str) or value.strip()}


def one_identifier(given: object, field: str, kinds: Sequence[IdentifierKind]) -> Identifier:
    """The one identifier of an object like `{"email": "a@example.com"}`; a null one, or an empty one beside it, is absent.

    Customer.io's newer calls have `internal` for a cio_id, with its prefix.

    Raises:
        BadRequest, TooLarge: it has no identifier or several, a phone number, or one that cannot be stored.
    """
    identifiers = identifiers_in(given, field)
    if "phone" in identifiers:
        raise BadRequest(f"{field}.phone", NO_PHONE_NUMBERS)
    if list(identifiers) == ["internal"] and IdentifierKind.CIO_ID in kinds:
        place = f"{field}.internal"
        prefixed = text(identifiers["internal"], place, max_bytes=MAX_ID_BYTES)
        return checked_identifier(Identifier(IdentifierKind.CIO_ID, prefixed.removeprefix("cio_")), place)
    named = {kind: value for kind in kinds if (value := identifiers.get(kind.value)) is not None}
    if len(named) != 1 or len(identifiers) != 1:
        words = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        raise BadRequest(field, f"expected exactly one of {words}")
    [(kind, value)] = named.items()
    place = f"{field}.{kind}"
    return checked_identifier(
        Identifier(kind, text(number_as_text(value), place, max_bytes=MAX_ID_BYTES)), place
    )


def number_as_text(value: object) -> object:
    """Callers have numeric ids."""
    number = whole(value)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else value


def known_token(value: object, field: str) -> Token:
    """A push token to look up a device by; texts that can't be a token are accepted, as older releases registered them.

    Raises:
        BadRequest, TooLarge: it is none, or too long.
    """
    found = text(value, field, max_bytes=MAX_TOKEN_BYTES)
    if "\0" in found:
        raise BadRequest(field, "cannot contain NUL characters")
    return tokens.token_of(found)


def identifier_field(given: object, field: str, path: Identifier) -> str:
    """Where an object that was read by `one_identifier` has its identifier, as the call spells it."""
    named = {name for name, value in as_object(given, field).items() if value is not None}
    return f"{field}.internal" if named == {"internal"} else f"{field}.{path.kind}"


def new_token(value: object, field: str) -> Token:
    """A push token to register.

    Raises:
        BadRequest, TooLarge: it can't be a token, or is too long.
    """
    found = known_token(value, field)
    if flaw := tokens.flaw(found):
        raise BadRequest(field, flaw)
    return found


def platform(value: object, field: str) -> Platform:
    """The platform of a device.

    Raises:
        BadRequest: it is unknown.
    """
    return Platform(one_of(value, field, tuple(Platform)))
