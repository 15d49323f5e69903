"""The doctor: checks everything that an installation depends on, changes nothing, and says what to do."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.services.doctor import device_status, platform, sending
from pushkeeper.services.doctor.finding import Finding, State, wrong
from pushkeeper.services.doctor.replica import of_replica

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.config import Settings
    from pushkeeper.services.doctor.sending import Prober
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.retention import Keep

log = logger("doctor")

__all__ = ["Doctor", "Finding", "State"]


class Doctor:
    """Examines one installation."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        settings: Settings,
        keep: Keep,
        open_prober: Callable[[Credential], Prober],
    ) -> None:
        self._database = database
        self._vault = vault
        self._settings = settings
        self._keep = keep
        self._open_prober = open_prober

    async def examine(self, *, probes: bool, whole_history: bool = False) -> list[Finding]:
        """All findings, in order of dependency; with `probes`, the providers are checked too.

        In large workspaces only a sample of device histories is checked, unless `whole_history` is set.

        Without this release's schema, checks that need it are skipped.
        """
        found = [
            platform.python(sys.version_info[:3]),
            *platform.folder(self._settings),
            *await self._safely("database", self._of_server),
        ]
        if any(
            finding.state is State.WRONG and finding.check in {"database", "migrations"} for finding in found
        ):
            return found
        for name, check in self._checks(whole_history=whole_history):
            found += await self._safely(name, check)
        opened = await sending.keys(self._database, self._vault, self._open_prober)
        found += sending.of_keys(opened, datetime.now(UTC))
        if probes:
            found += await sending.of_probes(opened)
        return found

    def _checks(self, *, whole_history: bool) -> list[tuple[str, Callable[[], Awaitable[list[Finding]]]]]:
        """The checks of a database with the current schema."""
        database = self._database
        return [
            ("replica", lambda: of_replica(database)),
            ("partitions", lambda: platform.partitions(database, self._keep)),
            ("workers", lambda: sending.of_work(database)),
            ("sending", lambda: sending.of_pauses(database)),
            ("routes", lambda: sending.of_routes(database)),
            ("webhooks", lambda: sending.of_webhooks(database)),
            ("jobs", lambda: device_status.of_jobs(database)),
            ("rows", lambda: device_status.of_rows(database)),
            ("ledger", lambda: device_status.of_ledger(database, whole=whole_history)),
        ]

    async def _of_server(self) -> list[Finding]:
        return [
            *await platform.server(self._database, self._settings),
            *await platform.clock(self._database),
            *await platform.schema(self._database),
        ]

    async def _safely(self, name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        try:
            with isolated(log, "check_failed", passing=Unreachable, check=name) as tried:
                return await check()
        except Unreachable as error:
            return [wrong(name, error.message, "see that PostgreSQL runs, and that it can be reached")]
        trouble = f"could not be checked ({type(tried.error).__name__})"
        return [wrong(name, trouble, "report the error, with the log")]
