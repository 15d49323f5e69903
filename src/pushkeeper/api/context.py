"""What the routes of the APIs are built with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.client_address import Network
    from pushkeeper.core.model import Secret
    from pushkeeper.interprocess.metrics import SharedMetrics
    from pushkeeper.services.api_keys import Authenticator
    from pushkeeper.services.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the APIs call, and how they are reached.

    Attributes:
        url: the address at which clients reach the APIs.
        cell: which of several databases behind one address this is.
        metrics_token: opens `/metrics` to callers that are not on this machine; without one nobody else is let in.
        trusted_proxies: believed when they say who called them.
        only_tls: have browsers use nothing but TLS for this host from now on.
        outbound_addresses: those that webhooks come from.
        try_webpush: serve the page where a browser becomes a device.
        figures: those of all processes of this service, where it has several.
    """

    services: Services
    keys: Authenticator
    url: str
    cell: int = 0
    metrics_token: Secret | None = None
    trusted_proxies: Sequence[Network] = ()
    only_tls: bool = False
    outbound_addresses: Sequence[str] = ()
    try_webpush: bool = False
    figures: SharedMetrics | None = None
