"""Reports as pages: what each says of a workspace with a story, as a table and as CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.core.model import Platform
from pushkeeper.services.reports.insights import Insights
from pushkeeper.store.devices.devices import SettleEvent

if TYPE_CHECKING:
    from support.dashboard import Browser, Place, Site

COUNTED = ("", "/comebacks", "/tokens")
FILES = [
    *("people", "pushes", "reasons", "refusals", "refusals-by-day"),
    *("comebacks", "broadcasts", "token-ages", "token-calendar"),
]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest_asyncio.fixture
async def story(place: Place) -> Place:
    """Three phones: one works, one was suppressed and reactivated, one will expire at FCM."""
    await place.settled(await place.device("ann", app_version="4.2"), SettleEvent.ACCEPTED)
    refused = await place.device("ben", app_version="4.1")
    await place.settled(refused, SettleEvent.REFUSED, SettleEvent.REFUSED, reason="BadDeviceToken")
    await place.device("ben", token=refused.token.value, app_version="4.1")
    old = await place.device("eve", platform=Platform.ANDROID)
    await place.site.database.rows(
        "update devices set last_used = now() - interval '268 days' where device_id = $1", old.device_id
    )
    return place


@pytest.mark.parametrize("path", COUNTED)
async def test_what_nobody_has_counted_yet_is_asked_for_and_shown_when_it_is_there(
    viewer: Browser, site: Site, story: Place, path: str
) -> None:
    here = story.path(f"/reports{path}")
    first = await viewer.get(here)
    assert "Preparing this report…" in first.text
    waits = await viewer.get(here, **{"hx-request": "true"})
    assert "Preparing this report…" in waits.text
    assert "<html" not in waits.text
    for due in await Insights(site.database).due():
        await Insights(site.database).count(due)
    found = await viewer.get(here, **{"hx-request": "true"})
    assert "Preparing this report…" not in found.text
    assert 'id="counted"' in found.text
    assert "<html" in (await viewer.get(here)).text


async def test_people_are_shown_by_the_month_in_which_they_came(
    viewer: Browser, site: Site, story: Place
) -> None:
    await viewer.get(story.path("/reports"))
    for due in await Insights(site.database).due():
        await Insights(site.database).count(due)
    seen = await viewer.get(story.path("/reports"))
    assert f"{datetime.now(UTC):%Y-%m}" in seen.page.text
    [row] = rows_of((await viewer.get(story.path("/reports/people.csv"))).text)
    assert (row["people"], row["reachable"], row["suppressed"]) == ("3", "3", "0")


async def test_pushes_and_why_they_did_not_arrive_are_shown_by_the_day(viewer: Browser, story: Place) -> None:
    seen = await viewer.get(story.path("/reports/pushes?span=90d"))
    [chart] = [div for div in seen.page.all("div") if div.get("data-chart")]
    assert '"name":"accepted"' in (chart["data-series"] or "")
    assert "BadDeviceToken" in seen.page.text
    rows = rows_of((await viewer.get(story.path("/reports/pushes.csv"))).text)
    assert sum(int(row["pushes"]) for row in rows) == 3
    [reason] = rows_of((await viewer.get(story.path("/reports/reasons.csv"))).text)
    assert (reason["ending"], reason["pushes"]) == ("bounced", "2")


async def test_the_days_of_pushes_add_up_to_all_of_them(viewer: Browser, place: Place) -> None:
    device = await place.device("ann")
    for ending in ("accepted", "failed", "expired", "unknown", "skipped"):
        await place.pushed(device, ending)
    seen = await viewer.get(place.path("/reports/pushes"))
    [chart] = [div for div in seen.page.all("div") if div.get("data-chart")]
    series = {one["name"]: one["values"][-1] for one in json.loads(chart["data-series"] or "")}
    assert series == {"accepted": 1, "bounced": 0, "failed": 3, "skipped": 1}
    assert "1 of 5 accepted" in seen.page.text


async def test_a_refusal_leads_to_the_devices_that_are_known_for_it(viewer: Browser, story: Place) -> None:
    again = await story.device("ida", app_version="4.1")
    await story.settled(again, SettleEvent.REFUSED, reason='Odd "word"')
    seen = await viewer.get(story.path("/reports/refusals"))
    link = next(link for link in seen.page.links() if "Odd" in link)
    devices = await viewer.get(link)
    assert devices.status == 200
    assert again.device_id.hex() in devices.text
    rows = rows_of((await viewer.get(story.path("/reports/refusals.csv"))).text)
    assert {(row["provider_reason"], row["app_version"], row["pushes"]) for row in rows} == {
        ("BadDeviceToken", "4.1", "2"),
        ('Odd "word"', "4.1", "1"),
    }


async def test_comebacks_and_tokens_are_told_in_words(viewer: Browser, site: Site, story: Place) -> None:
    for path in ("/comebacks", "/tokens"):
        await viewer.get(story.path(f"/reports{path}"))
    for due in await Insights(site.database).due():
        await Insights(site.database).count(due)
    comebacks = await viewer.get(story.path("/reports/comebacks"))
    assert "1 100%" in " ".join(comebacks.page.text.split())
    tokens = await viewer.get(story.path("/reports/tokens"))
    assert "180 to 270 days ago" in tokens.page.text
    weeks = [link for link in tokens.page.links() if "last_used" in link]
    assert len(weeks) == 39
    found = [(await viewer.get(week)).page.text.count("eve") for week in weeks[:2]]
    assert (found[0] >= 1, found[1]) == (True, 0)
    assert datetime.now(UTC).date().isoformat() in tokens.page.text


@pytest.mark.parametrize("name", FILES)
async def test_each_table_is_there_as_a_file(viewer: Browser, story: Place, name: str) -> None:
    seen = await viewer.get(story.path(f"/reports/{name}.csv"))
    assert seen.status == 200
    assert seen.headers["content-type"].startswith("text/csv")
    assert seen.text.splitlines()[0].count(",") > 0


async def test_a_span_that_is_none_is_the_usual_one_on_a_page_and_refused_in_a_file(
    viewer: Browser, place: Place
) -> None:
    assert (await viewer.get(place.path("/reports/pushes?span=ever"))).status == 200
    assert (await viewer.get(place.path("/reports/pushes.csv?span=ever"))).status == 400
    assert (await viewer.get(place.path("/reports/broadcasts?start=x"))).status == 400


async def test_broadcasts_are_paged_through(viewer: Browser, place: Place) -> None:
    await place.site.database.rows(
        "with made as (insert into messages (message_id, workspace_id, kind, content, created_at, expires_at) "
        "select gen_random_uuid(), $1, 'broadcast', '{}', now(), now() from generate_series(1, 60) "
        "returning message_id) "
        "insert into broadcasts (message_id, workspace_id, state, started_at, planned_at, name) "
        "select message_id, $1, 'planned', now(), now(), 'One of sixty' from made",
        place.workspace.workspace_id,
    )
    first = await viewer.get(place.path("/reports/broadcasts"))
    assert first.page.text.count("One of sixty") == 50
    [following] = [link for link in first.page.links() if "start=" in link]
    assert (await viewer.get(following)).page.text.count("One of sixty") == 10
    assert len(rows_of((await viewer.get(place.path("/reports/broadcasts.csv"))).text)) == 60
