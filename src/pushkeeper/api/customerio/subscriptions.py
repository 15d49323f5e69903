"""The keys of a browser's subscription among the attributes of its device, as Customer.io's browser SDK sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.devices import browser_keys
from pushkeeper.core.devices.browser_services import endpoint_flaw
from pushkeeper.core.model import Browser, Platform
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from pushkeeper.services.people import Registration

P256DH, AUTH, VAPID_KEY = "webpush_p256dh", "webpush_auth", "webpush_vapid_key"
NAMES = frozenset({P256DH, AUTH, VAPID_KEY})


def read(given: dict[str, Any], field: str) -> Browser | None:
    """The keys among a device's attributes; None if it has none of them.

    `webpush_vapid_key` is ours: the public key that the browser subscribed with (`applicationServerKey`).

    Raises:
        BadRequest: one of the two is missing, or one is no key.
    """
    said = {name: given[name] for name in NAMES if given.get(name) not in {None, ""}}
    if not said:
        return None
    p256dh, auth, vapid_key = (browser_keys.decoded(said.get(name)) for name in (P256DH, AUTH, VAPID_KEY))
    if not browser_keys.is_point(p256dh):
        what = "the 65 bytes of a subscription's public key in URL-safe base64"
        raise BadRequest(f"{field}.{P256DH}", f"must be {what}.")
    if auth is None or len(auth) != browser_keys.AUTH_BYTES:
        raise BadRequest(
            f"{field}.{AUTH}", "must be the 16 bytes of a subscription's secret in URL-safe base64."
        )
    if VAPID_KEY in said and not browser_keys.is_point(vapid_key):
        raise BadRequest(
            f"{field}.{VAPID_KEY}", "must be the 65 bytes of a VAPID public key in URL-safe base64."
        )
    known = "" if vapid_key is None else browser_keys.key_id(vapid_key)
    return Browser(p256dh or b"", auth, known)


def require_for(given: Registration, *, token_field: str, field: str) -> None:
    """Refuse keys that are not a browser's, and an endpoint that is none.

    Raises:
        BadRequest: the device with keys is no browser, or its token is no https URL.
    """
    if given.browser is None:
        return
    if given.platform is not Platform.WEB:
        raise BadRequest(f"{field}.{P256DH}", "is only allowed for devices of platform web.")
    if flaw := endpoint_flaw(given.token.value):
        raise BadRequest(token_field, flaw)
