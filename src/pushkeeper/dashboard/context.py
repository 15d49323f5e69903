"""What the pages are built with: the services, and what wiring adds of the providers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pushkeeper.web import cookies

if TYPE_CHECKING:
    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.broadcasts.creation import BroadcastRequest
    from pushkeeper.services.credentials import AppleApp, Credential, NewCredential
    from pushkeeper.services.services import Services
    from pushkeeper.web.cookies import Names


class Providers(Protocol):
    """What the providers know of credentials: whether a file is one, and whether it is good.

    Raises:
        BadRequest: from any method that reads a file; the message names what is wrong.
    """

    def fcm(
        self, service_account: bytes, *, endpoint_url: str | None, ca_pem: str | None
    ) -> NewCredential: ...
    def apns_key(self, p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential: ...
    def apns_certificate(self, pem: bytes, *, app: AppleApp) -> NewCredential: ...
    def vapid(
        self,
        *,
        subject: str,
        app: str,
        private_key: bytes | None,
        endpoint_url: str | None,
        ca_pem: str | None,
    ) -> NewCredential: ...
    async def probe(self, credential: Credential) -> Verdict: ...


class Caller(Protocol):
    """Calls a webhook's endpoint once, with a ping."""

    async def ping(self, workspace: WorkspaceId, webhook_id: int) -> tuple[bool, str]: ...


class ReadsBroadcasts(Protocol):
    """Reads a broadcast in the format of the native API, and whether to start it at once.

    Raises:
        BadRequest: a field is missing, malformed or unknown.
    """

    def __call__(self, body: dict[str, Any], /) -> tuple[BroadcastRequest, bool]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the dashboard calls: services, providers, and the addresses of itself and the simulator.

    Attributes:
        read_broadcast: validates form input like a request to the API.
        ending: set when the process stops: open streams end with it.
    """

    services: Services
    providers: Providers
    caller: Caller
    read_broadcast: ReadsBroadcasts
    url: str
    simulator_url: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cookies(self) -> Names:
        """How browsers keep what is theirs."""
        return cookies.names(secure=self.url.startswith("https:"))
