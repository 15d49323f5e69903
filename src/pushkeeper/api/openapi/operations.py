"""The operations of our own API, by tag: each method of each path, its parameters and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.api.openapi.audiences import AUDIENCES
from pushkeeper.api.openapi.broadcasts import BROADCASTS
from pushkeeper.api.openapi.devices import DEVICES, EXPLANATIONS
from pushkeeper.api.openapi.erasures import ERASURES
from pushkeeper.api.openapi.reports import REPORTS
from pushkeeper.api.openapi.routing import JOBS, ROUTES
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
    Tag("Explain", "Why a push was or was not delivered, and how to undo bounces.", EXPLANATIONS),
    Tag("Audiences", "Filters over people and devices.", AUDIENCES),
    Tag("Broadcasts", "Messages to many people, with preflight, progress and results.", BROADCASTS),
    Tag("Templates", "The texts of messages.", TEMPLATES),
    Tag("Routes", "Connections to the push services, and the refusals that are held.", ROUTES),
    Tag("Jobs", "Work that is done in the background.", JOBS),
    Tag("Reports", "Figures over time, as JSON or CSV.", REPORTS),
    Tag("Erasures", "Deletion of people, with receipts.", ERASURES),
    Tag("Workspace", "Options, keys, credentials, audit log and webhook calls.", WORKSPACE),
)
OPERATIONS: Operations = {key: one for tag in TAGS for key, one in tag.operations.items()}
