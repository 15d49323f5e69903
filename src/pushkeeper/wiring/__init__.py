"""The composition root: what constructs everything, and nothing else does.

`store` opens the store and builds the services on it, `surfaces` builds the APIs and the dashboard, `providers` the clients of
the push services; here are the worker and the doctor.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pushkeeper.errors import Misconfigured
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.services.doctor import Doctor
from pushkeeper.store.db.retention import Keep
from pushkeeper.store.db.server_checks import require_notifications
from pushkeeper.wiring.providers import (
    CHECKS,
    CHECKS_OF_PROVIDERS,
    AppleApp,
    apns_certificate,
    apns_key,
    fcm_credential,
    open_sender,
    vapid_credential,
)
from pushkeeper.wiring.store import Store, fitted, only_server, postgres, shown_url, store
from pushkeeper.wiring.surfaces import api, dashboard_context
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.erasures import Eraser
from pushkeeper.worker.jobs.estimates import Estimator
from pushkeeper.worker.jobs.exports import Exporter
from pushkeeper.worker.jobs.fcm_asker import FcmAsker
from pushkeeper.worker.jobs.imports import Importer
from pushkeeper.worker.jobs.recipient_files import Files
from pushkeeper.worker.jobs.reports import Counting
from pushkeeper.worker.jobs.retention import Retention
from pushkeeper.worker.jobs.runner import Jobs, Work
from pushkeeper.worker.jobs.webhooks import Poster
from pushkeeper.worker.metrics import WorkerMetrics
from pushkeeper.worker.provider_clients import Providers
from pushkeeper.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.config import Settings
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.worker.provider_clients import OnVerdicts, ProviderClient
    from pushkeeper.worker.upkeep import PeriodicTask

__all__ = [
    "CHECKS",
    "AppleApp",
    "Store",
    "api",
    "apns_certificate",
    "apns_key",
    "dashboard_context",
    "doctor",
    "fcm_credential",
    "fitted",
    "keep",
    "only_server",
    "open_sender",
    "periodic_tasks",
    "postgres",
    "require_database",
    "require_notifications",
    "shown_url",
    "store",
    "vapid_credential",
    "worker",
]


def worker(opened: Store, settings: Settings) -> Worker:
    """A worker."""

    def open_one(credential: Credential, on_verdicts: OnVerdicts) -> ProviderClient:
        return open_sender(
            credential,
            on_verdicts,
            outage_wait_s=settings.apns_outage_wait_s,
            destinations=settings.destinations,
            webpush_hosts=settings.webpush_hosts,
        )

    providers, metrics = Providers(open_one, CHECKS_OF_PROVIDERS), WorkerMetrics()
    return Worker(
        opened.database,
        opened.vault,
        providers,
        opened.renderer,
        periodic_tasks=periodic_tasks(opened, settings, metrics),
        metrics=metrics,
    )


def periodic_tasks(opened: Store, settings: Settings, metrics: WorkerMetrics) -> tuple[PeriodicTask, ...]:
    """What a worker does beside the sending."""
    destinations = settings.destinations
    works: tuple[Work, ...] = (
        Poster(opened.database, opened.vault, metrics, destinations=destinations),
        Planner(Planning(opened.database)),
        Files(opened.database, destinations=destinations),
        Estimator(opened.services.broadcasts.estimates),
        Exporter(opened.services.customerio_exports),
        Importer(
            opened.services.imports,
            FcmAsker(opened.database, opened.vault, open_sender),
            destinations=destinations,
        ),
    )
    return (
        *(Jobs(opened.database, work, metrics) for work in works),
        Eraser(opened.database),
        Retention(opened.database, keep(settings), metrics),
        Counting(opened.services.reach, opened.services.insights, opened.services.accounts, metrics),
    )


def require_database(settings: Settings) -> None:
    """Check that there is a database to read: a mistyped folder is not to become one.

    Raises:
        Misconfigured: the data folder has no database, and no database URL is set.
    """
    folder = settings.data_dir
    if settings.database_url is None and not (folder / "postgres" / "PG_VERSION").exists():
        raise Misconfigured(
            f"data folder: {folder} has no database. Set --data or PUSHKEEPER_DATA_DIR to the folder of your service; "
            "to create one, run `pushkeeper serve` or `pushkeeper workspace create`"
        )


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

    def open_prober(credential: Credential) -> ProviderClient:
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
