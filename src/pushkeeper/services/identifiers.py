"""Identifiers of people and devices as requests give them: one of a kind, and such that can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core import identity
from pushkeeper.core.devices import tokens
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.services import validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import Token

MAX_ID_BYTES = 150
MAX_TOKEN_BYTES = 4096
NO_PHONE_NUMBERS = "phone numbers are not supported as identifiers; use id, email or cio_id"


def checked(found: Identifier, field: str) -> Identifier:
    """An identifier that can be kept.

    Raises:
        BadRequest, TooLarge: it is over 150 bytes, or has a NUL character.
    """
    require_storable(found.value, field)
    return found


def of_path(text: str, field: str = "identifier") -> Identifier:
    """The person in a path: by an ID, an email, or `cio_` and a cio_id.

    Raises:
        BadRequest, TooLarge: it is blank or too long, or cannot be stored.
    """
    given = validation.text(text, field, max_bytes=MAX_ID_BYTES + len("cio_"))
    return checked(identity.of_path(given), field)


def require_storable(value: str, field: str) -> None:
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
    there = {name: value for name, value in validation.as_object(given, field).items() if value is not None}
    if len(there) == 1:
        return there
    return {name: value for name, value in there.items() if not isinstance(value, str) or value.strip()}


def one_identifier(given: object, field: str, kinds: Sequence[IdentifierKind]) -> Identifier:
    """The one identifier of an object like `{"email": "a@example.com"}`; a null one, or an empty one beside it, is absent.

    Customer.io's newer calls have `internal` for a cio_id, with its prefix.

    Raises:
        BadRequest, TooLarge: none or several are given, it is a phone number, or it cannot be stored.
    """
    identifiers = identifiers_in(given, field)
    if "phone" in identifiers:
        raise BadRequest(f"{field}.phone", NO_PHONE_NUMBERS)
    if list(identifiers) == ["internal"] and IdentifierKind.CIO_ID in kinds:
        place = f"{field}.internal"
        prefixed = validation.text(identifiers["internal"], place, max_bytes=MAX_ID_BYTES)
        return checked(Identifier(IdentifierKind.CIO_ID, prefixed.removeprefix("cio_")), place)
    named = {kind: value for kind in kinds if (value := identifiers.get(kind.value)) is not None}
    if len(named) != 1 or len(identifiers) != 1:
        words = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        raise BadRequest(field, f"expected exactly one of {words}")
    [(kind, value)] = named.items()
    place = f"{field}.{kind}"
    return checked(
        Identifier(kind, validation.text(number_as_text(value), place, max_bytes=MAX_ID_BYTES)), place
    )


def number_as_text(value: object) -> object:
    """Callers have numeric ids."""
    number = validation.whole(value)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else value


def known_token(value: object, field: str) -> Token:
    """A push token to look up a device by; texts that can't be a token are accepted, as older releases registered them.

    Raises:
        BadRequest, TooLarge: it is none, or too long.
    """
    found = validation.text(value, field, max_bytes=MAX_TOKEN_BYTES)
    if "\0" in found:
        raise BadRequest(field, "cannot contain NUL characters")
    return tokens.token_of(found)
