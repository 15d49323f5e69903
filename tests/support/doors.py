"""All doors of the dashboard, as they stand in the code, and what is put into their addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper import config, wiring
from pushkeeper.dashboard import app as dashboard
from support.inside import SIMULATOR_URL

if TYPE_CHECKING:
    from pushkeeper.dashboard.ui.page import PageRoute
    from support.dashboard import Site

# Placeholders for segments of an address: nothing that exists, so that an authorised request finds nothing.
NOTHING = {
    "device": "00" * 16,
    "audience": "999999999",
    "person": "00000000ffff",
    "delivery": "nope",
    "message": "00000000-0000-7000-8000-000000000000",
    "route": "nope",
    "credential": "999999999",
    "webhook": "999999999",
    "template": "999999999",
    "broadcast": "999999999",
    "user": "999999999",
    "erasure": "999999999",
    "import": "999999999",
    "kind": "app",
    "job_kind": "plan",
    "job": "999999999",
    "key": "nope",
    "link": "nope",
    "rest:path": "nope",
}


def all_page_routes(site: Site) -> list[PageRoute]:
    """Every door of a dashboard that has all of them."""
    settings = config.Settings(data_dir=Path(), simulator_url=SIMULATOR_URL)
    return list(dashboard.all_page_routes(wiring.dashboard_context(site.store, site.url, settings)))


# What pages ask of their addresses.
ASKED = (
    "start",
    "filter",
    "before",
    "before_id",
    "before_message",
    "metric",
    "kind",
    "template",
    "until",
    "ending",
    "user",
    "workspace",
    "span",
    "replace",
    "next",
    "at",
    "text",
    "unit",
    "exact",
    "count",
    "plan",
    "person",
    "device",
    "message",
    "since",
    "of",
    "reason",
    "only",
)


def filled(path: str, parts: dict[str, str], other: str) -> str:
    """The path of a door with its parts filled in, the unnamed ones with `other`."""
    return re.sub(r"{([^}]+)}", lambda match: parts.get(match[1], other), path)
