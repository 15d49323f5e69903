"""Whatever is in an address or a form, the answer is a page, and never that something broke."""

from __future__ import annotations

import asyncio
import http.client
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper import config, wiring
from pushkeeper.core.roles import Role
from pushkeeper.dashboard import app as dashboard
from pushkeeper.dashboard.ui.page import Action, View
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.dashboard.ui.page import PageRoute
    from support.dashboard import Place, Site

WORDS = st.sampled_from(
    (
        *(
            "",
            "1",
            "0",
            "-1",
            "999999999999999999",
            "nope",
            "everybody",
            "platform = ios",
            "platform =",
            "a and",
        ),
        *(
            "person.plan = pro",
            "segment 1",
            "2026-11-26",
            "2026-11-26T10:00",
            "30d",
            "{{ a }}",
            "{{",
            '{"a": 1}',
        ),
        *(
            "device",
            "person",
            "at",
            "local",
            "minute",
            "9.5",
            "1e400",
            "08:00",
            "Europe/Berlin",
            "\0",
            "é\ud800",
        ),
        *("00" * 16, "00000000ffff", "00000000-0000-7000-8000-000000000000", "0" * 19, "<b>", "'", "%"),
    )
)
FIELDS = st.sampled_from(
    (
        *(
            "filter",
            "unit",
            "start",
            "span",
            "audience",
            "from",
            "template",
            "title",
            "message",
            "data",
            "when",
        ),
        *("at", "zone", "local_time", "time_zone", "opens", "closes", "rate", "rate_per", "expires_after_h"),
        *(
            "ttl_s",
            "priority",
            "name",
            "ending",
            "metric",
            "kind",
            "until",
            "text",
            "exact",
            "person",
            "device",
        ),
        *("event", "state", "reason", "role", "count", "route", "credential", "since", "endpoint", "events"),
    )
)
TEXTS = st.one_of(WORDS, st.text(max_size=30))
GIVEN = st.dictionaries(FIELDS, TEXTS, max_size=8)


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def encoded(given: dict[str, str]) -> str:
    return urlencode({name: text.encode("utf-8", "surrogatepass") for name, text in given.items()})


async def test_no_page_breaks(site: Site) -> None:
    place: Place = await site.workspace()
    await place.device("ann", app_version="4.2")
    found = dashboard.all_page_routes(
        wiring.dashboard_context(site.store, site.url, config.Settings(data_dir=Path()))
    )
    # What changes the installation itself would let nobody in any more.
    doors = [door for door in found if "{workspace}" in door.path and "/simulator" not in door.path]
    browser = site.browser(Role.ADMIN)
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}

    def call(door: PageRoute, segments: list[str], given: dict[str, str]) -> int:
        names = iter(segments)
        path = re.sub(
            r"{([^}]+)}", lambda one: place.name if one[1] == "workspace" else quoted(next(names)), door.path
        )
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        try:
            if isinstance(door, View):
                connection.request("GET", f"{path}?{encoded(given)}", headers=headers)
            else:
                sent = encoded(given)
                form = {
                    "content-type": "application/x-www-form-urlencoded",
                    "origin": f"http://127.0.0.1:{site.port}",
                }
                connection.request("POST", path, sent, {**headers, **form})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    @settings(max_examples=examples(600), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(doors), st.lists(TEXTS.filter(bool), min_size=3, max_size=3), GIVEN)
    def fuzz(door: Any, segments: list[str], given: dict[str, str]) -> None:
        status = call(door, segments, given)
        assert status in {200, 303, 400, 403, 404, 409, 413, 422, 429}, (
            status,
            door.path,
            isinstance(door, Action),
        )

    await asyncio.to_thread(fuzz)  # the server needs the loop meanwhile
