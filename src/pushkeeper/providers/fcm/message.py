"""A push as FCM HTTP v1 wants it. Pure.

Source: FCM REST v1 `messages:send`; payloads as Customer.io's SDKs read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.model import IdKind, Platform, Priority, Provider
from pushkeeper.errors import BadRequest
from pushkeeper.providers.fcm import schema
from pushkeeper.providers.shared import apns_headers, payload
from pushkeeper.providers.shared.json_template import JsonTemplate, Placeholder, Slot, json_text
from pushkeeper.providers.transport.response import Request

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import Content, Push, Token

# A token may be longer than the usual one; only then is the text measured.
_SPARE_BYTES = 100
_HEADERS: schema.Fields = {"headers": schema.Kind.STRINGS}
_TARGETS = frozenset({"token", "fid", "topic", "condition"})
_RESERVED = frozenset({"from", "message_type", "gcm"})
_RESERVED_PREFIXES = ("google.", "gcm.notification.")


def message(content: Content, platform: Platform) -> dict[str, Any]:
    """The message as a tree without its target, with slots for what is each device's own.

    A duplicate replaces itself by its tag (Android) or its collapse id (iOS), never by FCM's `collapse_key`: a device
    keeps four of those.
    """
    custom = content.custom_payload.get(platform)
    if platform is Platform.IOS:
        return _ios(content) if custom is None else _custom_ios(content, custom)
    return _android(content) if custom is None else _custom_android(content, custom)


def _collapse_id(content: Content) -> str | Slot:
    return content.collapse_id or Slot(Placeholder.IDENTITY)


def _priority(content: Content) -> str:
    return "NORMAL" if content.priority == Priority.NORMAL else "HIGH"


def _android(content: Content) -> dict[str, Any]:
    data = payload.strings(content.custom_data)
    shown = payload.text_fields(content)
    android: dict[str, Any] = {"priority": _priority(content), "ttl": Slot(Placeholder.TTL)}
    if content.link or content.image_url or not shown:
        # The SDK draws the notification itself, which is how links and images work.
        data |= shown
        data |= {"link": content.link} if content.link else {}
        data |= {"image": content.image_url} if content.image_url else {}
        return {"data": {**data, **payload.DELIVERY_KEYS}, "android": android}
    android["notification"] = {"tag": _collapse_id(content)}
    return {"notification": shown, "data": {**data, **payload.DELIVERY_KEYS}, "android": android}


def _custom_android(content: Content, custom: dict[str, Any]) -> dict[str, Any]:
    given = _without_target(custom)
    blocks = {
        # A block's own data replaces the message's on the phone.
        name: {**block, "data": {**own, **payload.DELIVERY_KEYS}} if (own := _data_in(block)) else block
        for name, block in _android_blocks(given).items()
    }
    tree = {**given, **blocks, "data": _data_of(given)}
    if blocks.keys() - {"android"}:
        return tree  # FCM refuses both blocks in one message
    android = {
        "priority": _priority(content),
        "ttl": Slot(Placeholder.TTL),
        **blocks.get("android", {}),
    }
    if "notification" in given or "notification" in android:
        android["notification"] = {
            "tag": _collapse_id(content),
            **payload.as_object(android.get("notification")),
        }
    return {**tree, "android": android}


def _ios(content: Content) -> dict[str, Any]:
    root = {**payload.apple_root(content, push=payload.text_fields(content)), **payload.DELIVERY_KEYS}
    data = {**payload.strings(content.custom_data), **payload.DELIVERY_KEYS}
    if (
        payload.ValueSizes(Provider.FCM, None).encoded_bytes({**data, **root})
        > payload.MAX_BYTES - _SPARE_BYTES
    ):
        # The text is in `aps` too, where every SDK finds it.
        root = {**payload.apple_root(content), **payload.DELIVERY_KEYS}
    apns = {"headers": _headers(content, {}, shown=payload.is_shown(root)), "payload": root}
    return {"data": data, "apns": apns}


def _custom_ios(content: Content, custom: dict[str, Any]) -> dict[str, Any]:
    if "message" not in custom:
        headers = _headers(content, {}, shown=payload.is_shown(custom))
        apns = {"headers": headers, "payload": {**custom, **payload.DELIVERY_KEYS}}
        return {"data": dict(payload.DELIVERY_KEYS), "apns": apns}
    given = _without_target(custom)
    apns = payload.as_object(given.get("apns"))
    root = payload.as_object(apns.get("payload"))
    shown = _is_shown_on_iphone(given)
    if not root and not shown:
        root = {"aps": payload.silent_aps()}  # data alone: it wakes the app
    apns = {**apns, "headers": _headers(content, payload.as_object(apns.get("headers")), shown=shown)}
    if root:
        # Beside an `aps` of the author's; without one FCM builds the payload, and brings the keys in from `data`.
        apns["payload"] = {**root, **payload.DELIVERY_KEYS}
    return {**given, "data": _data_of(given), "apns": apns}


def _is_shown_on_iphone(given: dict[str, Any]) -> bool:
    root = payload.as_object(payload.as_object(given.get("apns")).get("payload"))
    return bool(payload.as_object(given.get("notification"))) or payload.is_shown(root)


def _headers(content: Content, given: dict[str, Any], *, shown: bool) -> dict[str, Any]:
    return {
        "apns-collapse-id": _collapse_id(content),
        "apns-expiration": "0" if content.ttl_s == 0 else Slot(Placeholder.EXPIRES_AT),
        **apns_headers.headers(content, given, shown=shown),
    }


def _without_target(custom: dict[str, Any]) -> dict[str, Any]:
    given = payload.as_object(custom.get("message", custom))
    return {key: value for key, value in given.items() if key not in _TARGETS}


def _data_in(block: dict[str, Any]) -> dict[str, Any]:
    return payload.as_object(block.get("data"))


def _data_of(given: dict[str, Any]) -> dict[str, Any]:
    return {**payload.strings(_data_in(given)), **payload.DELIVERY_KEYS}


def body(content: Content, platform: Platform, id_kind: IdKind, *, dry_run: bool) -> dict[str, Any]:
    """The whole request body as a tree with slots."""
    target = {id_kind.value: Slot(Placeholder.TOKEN)}
    tree: dict[str, Any] = {"message": {**target, **message(content, platform)}}
    return {"validate_only": True, **tree} if dry_run else tree


@dataclass(frozen=True, slots=True)
class _Letters:
    content: Content
    forms: dict[tuple[Platform, IdKind, bool], JsonTemplate]


class Composer:
    """Makes the requests of one project; what all devices of a message share is made once."""

    __slots__ = ("_lead", "_letters")

    def __init__(self, *, authority: str, project_id: str) -> None:
        self._lead = (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
            (b":path", f"/v1/projects/{project_id}/messages:send".encode()),
            (b"content-type", b"application/json"),
        )
        self._letters: _Letters | None = None

    def request(self, push: Push, authorization: bytes, now: datetime) -> Request:
        """One push; `authorization` is the header's value, and `now` what its time to live counts from."""
        ttl_s = int((push.keep_until - now).total_seconds())
        values = (
            b'"%b"' % push.delivery_id.encode(),
            json_text(push.token.value),
            b'"%b"' % push.identity.encode(),
            b'"%ds"' % min(max(ttl_s, 0), schema.MAX_TTL_S),
            b'"%d"' % int(push.keep_until.timestamp()),
        )
        return Request((*self._lead, (b"authorization", authorization)), self._form(push).fill(values))

    def _form(self, push: Push) -> JsonTemplate:
        letters = self._letters
        if letters is None or letters.content is not push.content:
            letters = self._letters = _Letters(push.content, {})
        key = (push.platform, push.id_kind, push.dry_run)
        form = letters.forms.get(key)
        if form is None:
            form = JsonTemplate(body(push.content, push.platform, push.id_kind, dry_run=push.dry_run))
            letters.forms[key] = form
        return form


def check_form(content: Content, platform: Platform) -> None:
    """Refuse, before sending, what FCM would refuse whatever its size.

    Raises:
        BadRequest: a custom payload is not of a form that FCM takes, or data takes a reserved key.
        TooLarge: the collapse id is over 64 bytes.
    """
    payload.require_collapse_id(content)
    custom = content.custom_payload.get(platform)
    if custom is not None:
        _require_form(custom, f"custom_payload.{platform}", platform)
        return
    _require_free_keys(content.custom_data, "custom_data")
    if platform is Platform.IOS:
        payload.require_free_root_keys(content)


def check_size(content: Content, platform: Platform, token: Token | None = None) -> None:
    """Measure the message for a device, or for one with a token of the usual length.

    Raises:
        TooLarge: it is over 4096 bytes.
    """
    payload.require_size(size_bytes(content, platform, token), content, platform, Provider.FCM)


def size_bytes(content: Content, platform: Platform, token: Token | None = None) -> int:
    """The size of the message for FCM: keys and values, and for an iPhone the payload that FCM builds for APNs."""
    return _size_bytes(message(content, platform), payload.ValueSizes(Provider.FCM, token))


def _size_bytes(tree: dict[str, Any], room: payload.ValueSizes) -> int:
    weight = sum(room.weight_bytes(tree.get(name)) for name in ("notification", "data"))
    for block in _android_blocks(tree).values():
        shown = payload.as_object(_field(block, "remote_notification")).get("notification")
        weight += sum(map(room.weight_bytes, (block.get("data"), block.get("notification"), shown)))
    root = payload.as_object(payload.as_object(tree.get("apns")).get("payload"))
    if not root:
        return weight
    # FCM puts data beside `aps`.
    return max(weight, room.encoded_bytes({**_data_in(tree), **root}))


def _require_form(custom: dict[str, Any], field: str, platform: Platform) -> None:
    if "message" not in custom and platform is Platform.IOS:
        payload.require_aps(custom, field)
        return
    if "message" in custom:
        field = f"{field}.message"
    given = payload.require_object(custom.get("message", custom), field)
    schema.require(given, schema.MESSAGE, field)
    blocks = _android_blocks(given)
    if len(blocks) > 1:
        [*_, last] = blocks
        raise BadRequest(f"{field}.{last}", "only one of android and android_v2 may be set.")
    _require_free_keys(_data_in(given), f"{field}.data")
    for name, block in blocks.items():
        _require_free_keys(_data_in(block), f"{field}.{name}.data")
    apns = payload.as_object(given.get("apns"))
    root = payload.as_object(apns.get("payload"))
    if root:
        payload.require_aps(root, f"{field}.apns.payload")
    headers = payload.as_object(apns.get("headers"))
    if platform is Platform.IOS:
        apns_headers.require(headers, f"{field}.apns.headers", shown=_is_shown_on_iphone(given))
    else:
        schema.require({"headers": headers}, _HEADERS, f"{field}.apns")


def _require_free_keys(data: dict[str, Any], field: str) -> None:
    for key in data:
        if key in _RESERVED or key.startswith(_RESERVED_PREFIXES) or key in payload.DELIVERY_KEYS:
            raise BadRequest(f"{field}.{key}", "is reserved: FCM, or we ourselves, use that key.")


def _android_blocks(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The Android blocks of a message, by the names that they have in it."""
    return {
        name: payload.as_object(block)
        for name, block in given.items()
        if schema.snake(name) in {"android", "android_v2"} and block is not None
    }


def _field(block: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    """A field by its name in snake_case, however it is spelled."""
    return next((value for spelled, value in block.items() if schema.snake(spelled) == name), None)
