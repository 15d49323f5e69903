"""The body of `POST /v1/send/push`, read into what Sending takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from pushkeeper.api import fields
from pushkeeper.api.said import MAX_TOKEN_BYTES, checked, registration
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content, Platform, Token
from pushkeeper.errors import BadRequest
from pushkeeper.sending import TransactionalPush
from pushkeeper.store.people import Naming

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId

_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)
_RENDERED = ("title", "message", "link", "image_url", "custom_data", "custom_payload")
_PAYLOAD_PLATFORMS = frozenset({Platform.IOS.value, Platform.ANDROID.value})


def transactional_push(body: dict[str, Any], workspace: WorkspaceId, *, request_id: str) -> TransactionalPush:
    """Read a send; `message_data`, `language`, `auto_create` and `disable_message_retention` are checked, and change nothing.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed, or asks for what there is not.
    """
    content = _content(body)
    _check_template(body.get("transactional_message_id"), content)
    _check_unused(body)
    custom_device = body.get("custom_device")
    return TransactionalPush(
        naming=Naming(workspace_id=workspace, path=_recipient(body.get("identifiers"))),
        content=content,
        to=_to(body.get("to")),
        send_at=fields.optional_unix_time(body.get("send_at"), "send_at"),
        custom_device=None
        if custom_device is None
        else registration(
            fields.as_object(custom_device, "custom_device"),
            "custom_device",
            id_field="token",
            request_id=request_id,
        ),
        send_to_unsubscribed=fields.optional_flag(
            body.get("send_to_unsubscribed"), "send_to_unsubscribed", default=True
        ),
    )


def _recipient(given: object) -> Identifier:
    identifiers = fields.as_object(given, "identifiers")
    named = [kind for kind in _KINDS if identifiers.get(kind.value) is not None]
    if len(named) != 1 or len(identifiers) != 1:
        raise BadRequest("identifiers", "identifiers: exactly one of id, email or cio_id is needed")
    [kind] = named
    value = identifiers[kind.value]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    field = f"identifiers.{kind}"
    return checked(Identifier(kind, fields.text(value, field, max_bytes=150)), field)


def _to(given: object) -> Literal["all", "last_used"] | Token:
    if given is None:
        return "all"
    to = fields.text(given, "to", max_bytes=MAX_TOKEN_BYTES)
    if to in {"all", "last_used"}:
        return cast("Literal['all', 'last_used']", to)
    return Token(to)


def _content(body: dict[str, Any]) -> Content:
    for field in _RENDERED:
        _refuse_liquid(body.get(field), field)
    image_url = fields.optional_text(body.get("image_url"), "image_url") or None
    if image_url is not None and not image_url.lower().startswith("https://"):
        raise BadRequest("image_url", "image_url: expected https://…, which is all that phones load")
    sound = fields.optional_text(body.get("sound"), "sound") or None
    if sound is not None:
        sound = fields.one_of(sound, "sound", ("default", "none"))
    return Content(
        title=fields.optional_text(body.get("title"), "title") or None,
        message=fields.optional_text(body.get("message"), "message") or None,
        link=fields.optional_text(body.get("link"), "link") or None,
        image_url=image_url,
        sound=sound,
        custom_data=fields.optional_object(body.get("custom_data"), "custom_data"),
        custom_payload=_custom_payload(body.get("custom_payload")),
    )


def _custom_payload(given: object) -> dict[str, dict[str, Any]]:
    payloads = fields.optional_object(given, "custom_payload")
    if unknown := sorted(set(payloads) - _PAYLOAD_PLATFORMS):
        raise BadRequest(
            "custom_payload", f"custom_payload: expected ios or android, not {unknown[0][:40]!r}"
        )
    return {
        platform: fields.as_object(payload, f"custom_payload.{platform}")
        for platform, payload in payloads.items()
        if payload is not None
    }


def _refuse_liquid(value: object, field: str) -> None:
    # JSON's own braces never stand so: an object begins with a quote.
    written = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if "{{" in written or "{%" in written:
        raise BadRequest(
            field, f"{field}: holds Liquid, which is not rendered; people would read it as it stands"
        )


def _check_unused(body: dict[str, Any]) -> None:
    fields.optional_object(body.get("message_data"), "message_data")
    fields.optional_text(body.get("language"), "language")
    for flag in ("auto_create", "disable_message_retention"):
        fields.optional_flag(body.get(flag), flag, default=False)
    if fields.optional_flag(body.get("queue_draft"), "queue_draft", default=False):
        raise BadRequest("queue_draft", "queue_draft: drafts are not kept; leave it out to send")
    if body.get("platform") is not None:
        # Passed over, it would send to the phones that were to be left out.
        raise BadRequest("platform", "platform: cannot be chosen; leave it out to send to all phones")


def _check_template(given: object, content: Content) -> None:
    """There are no templates, so one may be named only beside a content that needs none."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, int | str)):
        raise BadRequest("transactional_message_id", "transactional_message_id: expected a number or a name")
    if not (content.title or content.message or content.custom_payload):
        field = "transactional_message_id" if given is not None else "message"
        said = "there is no such template, and" if given is not None else "is needed:"
        raise BadRequest(
            field, f"{field}: {said} the content is not complete without a title, message or custom_payload"
        )
