"""The composition root: the only file that constructs everything."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pushkeeper.api import app
from pushkeeper.api.auth import Keys
from pushkeeper.audience import Audiences
from pushkeeper.broadcasts import Broadcasts
from pushkeeper.census import Census
from pushkeeper.config import Settings
from pushkeeper.core.model import Environment, Platform, Provider, Secret
from pushkeeper.doctor import Doctor
from pushkeeper.errors import BadRequest, Misconfigured
from pushkeeper.explanations import Explanations
from pushkeeper.exports import Exports
from pushkeeper.ledger import Ledger
from pushkeeper.planning import Planning
from pushkeeper.providers import signing
from pushkeeper.providers.apns import message as apns_message
from pushkeeper.providers.apns.client import ApnsClient
from pushkeeper.providers.apple import OUTAGE_WAIT_S
from pushkeeper.providers.fcm import message as fcm_message
from pushkeeper.providers.fcm.client import FcmClient
from pushkeeper.registry import Registry
from pushkeeper.reporting import Reporting
from pushkeeper.routing import Routing
from pushkeeper.sending import Sending
from pushkeeper.store import credentials, migrate, vault
from pushkeeper.store.credentials import NewCredential
from pushkeeper.store.database import Database
from pushkeeper.store.embedded import EmbeddedPostgres
from pushkeeper.store.retention import Keep
from pushkeeper.templates import Templates
from pushkeeper.triggers import Triggers
from pushkeeper.users import Users
from pushkeeper.webhooks import Webhooks
from pushkeeper.worker.counting import Counting
from pushkeeper.worker.exporter import Exporter
from pushkeeper.worker.figures import Figures
from pushkeeper.worker.loop import Worker
from pushkeeper.worker.planner import Planner
from pushkeeper.worker.retention import Retention
from pushkeeper.worker.senders import Providers
from pushkeeper.worker.webhooks import Poster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.routing import Route
    from starlette.types import ASGIApp

    from pushkeeper.core.outcome import Verdict
    from pushkeeper.dashboard.rooms import Rooms as DashboardRooms
    from pushkeeper.store.credentials import Credential
    from pushkeeper.store.vault import Vault
    from pushkeeper.worker.senders import OnVerdicts, Sender

CHECKS = {
    Platform.IOS: (apns_message.check, fcm_message.check),
    Platform.ANDROID: (fcm_message.check,),
}
AppleApp = credentials.AppleApp
_CHECKS_OF_PROVIDERS = {Provider.APNS: apns_message.check, Provider.FCM: fcm_message.check}


@dataclass(frozen=True, slots=True)
class Store:
    """An open, migrated database.

    `embedded` is the server that runs in our data folder, if it does; `applied` are the migrations just applied.
    """

    database: Database
    vault: Vault
    embedded: EmbeddedPostgres | None
    applied: tuple[int, ...]


@asynccontextmanager
async def store(settings: Settings, *, connections: int = 4, migrating: bool = True) -> AsyncIterator[Store]:
    """Open the store, starting the embedded PostgreSQL where no database URL is set.

    Unless it is told not to, it brings the schema up to date.

    Raises:
        Misconfigured: the data folder, the secret key or the database cannot be used.
        Unreachable: the database URL does not answer.
    """
    embedded = EmbeddedPostgres(settings.data_dir) if settings.database_url is None else None
    url = settings.database_url or ""
    try:
        if embedded is not None:
            url = await asyncio.to_thread(embedded.start)
        key = (
            vault.key_of_folder(settings.data_dir)
            if settings.secret_key is None
            else vault.read_key(settings.secret_key.value.decode())
        )
        database = await Database.open(url, connections=connections)
        try:
            applied = await migrate.migrate(database) if migrating else []
            yield Store(
                database, vault.Vault(key), embedded, tuple(migration.number for migration in applied)
            )
        finally:
            await database.close()
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)


def audiences(opened: Store) -> Audiences:
    return Audiences(opened.database)


def registry(opened: Store) -> Registry:
    return Registry(opened.database)


def sending(opened: Store) -> Sending:
    return Sending(opened.database, CHECKS)


def broadcasts(opened: Store) -> Broadcasts:
    return Broadcasts(opened.database, CHECKS)


def explanations(opened: Store) -> Explanations:
    return Explanations(opened.database)


def ledger(opened: Store) -> Ledger:
    return Ledger(opened.database)


def triggers(opened: Store) -> Triggers:
    return Triggers(opened.database, CHECKS)


def reporting(opened: Store) -> Reporting:
    return Reporting(opened.database)


def routing(opened: Store) -> Routing:
    return Routing(opened.database)


def users(opened: Store) -> Users:
    return Users(opened.database)


def census(opened: Store) -> Census:
    return Census(opened.database)


def api(opened: Store, url: str, settings: Settings | None = None) -> ASGIApp:
    """The HTTP APIs and, unless the settings say otherwise, the dashboard, told at which address they are reached."""
    settings = settings or Settings(data_dir=Path())
    return app.build(
        app.Rooms(
            registry=registry(opened),
            audiences=audiences(opened),
            sending=sending(opened),
            broadcasts=broadcasts(opened),
            triggers=triggers(opened),
            ledger=ledger(opened),
            explanations=explanations(opened),
            exports=Exports(opened.database, opened.vault),
            reporting=reporting(opened),
            routing=routing(opened),
            templates=Templates(opened.database),
            webhooks=Webhooks(opened.database, opened.vault),
            database=opened.database,
            keys=Keys(opened.database, requests_per_s=settings.requests_per_s),
            url=url,
            metrics_token=settings.metrics_token,
        ),
        _dashboard_routes(opened, url, settings) if settings.dashboard else (),
    )


def _dashboard_routes(opened: Store, url: str, settings: Settings) -> list[Route]:
    """What workers and commands have no use for is not loaded by them."""
    from pushkeeper.dashboard import app as dashboard

    return dashboard.all_routes(dashboard_rooms(opened, url, settings))


def dashboard_rooms(opened: Store, url: str, settings: Settings) -> DashboardRooms:
    """What the dashboard calls."""
    from pushkeeper.dashboard.rooms import Rooms

    return Rooms(
        users=users(opened),
        census=census(opened),
        registry=registry(opened),
        audiences=audiences(opened),
        sending=sending(opened),
        reporting=reporting(opened),
        routing=routing(opened),
        templates=Templates(opened.database),
        webhooks=Webhooks(opened.database, opened.vault),
        providers=_Credentials(),
        caller=_Caller(opened, may_be_private=settings.webhooks_may_be_private),
        database=opened.database,
        vault=opened.vault,
        url=url,
        simulator_url=settings.simulator_url,
    )


def shown_url(opened: Store) -> str:
    """The database's address without its password."""
    parts = urlsplit(opened.database.url)
    if not parts.password:
        return opened.database.url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@", 1)))


def worker(opened: Store, settings: Settings) -> Worker:
    """A worker; the process's garbage collector is told that what is there already stays.

    A push makes few objects that can be in a cycle: to look for those as often as Python does by itself is a tenth of
    all that a worker does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

    def open_one(credential: Credential, on_verdicts: OnVerdicts) -> Sender:
        return open_sender(credential, on_verdicts, outage_wait_s=settings.apns_outage_wait_s)

    may_be_private, figures = settings.webhooks_may_be_private, Figures()
    chores = (
        Poster(opened.database, opened.vault, figures, may_be_private=may_be_private),
        Planner(opened.database, Planning(opened.database), may_be_private=may_be_private),
        Exporter(Exports(opened.database, opened.vault)),
        Retention(opened.database, keep(settings)),
        Counting(census(opened), users(opened)),
    )
    providers = Providers(open_one, _CHECKS_OF_PROVIDERS)
    return Worker(opened.database, opened.vault, providers, chores=chores, figures=figures)


@asynccontextmanager
async def doctor(settings: Settings) -> AsyncIterator[Doctor]:
    """Who examines an installation, and makes nothing of it that is not there.

    Raises:
        Misconfigured: no service has run here yet, or the data folder, secret key or database cannot be used.
        Unreachable: the database URL does not answer.
    """
    folder = settings.data_dir
    if settings.database_url is None and not (folder / "postgres" / "PG_VERSION").exists():
        raise Misconfigured(f"data folder: no service has run in {folder} yet; `pushkeeper serve` makes it")
    if settings.secret_key is None and not (folder / "secret.key").exists():
        raise Misconfigured(
            f"secret key: neither PUSHKEEPER_SECRET_KEY nor {folder / 'secret.key'} is there to open credentials with"
        )

    def open_prober(credential: Credential) -> Sender:
        return open_sender(credential, lambda _: None)

    async with store(settings, migrating=False) as opened:
        yield Doctor(
            opened.database, opened.vault, settings=settings, keep=keep(settings), open_prober=open_prober
        )


def keep(settings: Settings) -> Keep:
    """For how long the settings say that each is kept."""
    return Keep(
        pushes_days=settings.keep_pushes_days,
        history_days=settings.keep_history_days,
        events_days=settings.keep_events_days,
        exports_days=settings.keep_exports_days,
        outbox_days=settings.keep_outbox_days,
    )


def open_sender(
    credential: Credential, on_verdicts: OnVerdicts, *, outage_wait_s: float = OUTAGE_WAIT_S
) -> Sender:
    """The provider's client for a stored credential; `outage_wait_s` is what a push waits after APNs was in trouble.

    Raises:
        BadRequest, Misconfigured: what is stored is not usable.
    """
    secret = credential.secret.value
    if credential.provider is Provider.FCM:
        return FcmClient(
            signing.ServiceAccount.parse(secret),
            on_verdicts,
            endpoint_url=credential.endpoint_url,
            ca_pem=credential.ca_pem,
        )
    signer: signing.AppleKey | signing.AppleCertificate
    if credential.kind == "key":
        facts = credential.facts
        signer = signing.AppleKey.parse(secret, key_id=facts["key_id"], team_id=facts["team_id"])
    else:
        signer = signing.AppleCertificate.parse(secret)
    return ApnsClient(
        signer,
        on_verdicts,
        topic=credential.app,
        environment=credential.environment,
        endpoint_url=credential.endpoint_url,
        ca_pem=credential.ca_pem,
        outage_wait_s=outage_wait_s,
    )


def fcm_credential(service_account: bytes, *, endpoint_url: str | None, ca_pem: str | None) -> NewCredential:
    """A service account, checked.

    Raises:
        BadRequest: it is not one; the message names what is missing.
    """
    account = signing.ServiceAccount.parse(service_account)
    return NewCredential(
        provider=Provider.FCM,
        kind="service_account",
        app=account.project_id,
        environment=Environment.PRODUCTION,
        facts={"project_id": account.project_id, "client_email": account.client_email},
        secret=Secret(service_account),
        endpoint_url=_checked_url(endpoint_url),
        ca_pem=_checked_ca(ca_pem),
    )


def apns_key(p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential:
    """A signing key, checked.

    Raises:
        BadRequest: it is not one, or its id or team's id is missing.
    """
    signing.AppleKey.parse(p8, key_id=key_id, team_id=team_id)
    return _apns("key", p8, {"key_id": key_id, "team_id": team_id}, app)


def apns_certificate(pem: bytes, app: AppleApp) -> NewCredential:
    """A certificate with its private key, checked.

    Raises:
        BadRequest: it is not that.
    """
    certificate = signing.AppleCertificate.parse(pem)
    return _apns("certificate", pem, {"expires_at": certificate.expires_at}, app)


class _Credentials:
    """What the providers know of credentials, for the dashboard, which knows no provider."""

    def fcm(self, service_account: bytes, *, endpoint_url: str | None, ca_pem: str | None) -> NewCredential:
        return fcm_credential(service_account, endpoint_url=endpoint_url, ca_pem=ca_pem)

    def apns_key(self, p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential:
        return apns_key(p8, key_id=key_id, team_id=team_id, app=app)

    def apns_certificate(self, pem: bytes, *, app: AppleApp) -> NewCredential:
        return apns_certificate(pem, app)

    async def probe(self, credential: Credential) -> Verdict:
        """What the provider says of a push to a token that nobody has."""
        sender = open_sender(credential, lambda _: None)
        try:
            return await sender.probe()
        finally:
            await sender.aclose(0.0)


class _Caller:
    """Calls a webhook's endpoint once, for the dashboard, which calls nobody."""

    def __init__(self, opened: Store, *, may_be_private: bool) -> None:
        self._opened = opened
        self._may_be_private = may_be_private

    async def ping(self, webhook_id: int) -> tuple[bool, str]:
        poster = Poster(
            self._opened.database, self._opened.vault, Figures(), may_be_private=self._may_be_private
        )
        try:
            return await poster.ping(webhook_id)
        finally:
            await poster.aclose()


def _apns(kind: str, secret: bytes, facts: dict[str, object], app: AppleApp) -> NewCredential:
    if not app.topic.strip():
        raise BadRequest("topic", "--topic: the app's bundle id is needed")
    return NewCredential(
        provider=Provider.APNS,
        kind=kind,
        app=app.topic,
        environment=app.environment,
        facts=facts,
        secret=Secret(secret),
        endpoint_url=_checked_url(app.endpoint_url),
        ca_pem=_checked_ca(app.ca_pem),
    )


def _checked_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise BadRequest("endpoint", "--endpoint: expected https://host[:port]")
    return url


def _checked_ca(pem: str | None) -> str | None:
    if pem is not None and "-----BEGIN CERTIFICATE-----" not in pem:
        raise Misconfigured("--ca: there is no certificate in it")
    return pem
