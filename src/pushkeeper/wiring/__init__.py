"""The composition root: what constructs everything, and nothing else does.

`store` opens the store and builds the services on it, `surfaces` builds the APIs and the dashboard, `providers` the clients of
the push services, `checks` what these refuse, `workers` the worker, and `examiner` the doctor. What a command has no use for is not loaded by it: most
need the store alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushkeeper.store.db.server_checks import require_notifications
from pushkeeper.wiring.checks import CHECKS
from pushkeeper.wiring.store import (
    Store,
    fitted,
    only_server,
    postgres,
    require_database,
    shown_url,
    store,
)

if TYPE_CHECKING:
    from pushkeeper.wiring.command_line import LocalApi
    from pushkeeper.wiring.examiner import doctor
    from pushkeeper.wiring.providers import (
        AppleApp,
        apns_certificate,
        apns_key,
        fcm_credential,
        open_sender,
        vapid_credential,
    )
    from pushkeeper.wiring.surfaces import api, dashboard_context
    from pushkeeper.wiring.workers import keep, periodic_tasks, worker

__all__ = [
    "CHECKS",
    "AppleApp",
    "LocalApi",
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

_LOADED_WHEN_USED = {
    "LocalApi": "command_line",
    "doctor": "examiner",
    "AppleApp": "providers",
    "apns_certificate": "providers",
    "apns_key": "providers",
    "fcm_credential": "providers",
    "open_sender": "providers",
    "vapid_credential": "providers",
    "api": "surfaces",
    "dashboard_context": "surfaces",
    "periodic_tasks": "workers",
    "keep": "workers",
    "worker": "workers",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has this name
    if (module := _LOADED_WHEN_USED.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
