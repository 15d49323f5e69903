"""Imports as a worker does them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.services.imports.service import Imports
from pushkeeper.wiring.providers import open_sender
from pushkeeper.worker.jobs.fcm_asker import FcmAsker
from pushkeeper.worker.jobs.imports import Importer
from pushkeeper.worker.jobs.runner import Jobs
from support.jobs import ANYWHERE, VAULT

if TYPE_CHECKING:
    from pushkeeper.core.destination import Destinations
    from pushkeeper.store.db.database import Database


def importer(database: Database, destinations: Destinations = ANYWHERE) -> Importer:
    """How a worker imports files."""
    asker = FcmAsker(database, VAULT, open_sender)
    return Importer(Imports(database, VAULT), asker, destinations=destinations)


async def work(database: Database, destinations: Destinations = ANYWHERE) -> None:
    """Import all files that wait for it, to their ends."""
    jobs = Jobs(database, importer(database, destinations))
    await jobs.finish()
    await jobs.aclose()
