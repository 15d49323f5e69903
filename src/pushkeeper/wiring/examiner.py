"""The doctor, on an installation of which it makes nothing that is not there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pushkeeper.errors import Misconfigured
from pushkeeper.services.doctor import Doctor
from pushkeeper.wiring.providers import open_sender
from pushkeeper.wiring.store import require_database, store
from pushkeeper.wiring.workers import keep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.config import Settings
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.worker.provider_clients import ProviderClient


@asynccontextmanager
async def doctor(settings: Settings) -> AsyncIterator[Doctor]:
    """Who examines an installation, and makes nothing of it that is not there.

    Raises:
        Misconfigured: no service has run here yet, or the data folder, secret key or database cannot be used.
        Unreachable: the database URL does not answer.
    """
    require_database(settings)
    if settings.secret_key is None and not (settings.data_dir / "secret.key").exists():
        raise Misconfigured(
            f"secret key: neither PUSHKEEPER_SECRET_KEY nor {settings.data_dir / 'secret.key'} is there to open credentials with"
        )

    def open_prober(credential: Credential) -> ProviderClient:
        return open_sender(credential, lambda _: None)

    async with store(settings, migrating=False) as opened:
        yield Doctor(
            opened.database, opened.vault, settings=settings, keep=keep(settings), open_prober=open_prober
        )
