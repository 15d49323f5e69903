"""The worker, and what it does beside the sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.store.db.retention import Keep
from pushkeeper.wiring.checks import CHECKS_OF_PROVIDERS
from pushkeeper.wiring.providers import open_sender
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
    from pushkeeper.config import Settings
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.wiring.store import Store
    from pushkeeper.worker.provider_clients import OnVerdicts, ProviderClient
    from pushkeeper.worker.upkeep import PeriodicTask


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


def keep(settings: Settings) -> Keep:
    """For how long the settings say that each is kept."""
    return Keep(
        pushes_days=settings.keep_pushes_days,
        history_days=settings.keep_history_days,
        events_days=settings.keep_events_days,
        exports_days=settings.keep_exports_days,
        outbox_days=settings.keep_outbox_days,
    )
