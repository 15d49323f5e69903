"""Provider clients: one for each credential, opened when it is first needed, and again when the credential changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pushkeeper.errors import BadRequest, Misconfigured, NotFound, Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.admin import credentials
from pushkeeper.worker.jobs import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import Content, Platform, Provider, Push, Token
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route

log = logger("senders")

_NOT_USABLE = (BadRequest, Misconfigured, NotFound)

OnVerdicts: TypeAlias = "Callable[[Sequence[tuple[Push, Verdict]]], None]"


class ProviderClient(Protocol):
    """A provider's client: every push handed in is answered exactly once, through `OnVerdicts`, in groups.

    A `send` that raises has taken none of its pushes.
    """

    def send(self, pushes: Sequence[Push]) -> None: ...
    def withdraw(self, unwanted: Callable[[Push], bool]) -> int: ...
    async def probe(self) -> Verdict: ...
    async def aclose(self, drain_s: float) -> None: ...


OpenClient: TypeAlias = "Callable[[Credential, OnVerdicts], ProviderClient]"


class Check(Protocol):
    """Checks a content for a push service on a platform, raising BadRequest or TooLarge."""

    def check_form(self, content: Content, platform: Platform, /) -> None: ...
    def check_size(self, content: Content, platform: Platform, token: Token, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Providers:
    """How a credential's client is opened, and what each provider has to say against a content (by BadRequest)."""

    open: OpenClient
    checks: Mapping[Provider, Check]


class ProviderClients:
    """The clients of one worker, by credential."""

    def __init__(
        self, database: Database, vault: Vault, open_client: OpenClient, on_verdicts: OnVerdicts
    ) -> None:
        self._database = database
        self._vault = vault
        self._open_client = open_client
        self._on_verdicts = on_verdicts
        self._open: dict[int, tuple[datetime, ProviderClient]] = {}
        self._draining: set[asyncio.Task[None]] = set()

    def __getitem__(self, credential_id: int) -> ProviderClient:
        return self._open[credential_id][1]

    async def ready(self, route: Route, *, drain_s: float) -> str | None:
        """Make a client for the route's credential ready; why that cannot be, None when it is.

        A changed credential gets a new one; the former is closed once its answers are there, or after `drain_s`.
        """
        opened_at, former = self._open.get(route.credential_id, (None, None))
        if opened_at == route.changed_at:
            return None
        try:
            # A faulty credential must not stop the others.
            with isolated(
                log, "credential_not_readable", passing=(*_NOT_USABLE, Unreachable), route=route.name
            ) as tried:
                credential = await credentials.read(
                    self._database, self._vault, route.workspace_id, route.credential_id
                )
                client = self._open_client(credential, self._on_verdicts)
        except _NOT_USABLE as error:
            log.warning("credential_not_usable", route=route.name, error=error.message)
            return error.message
        if tried.error is not None:
            return failures.reason(tried.error)
        self._open[route.credential_id] = (route.changed_at, client)
        if former is not None:
            drained = asyncio.create_task(_closed(former, drain_s))
            self._draining.add(drained)
            drained.add_done_callback(self._draining.discard)
        return None

    def withdraw(self, credential_id: int, unwanted: Callable[[Push], bool]) -> int:
        """Withdraw pushes that have not left yet; each is answered as not processed. Returns how many."""
        opened = self._open.get(credential_id)
        return 0 if opened is None else opened[1].withdraw(unwanted)

    def withdraw_everywhere(self, unwanted: Callable[[Push], bool]) -> int:
        """The same with every client."""
        return sum(client.withdraw(unwanted) for _, client in self._open.values())

    async def aclose(self, drain_s: float) -> None:
        """Close them all once their answers are there, or after so long."""
        clients, self._open = self._open, {}
        await asyncio.gather(*(_closed(client, drain_s) for _, client in clients.values()), *self._draining)


async def _closed(client: ProviderClient, drain_s: float) -> None:
    with isolated(log, "sender_not_closed"):
        await client.aclose(drain_s)
