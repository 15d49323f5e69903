"""The nouns: what everything else is about."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType, TypeAlias
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from datetime import date

WorkspaceId = NewType("WorkspaceId", int)
PersonId = NewType("PersonId", int)
DeviceId = NewType("DeviceId", bytes)
RouteId = NewType("RouteId", int)
RouteKey: TypeAlias = tuple[WorkspaceId, RouteId]

_SHOWN_OF_A_TOKEN = 6


class Token(msgspec.Struct, frozen=True, gc=False):
    """A push token (or installation ID); its `repr` shows only the ends."""

    value: str

    def __repr__(self) -> str:
        return f"Token({self.masked})"

    __str__ = __repr__

    @property
    def masked(self) -> str:
        """The first and last characters, or nothing of a token too short to hide the rest of."""
        if len(self.value) < 4 * _SHOWN_OF_A_TOKEN:
            return "…"
        return f"{self.value[:_SHOWN_OF_A_TOKEN]}…{self.value[-_SHOWN_OF_A_TOKEN:]}"


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that no log, error or response may hold."""

    value: bytes

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


class Platform(StrEnum):
    """The platform of the device; `web` is a browser."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


PHONES = (Platform.IOS, Platform.ANDROID)


class IdKind(StrEnum):
    """The type of a device's token: FCM is moving from registration tokens to installation IDs."""

    TOKEN = "token"  # noqa: S105 - the name of a kind, not a secret
    FID = "fid"


_APNS_TOKEN = re.compile(r"[0-9A-Fa-f]+")
_FID = re.compile(r"[A-Za-z0-9_-]{22}")


def id_kind_of(token: Token) -> IdKind:
    """What a token is, by its shape: APNs' and FCM's own are far longer than an installation id."""
    return IdKind.FID if _FID.fullmatch(token.value) else IdKind.TOKEN


class TokenShape(StrEnum):
    """Which push service can have issued an iPhone's token, by its shape, or a browser's, by the host of its endpoint."""

    APNS = "apns"  # only hexadecimal digits
    FCM = "fcm"  # with a colon, or an installation id
    GOOGLE = "google"  # Chrome, Opera, Samsung Internet and others
    MOZILLA = "mozilla"
    APPLE = "apple"
    MICROSOFT = "microsoft"
    OTHER = "other"  # a browser's, of another push service
    ANY = ""  # an iPhone's of neither shape, or an Android device's


BROWSER_SERVICES = (
    TokenShape.GOOGLE,
    TokenShape.MOZILLA,
    TokenShape.APPLE,
    TokenShape.MICROSOFT,
    TokenShape.OTHER,
)
_ENDPOINTS = (
    (TokenShape.GOOGLE, re.compile(r"https://fcm\.googleapis\.com/")),
    (TokenShape.MOZILLA, re.compile(r"https://[a-z0-9.-]+\.push\.services\.mozilla\.com/")),
    (TokenShape.APPLE, re.compile(r"https://[a-z0-9.-]+\.push\.apple\.com/")),
    (TokenShape.MICROSOFT, re.compile(r"https://[a-z0-9.-]+\.notify\.windows\.com/")),
)


def token_shape(platform: Platform, token: Token) -> TokenShape:
    """The shape of a token; `token_shape` in SQL is the same."""
    if platform is Platform.WEB:
        return next((shape for shape, form in _ENDPOINTS if form.match(token.value)), TokenShape.OTHER)
    if platform is not Platform.IOS:
        return TokenShape.ANY
    if _APNS_TOKEN.fullmatch(token.value):
        return TokenShape.APNS
    if ":" in token.value or id_kind_of(token) is IdKind.FID:
        return TokenShape.FCM
    return TokenShape.ANY


class Environment(StrEnum):
    """Apple's two worlds; a token of one is unknown in the other."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Provider(StrEnum):
    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"


def device_id(workspace: WorkspaceId, token: Token) -> DeviceId:
    """The device's key: 16 bytes of SHA-256 over (workspace, token), so that registering needs no look-up."""
    salted = workspace.to_bytes(8, "big") + token.value.encode()
    return DeviceId(hashlib.sha256(salted).digest()[:16])


def push_identity(message_id: UUID, device: DeviceId) -> str:
    """One stable name for one message at one device, the same at every attempt: the text of a UUID.

    Sent as `apns-id`, `apns-collapse-id` and Android's `notification.tag`, so that a push sent twice replaces itself.
    """
    number = int.from_bytes(hashlib.sha256(message_id.bytes + device).digest()[:16], "big")
    # Version 8: made by a rule of our own (RFC 9562, 5.8).
    text = "%032x" % (number & _UUID_FREE_BITS | _UUID8_BITS)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_UUID8_BITS = (0x8 << 76) | (0x2 << 62)
_UUID_FREE_BITS = (1 << 128) - 1 ^ (0xF << 76) ^ (0x3 << 62)


def uuid7(unix_ms: int, random_bytes: bytes) -> UUID:
    """A time-ordered UUID (RFC 9562, 5.7) from milliseconds and ten random bytes."""
    raw = bytearray(unix_ms.to_bytes(6, "big") + random_bytes[:10])
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))


def minted_at(message_id: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((message_id.int >> 80) / 1000, tz=UTC)


def message_day(message_id: UUID) -> date:
    """The UTC day of the message, which is the partition that its pushes are in."""
    return minted_at(message_id).date()


class Priority(StrEnum):
    """The delivery priority of a push."""

    HIGH = "high"  # shown at once, and wakes a phone that sleeps
    NORMAL = "normal"  # shown when that costs the phone little


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of a push.

    Attributes:
        custom_payload: by platform, a body that replaces everything else.
        priority: None is high.
        collapse_id: pushes with the same ID replace each other on the phone; None: each stands alone.
        ttl_s: how long the push service stores it for an offline phone; None: as long as the message lives.
        platforms: overrides by platform.
    """

    title: str | None = None
    message: str | None = None
    link: str | None = None
    image_url: str | None = None
    sound: str | None = None
    custom_data: dict[str, Any] = msgspec.field(default_factory=dict)
    custom_payload: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    priority: Priority | None = None
    collapse_id: str | None = None
    ttl_s: int | None = None
    platforms: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)

    def on(self, platform: Platform) -> Content:
        """What it says on this platform."""
        if not self.platforms:
            return self
        return msgspec.structs.replace(self, **{**self.platforms.get(platform.value, {}), "platforms": {}})

    def has_content_for(self, platform: Platform) -> bool:
        """Whether there is a text, data or a payload of its own for this platform."""
        own = self.on(platform)
        return bool(own.title or own.message or platform.value in own.custom_payload)


class Browser(msgspec.Struct, frozen=True, gc=False):
    """What a push to a browser is encrypted and signed with.

    Attributes:
        p256dh: the browser's public key: an uncompressed point of P-256, 65 bytes.
        auth: the secret of its subscription, 16 bytes.
        vapid_key: the id of the VAPID key that it subscribed with; "" for the current one.
    """

    p256dh: bytes
    auth: bytes
    vapid_key: str = ""

    def __repr__(self) -> str:
        return "Browser(…)"

    __str__ = __repr__


class Push(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on its way to one device, as the device stood when the batch was claimed.

    Attributes:
        delivery_id: the text of the delivery that it belongs to.
        keep_until: until when the push service keeps it for a phone that is off.
        attempt: how many were charged before this one.
        urgent: it leaves before others that wait.
        browser: what it is encrypted with, of a browser alone.
    """

    # A struct and not a dataclass: one is made for each push, and this costs a tenth.
    message_id: UUID
    person_id: PersonId
    delivery_id: str
    device_id: DeviceId
    generation: int
    token: Token
    id_kind: IdKind
    platform: Platform
    registered_at: datetime
    content: Content
    expires_at: datetime
    keep_until: datetime
    attempt: int = 0
    dry_run: bool = False
    urgent: bool = False
    browser: Browser | None = None

    @property
    def identity(self) -> str:
        return push_identity(self.message_id, self.device_id)
