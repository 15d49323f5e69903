"""Which push service a browser's endpoint belongs to, and what is wrong with an endpoint. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.core.destination import url_fault

if TYPE_CHECKING:
    from collections.abc import Collection

_HTTPS_PORT = 443
_LONGEST_NAME = 254
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The hosts of the browsers' own push services; a leading dot stands for all names below it.
SERVICES = (
    "fcm.googleapis.com",
    ".push.services.mozilla.com",
    ".push.apple.com",
    ".notify.windows.com",
)


def endpoint_flaw(endpoint: str) -> str | None:
    """What is wrong with the endpoint of a subscription, to follow the name of its field; None if nothing is."""
    if fault := url_fault(endpoint):
        return f"must be the endpoint of a push subscription: {fault}"
    parts = urlsplit(endpoint)
    if parts.scheme != "https":
        return "must be an https URL, as the endpoint of every push subscription is"
    if parts.fragment:
        return "must be an https URL without a fragment"
    return None


def is_allowed(host: str, port: int, besides: Collection[str] = ()) -> bool:
    """Whether pushes may go there: to the push service of a browser's vendor, or to a host that the operator allows besides.

    `besides` are names in lower case; one with a leading dot stands for all names below it.
    """
    plain = host.rstrip(".").lower()
    return (port == _HTTPS_PORT and _is_among(plain, SERVICES)) or _is_among(plain, besides)


def is_name_of_service(text: str) -> bool:
    """Whether a text can allow a push service: a host name in lower case, or a dot and the end of one."""
    labels = text.removeprefix(".").split(".")
    return len(text) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, labels))


def _is_among(host: str, names: Collection[str]) -> bool:
    return any(host.endswith(name) if name.startswith(".") else host == name for name in names)
