"""The operations of the native API, by tag: each method of each path, its parameters and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.api.openapi.audiences import AUDIENCES
from pushkeeper.api.openapi.broadcasts import BROADCASTS
from pushkeeper.api.openapi.devices import DEVICES, EXPLANATIONS
from pushkeeper.api.openapi.erasures import ERASURES
from pushkeeper.api.openapi.exports import EXPORTS
from pushkeeper.api.openapi.imports import IMPORTS
from pushkeeper.api.openapi.reports import REPORTS
from pushkeeper.api.openapi.routing import JOBS, ROUTES
from pushkeeper.api.openapi.sending import SENDING
from pushkeeper.api.openapi.templates import TEMPLATES
from pushkeeper.api.openapi.workspace import WORKSPACE

if TYPE_CHECKING:
    from pushkeeper.api.openapi.operation import Operations


class Tag(NamedTuple):
    """A group of operations and its description."""

    name: str
    description: str
    operations: Operations


TAGS = (
    Tag("Devices", "Devices with their status and history.", DEVICES),
    Tag("Explain", "Why a push was or wasn't delivered, and reverting bounces.", EXPLANATIONS),
    Tag("Audiences", "Filters over people and devices.", AUDIENCES),
    Tag("Broadcasts", "Broadcasts, with estimates, progress and results.", BROADCASTS),
    Tag("Templates", "Reusable message content.", TEMPLATES),
    Tag("Sending", "Pausing and resuming all sending of a workspace.", SENDING),
    Tag("Routes", "Routes (credential, app and environment) and rejections on hold.", ROUTES),
    Tag("Jobs", "Background jobs.", JOBS),
    Tag("Exports", "Files of devices, people, history, pushes and members.", EXPORTS),
    Tag("Reports", "Reports as JSON or CSV.", REPORTS),
    Tag("Imports", "People and devices from the files of other services.", IMPORTS),
    Tag("Erasures", "Erasure of people, with receipts.", ERASURES),
    Tag("Workspace", "Options, API keys, credentials, audit log and webhook deliveries.", WORKSPACE),
)
OPERATIONS: Operations = {key: one for tag in TAGS for key, one in tag.operations.items()}
