"""The body of `POST /v1/send/push`, read into what Sending takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, cast

from pushkeeper.api.customerio.parse import registration
from pushkeeper.core.identity import IdentifierKind
from pushkeeper.core.model import PHONES, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.messages.content import content_of
from pushkeeper.services.messages.transactional import TransactionalPush
from pushkeeper.services.people import PersonReference
from pushkeeper.services.validation import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from pushkeeper.core.model import Token, WorkspaceId

_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)
_MAX_LANGUAGE_BYTES = 35  # the longest that RFC 5646 wants kept
_LARGEST_NUMBER = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")


def transactional_push(body: dict[str, Any], workspace: WorkspaceId, *, request_id: str) -> TransactionalPush:
    """Read a send.

    Raises:
        BadRequest, TooLarge: a field is missing or malformed.
    """
    identifiers = body.get("identifiers")
    path = validation.one_identifier(identifiers, "identifiers", _KINDS)
    custom_device = body.get("custom_device")
    to = _to(body.get("to"))
    return TransactionalPush(
        naming=PersonReference(
            workspace_id=workspace,
            path=path,
            field=validation.identifier_field(identifiers, "identifiers", path),
        ),
        content=content_of(body),
        to=to,
        send_at=validation.optional_time(body.get("send_at"), "send_at"),
        custom_device=None
        if custom_device is None
        else registration(
            validation.as_object(custom_device, "custom_device"),
            "custom_device",
            id_field="token",
            request_id=request_id,
        ),
        send_to_unsubscribed=None
        if body.get("send_to_unsubscribed") is None
        else validation.optional_flag(body["send_to_unsubscribed"], "send_to_unsubscribed", default=True),
        template=_template(body.get("transactional_message_id")),
        auto_create=validation.optional_flag(body.get("auto_create"), "auto_create", default=False),
        data=validation.optional_object(body.get("message_data"), "message_data"),
        language=validation.optional_text(body.get("language"), "language", max_bytes=_MAX_LANGUAGE_BYTES)
        or None,
        platforms=_platforms(body.get("platform"), to),
        drafted=validation.optional_flag(body.get("queue_draft"), "queue_draft", default=False),
        retained=not validation.optional_flag(
            body.get("disable_message_retention"), "disable_message_retention", default=False
        ),
    )


def _to(given: object) -> Literal["all", "last_used"] | Token:
    if given is None:
        return "all"
    to = validation.text(given, "to", max_bytes=MAX_TOKEN_BYTES)
    if to in {"all", "last_used"}:
        return cast("Literal['all', 'last_used']", to)
    return validation.known_token(to, "to")


def _template(given: object) -> int | str | None:
    if given is None:
        return None
    given = validation.whole(given)
    if isinstance(given, bool) or not isinstance(given, int | str) or given == "":
        raise BadRequest("transactional_message_id", "expected a number or a name")
    if isinstance(given, int) and not 0 <= given <= _LARGEST_NUMBER:
        raise BadRequest("transactional_message_id", "there is no such number")
    # A number is often kept as a text.
    return int(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given


def _platforms(given: object, to: Literal["all", "last_used"] | Token) -> tuple[Platform, ...] | None:
    """The platforms to send to: by default phones, as Customer.io does; None means the platform of the named device."""
    if given is None:
        return PHONES if to in {"all", "last_used"} else None
    return (validation.platform(given, "platform"),)
