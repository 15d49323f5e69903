"""What a client or a browser reaches: the HTTP APIs, and the dashboard beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper.api import app
from pushkeeper.api.context import Context
from pushkeeper.config import Settings
from pushkeeper.core.client_address import networks_of
from pushkeeper.services.api_keys import Authenticator
from pushkeeper.services.schemas.broadcasts import request_of
from pushkeeper.wiring import providers
from pushkeeper.worker.jobs.webhooks import Poster
from pushkeeper.worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from starlette.routing import Route
    from starlette.types import ASGIApp

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.destination import Destinations
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context as DashboardContext
    from pushkeeper.interprocess import Place
    from pushkeeper.store.admin.credentials import AppleApp, Credential, NewCredential
    from pushkeeper.wiring.store import Store


def api(
    opened: Store,
    url: str,
    settings: Settings | None = None,
    stopping: asyncio.Event | None = None,
    place: Place | None = None,
) -> ASGIApp:
    """The HTTP APIs and, unless the settings say otherwise, the dashboard, told at which address they are reached.

    What is still being sent to browsers ends when `stopping` is set. `place` is this process's, where the service has several.
    """
    settings = settings or Settings(data_dir=Path())
    return app.build(
        Context(
            services=opened.services,
            keys=Authenticator(
                opened.database,
                cell=opened.cell,
                requests_per_s=settings.requests_per_s,
                limits=place.limits if place else None,
            ),
            url=url,
            cell=opened.cell,
            metrics_token=settings.metrics_token,
            trusted_proxies=networks_of(settings.trusted_proxies),
            # Not with a certificate of our own making: browsers would ask every other service on this machine for TLS too.
            only_tls=settings.tls_cert is not None,
            outbound_addresses=settings.outbound_addresses,
            try_webpush=settings.try_webpush,
            figures=place.figures if place else None,
        ),
        _dashboard_routes(opened, url, settings, stopping or asyncio.Event()) if settings.dashboard else (),
    )


def _dashboard_routes(opened: Store, url: str, settings: Settings, stopping: asyncio.Event) -> list[Route]:
    """What workers and commands have no use for is not loaded by them."""
    from pushkeeper.dashboard import app as dashboard

    return dashboard.all_routes(dashboard_context(opened, url, settings, stopping))


def dashboard_context(
    opened: Store, url: str, settings: Settings, stopping: asyncio.Event | None = None
) -> DashboardContext:
    """What the dashboard calls."""
    from pushkeeper.dashboard.context import Context as Pages

    return Pages(
        services=opened.services,
        providers=_Credentials(),
        caller=_Caller(opened, settings.destinations),
        read_broadcast=request_of,
        url=url,
        simulator_url=settings.simulator_url,
        stopping=stopping or asyncio.Event(),
    )


class _Credentials:
    """What the providers know of credentials, for the dashboard, which knows no provider."""

    def fcm(self, service_account: bytes, *, endpoint_url: str | None, ca_pem: str | None) -> NewCredential:
        return providers.fcm_credential(service_account, endpoint_url=endpoint_url, ca_pem=ca_pem)

    def apns_key(self, p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential:
        return providers.apns_key(p8, key_id=key_id, team_id=team_id, app=app)

    def apns_certificate(self, pem: bytes, *, app: AppleApp) -> NewCredential:
        return providers.apns_certificate(pem, app)

    def vapid(
        self,
        *,
        subject: str,
        app: str,
        private_key: bytes | None,
        endpoint_url: str | None,
        ca_pem: str | None,
    ) -> NewCredential:
        return providers.vapid_credential(
            subject=subject, app=app, private_key=private_key, endpoint_url=endpoint_url, ca_pem=ca_pem
        )

    async def probe(self, credential: Credential) -> Verdict:
        """The provider's response to a push to a token that nobody has."""
        sender = providers.open_sender(credential, lambda _: None)
        try:
            return await sender.probe()
        finally:
            await sender.aclose(0.0)


class _Caller:
    """Calls a webhook's endpoint once, for the dashboard, which calls nobody."""

    def __init__(self, opened: Store, destinations: Destinations) -> None:
        self._opened = opened
        self._destinations = destinations

    async def ping(self, workspace: WorkspaceId, webhook_id: int) -> tuple[bool, str]:
        poster = Poster(
            self._opened.database, self._opened.vault, WorkerMetrics(), destinations=self._destinations
        )
        try:
            return await poster.ping(workspace, webhook_id)
        finally:
            await poster.aclose()
