"""Broadcasts: written with what is wrong said beside its field, kept as a draft, started and stopped, and read."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.model import Content, Platform
from pushkeeper.dashboard.pages.broadcasts import chart_of
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.store.broadcasts.progress import Minute
from pushkeeper.store.messages.templates import Draft, TemplateKind
from pushkeeper.store.people.segments import Draft as Audience
from pushkeeper.worker.jobs.estimates import Estimator
from pushkeeper.worker.jobs.runner import Jobs
from support.actors import BY
from tests.dashboard.test_forms import wrong

if TYPE_CHECKING:
    from support.dashboard import Browser, Place, Seen, Site

FORM = {
    "title": "The sale begins",
    "message": "Hello",
    "filter": "everybody",
    "when": "now",
    "unit": "device",
}


async def can_send(place: Place) -> None:
    """Credentials that are never opened: nothing is sent here."""
    await place.site.database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, sealed) values "
        "($1, 'fcm', 'service_account', 'p', '') returning credential_id) "
        "insert into routes (workspace_id, credential_id) select $1, credential_id from c",
        place.workspace.workspace_id,
    )


async def kept(browser: Browser, place: Place, **changes: Any) -> Seen:
    await can_send(place)
    return await browser.post(place.path("/broadcasts/new"), {**FORM, **changes})


def number_of(seen: Seen) -> int:
    assert seen.status == 303, seen.page.text
    return int(seen.location.rpartition("/")[2])


async def estimated(place: Place, number: int) -> None:
    """Make the estimate of a broadcast, as a worker would."""
    estimator = Estimator(place.site.store.services.broadcasts.estimates)
    await Jobs(place.site.database, estimator).finish()
    assert (await made(place, number)).estimate.state == "done"


async def made(place: Place, number: int) -> Any:
    return await place.site.store.services.broadcasts.one(place.workspace.workspace_id, number)


def typed(seen: Seen, tag: str, name: str) -> dict[str, str | None]:
    [field] = [field for field in seen.page.all(tag) if field.get("name") == name]
    return dict(field)


async def test_all_that_is_typed_is_kept(operator: Browser, place: Place) -> None:
    seen = await kept(
        operator,
        place,
        name="Summer",
        filter="platform = ios and person.plan = pro",
        unit="person",
        link="shop://sale",
        image_url="https://example.com/a.png",
        ios_title="iPhones",
        android_message="Robots",
        data='{"code": "X"}',
        custom_data='{"page": 3}',
        event="bought",
        when_undefined="empty",
        when="at",
        at="2027-07-01T09:30",
        zone="Europe/Berlin",
        opens="08:00",
        closes="20:00",
        rate="30",
        rate_per="minute",
        expires_after_h="1.5",
        one_per_phone="yes",
        send_to_unsubscribed="yes",
        collapse_id="sale",
        ttl_s="600",
        priority="normal",
        title="{{ trigger.code }}",
    )
    one = await made(place, number_of(seen))
    assert (one.name, one.audience, one.unit.value) == (
        "Summer",
        "platform = ios and person.plan = pro",
        "person",
    )
    content = one.content
    assert (content.title, content.link, content.image_url) == (
        "{{ trigger.code }}",
        "shop://sale",
        "https://example.com/a.png",
    )
    assert content.platforms == {"android": {"message": "Robots"}, "ios": {"title": "iPhones"}}
    assert (content.custom_data, content.collapse_id, content.ttl_s, content.priority) == (
        {"page": 3},
        "sale",
        600,
        "normal",
    )
    assert (one.wording.data, one.wording.event, one.wording.when_undefined) == (
        {"code": "X"},
        "bought",
        "empty",
    )
    # Half past nine in Berlin, the author's zone.
    assert one.schedule.at == datetime(2027, 7, 1, 7, 30, tzinfo=UTC)
    assert (one.schedule.window.opens.hour, one.schedule.window.closes.hour) == (8, 20)
    assert (one.per_s, one.schedule.expires_after_s) == (0.5, 5_400)
    assert (one.one_per_phone, one.send_to_unsubscribed, one.skip_without_permission, one.dry_run) == (
        True,
        True,
        False,
        False,
    )
    # All of it can be typed again, but when it goes out.
    again = await operator.get(place.path(f"/broadcasts/new?from={one.broadcast_id}"))
    for tag, name, value in (
        ("input", "title", "{{ trigger.code }}"),
        ("input", "ios_title", "iPhones"),
        ("input", "filter", "platform = ios and person.plan = pro"),
        ("input", "rate", "30"),
        ("input", "expires_after_h", "1.5"),
        ("input", "opens", "08:00"),
        ("input", "at", ""),
    ):
        assert typed(again, tag, name).get("value") == value, name
    assert {"value": "minute", "selected": None} in again.page.all("option")
    assert "checked" in typed(again, "input", "one_per_phone")
    assert "checked" not in typed(again, "input", "dry_run")


async def test_a_draft_is_changed_and_keeps_its_number(operator: Browser, place: Place) -> None:
    seen = await kept(
        operator,
        place,
        name="Summer",
        when="at",
        at="2027-07-01T09:30",
        zone="Europe/Berlin",
        opens="08:00",
        closes="20:00",
    )
    number = number_of(seen)
    path = place.path(f"/broadcasts/{number}/edit")
    assert path in (await operator.get(place.path(f"/broadcasts/{number}"))).page.links()
    form = await operator.get(path)
    # Told in UTC, which a script tells in the reader's zone.
    assert typed(form, "input", "at").get("value") == "2027-07-01T07:30"
    assert typed(form, "input", "zone").get("value") == "UTC"
    assert typed(form, "input", "title").get("value") == "The sale begins"
    wrong_one = await operator.post(path, {**FORM, "title": "{{ oops", "name": "Autumn"})
    assert wrong_one.status == 400
    assert "ine 1" in wrong(wrong_one, "title")
    changed = await operator.post(
        path,
        {
            **FORM,
            "name": "Autumn",
            "when": "local",
            "local_time": "2027-09-01T10:00",
            "time_zone": "Asia/Tokyo",
        },
    )
    assert number_of(changed) == number
    one = await made(place, number)
    assert (one.name, one.schedule.at, one.schedule.time_zone, one.schedule.window) == (
        "Autumn",
        None,
        "Asia/Tokyo",
        None,
    )
    form = await operator.get(path)
    assert typed(form, "input", "local_time").get("value") == "2027-09-01T10:00"
    await operator.post(place.path(f"/broadcasts/{number}/start"))
    assert (await operator.post(path, FORM)).status == 409
    assert (await operator.get(path)).status == 409
    assert path not in (await operator.get(place.path(f"/broadcasts/{number}"))).page.links()
    assert (await operator.get(place.path("/broadcasts/999999/edit"))).status == 404


async def test_a_broadcast_is_there_to_be_read_when_its_audience_is_gone(
    operator: Browser, place: Place
) -> None:
    await place.device("ann", platform=Platform.ANDROID)
    room, workspace = place.site.store.services.audiences, place.workspace.workspace_id
    segment = (
        await room.make(BY, workspace, Audience(name="Gone", filter="platform = android", unit=Unit.DEVICE))
    ).segment_id
    number = number_of(await kept(operator, place, filter=f"segment {segment}"))
    await room.delete_segment(BY, workspace, segment)
    seen = await operator.get(place.path(f"/broadcasts/{number}"))
    assert seen.status == 200
    assert "The sale begins" in seen.page.text


async def test_over_a_template_only_what_is_otherwise_is_typed_again(operator: Browser, place: Place) -> None:
    await can_send(place)
    room = place.site.store.services.templates
    draft = Draft(
        kind=TemplateKind.BROADCAST,
        name="News",
        content=Content(title="News", message="There is some", sound="default"),
        translations={"de": Content(title="Neues")},
    )
    template = await room.make(BY, place.workspace.workspace_id, draft)
    asked = {**FORM, "title": "", "message": "There is more", "template": str(template.template_id)}
    number = number_of(await operator.post(place.path("/broadcasts/new"), asked))
    form = await operator.get(place.path(f"/broadcasts/{number}/edit"))
    assert typed(form, "input", "title").get("value") == ""
    assert "There is more" in form.page.text
    [chosen] = [one for one in form.page.all("option") if one.get("value") == str(template.template_id)]
    assert "selected" in chosen


async def test_what_only_the_api_can_say_is_not_changed_by_the_form(operator: Browser, place: Place) -> None:
    await can_send(place)
    device = await place.device("ann")
    room = place.site.store.services.broadcasts
    for asked in (
        BroadcastRequest(
            content=Content(custom_payload={"ios": {"aps": {"alert": "x"}}}), audience="everybody"
        ),
        BroadcastRequest(
            content=Content(title="x", platforms={"ios": {"sound": "none"}}), audience="everybody"
        ),
        BroadcastRequest(content=Content(title="x"), devices=[(device.token, "devices[0]")]),
    ):
        number = (await room.create(BY, place.workspace.workspace_id, asked)).broadcast_id
        path = place.path(f"/broadcasts/{number}/edit")
        assert (await operator.get(path)).status == 404
        page = (await operator.get(place.path(f"/broadcasts/{number}"))).page
        assert path not in page.links()


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"title": "", "message": ""}, "message", "needs a title"),
        ({"title": "{{ oops"}, "title", "line 1"),
        ({"ios_title": "{% if %}"}, "ios_title", "line 1"),
        ({"filter": ""}, "filter", "use everybody for all devices"),
        ({"filter": "platform ="}, "filter", "expected"),
        ({"filter": "segment 99"}, "filter", "egment 99 does not exist"),
        ({"data": "[1"}, "data", "expected a JSON object"),
        ({"data": "[1]"}, "data", "object"),
        ({"custom_data": "nope"}, "custom_data", "expected a JSON object"),
        ({"image_url": "http://example.com/a.png"}, "image_url", "https"),
        ({"when": "at", "at": ""}, "at", "expected a date and a time"),
        ({"when": "at", "at": "2027-01-01T10:00", "zone": "Moon/Base"}, "at", "time zone"),
        ({"when": "at", "at": "2040-01-01T10:00"}, "at", "at most"),
        ({"when": "local", "local_time": ""}, "local_time", "expected a date and a time"),
        ({"when": "local", "local_time": "2027-01-01T10:00", "time_zone": "X"}, "time_zone", "time zone"),
        ({"opens": "08:00"}, "closes", "expected a time of day"),
        ({"opens": "08:00", "closes": "08:00"}, "closes", "the same"),
        ({"rate": "fast"}, "rate", "expected a number"),
        ({"rate": "0"}, "rate", "above 0"),
        ({"expires_after_h": "0"}, "expires_after_h", "hours"),
        ({"expires_after_h": "9999"}, "expires_after_h", "hours"),
        ({"ttl_s": "1.5"}, "ttl_s", "whole number"),
        ({"priority": "loud"}, "priority", "expected"),
        ({"template": "999"}, "template", "template not found"),
        ({"unit": "crowd"}, "unit", "expected device or person"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_kept(
    operator: Browser, place: Place, changes: dict[str, str], field: str, said: str
) -> None:
    seen = await kept(operator, place, name="kept as typed", **changes)
    assert seen.status == 400
    assert said in re.sub(r"<[^>]+>|&#39;", "", wrong(seen, field))
    assert typed(seen, "input", "name").get("value") == "kept as typed"
    room = place.site.store.services.broadcasts
    assert await room.all(place.workspace.workspace_id, before=None, limit=9) == []


async def test_a_draft_says_what_is_to_be_expected_and_is_started_paused_resumed_and_cancelled(
    operator: Browser, viewer: Browser, place: Place
) -> None:
    for name in ("ann", "ben"):
        await place.device(name, platform=Platform.ANDROID)
    await place.device("eve", platform=Platform.IOS)
    number = number_of(await kept(operator, place))
    path = place.path(f"/broadcasts/{number}")
    pending = await operator.get(path)
    assert [part.get("data-every") for part in pending.page.all("div") if part.get("id") == "standing"] == [
        "1"
    ]
    assert [part for part in pending.page.all("section") if part.get("data-test") == "estimate-pending"]
    assert "No worker is running" in pending.page.text
    await place.site.database.rows(
        "insert into workers (worker_id, host, pid) values (gen_random_uuid(), 'here', 1)"
    )
    assert "waits for a worker" not in (await operator.get(path)).page.text
    await place.site.database.rows("delete from workers")
    await estimated(place, number)
    seen = await operator.get(path)
    assert [part.get("data-every") for part in seen.page.all("div") if part.get("id") == "standing"] == [None]
    draft = seen.page.text
    assert "Estimated reach" in draft
    assert "of 3 devices (3 people) in the audience" in draft
    assert "No credentials for this platform, app and environment" in draft
    assert "time zone" not in draft
    assert "Send now" not in (await viewer.get(path)).page.text
    await place.device("joe", platform=Platform.ANDROID)
    assert (await operator.post(f"{path}/preflight")).status == 303
    await estimated(place, number)
    assert "of 4 devices" in (await operator.get(path)).page.text

    for what, state in (("start", "scheduled"), ("pause", "paused"), ("resume", "scheduled")):
        assert (await operator.post(f"{path}/{what}")).status == 303
        assert (await made(place, number)).shown_state == state
    again = await operator.post(f"{path}/start")
    assert again.status == 409
    assert "has already started" in again.page.text
    assert (await operator.post(f"{path}/cancel")).status == 303
    page = (await operator.get(path)).page
    assert "cancelled" in page.text
    assert not [form for form in page.all("form") if form.get("action", "").startswith(path)]
    assert (await operator.get(place.path("/broadcasts/999999"))).status == 404


async def test_a_draft_says_for_how_many_devices_the_time_zone_is_not_known(
    operator: Browser, place: Place
) -> None:
    seen = await kept(operator, place, opens="08:00", closes="20:00")
    await estimated(place, number_of(seen))
    zones = {"treated_as": "UTC", "unknown": 2, "missing": 7, "names": {"GMT+9": 2}}
    await place.site.database.rows(
        "update broadcasts set preflight = preflight || $2 where workspace_id = $1",
        *(place.workspace.workspace_id, {"zones": zones}),
    )
    text = (await operator.get(place.path(f"/broadcasts/{number_of(seen)}"))).page.text
    assert "Unknown time zone (GMT+9): 2 devices are treated as UTC" in text
    assert "No time zone (treated as UTC) 7" in text


async def test_the_preview_is_what_somebody_of_the_audience_reads(operator: Browser, place: Place) -> None:
    await place.person("ann", first_name="<b>Ann</b>")
    await place.device("ann", platform=Platform.IOS)
    path = place.path(
        "/broadcasts/preview?filter=person.id+%3D+ann&title=Hello+%7B%7B+person.first_name+%7D%7D"
    )
    seen = await operator.get(path)
    assert "Hello <b>Ann</b>" in seen.page.text
    assert "<b>" not in seen.text
    assert "as seen by ann" in seen.page.text
    missing = await operator.get(place.path("/broadcasts/preview?title=%7B%7B+person.first_name+%7D%7D"))
    await place.device("ben", platform=Platform.IOS)
    missing = await operator.get(place.path("/broadcasts/preview?title=%7B%7B+person.first_name+%7D%7D"))
    assert "No push:" in missing.page.text
    assert "first_name" in missing.page.text
    half = await operator.get(place.path("/broadcasts/preview?title=Hello&filter=platform+%3D"))
    assert half.status == 200
    assert "Nothing to preview yet" in half.page.text
    long = await operator.get(place.path(f"/broadcasts/preview?message={'x' * 5_000}"))
    assert (long.status, "t most 4,000 characters" in long.page.text) == (200, True)


async def test_how_many_is_counted_as_it_is_typed(operator: Browser, place: Place) -> None:
    await place.device("ann", platform=Platform.IOS)
    await place.device("ann", platform=Platform.ANDROID)
    path = place.path("/broadcasts/size?filter=platform+%3D+ios")
    assert "1 device of 1 person" in (await operator.get(path)).page.text
    assert "2 devices of 1 person" in (await operator.get(f"{path}&unit=person")).page.text
    half = await operator.get(place.path("/broadcasts/size?filter=platform"))
    assert (half.status, "expected" in half.page.text) == (200, True)
    assert "Estimated reach appears here" in (await operator.get(place.path("/broadcasts/size"))).page.text


async def test_all_of_them_page_by_page_and_as_a_file(operator: Browser, place: Place) -> None:
    await can_send(place)
    for n in range(52):
        await kept_again(operator, place, name=f"Number {n}", filter="platform = ios")
    first = (await operator.get(place.path("/broadcasts"))).page
    assert "Number 51" in first.text
    assert "Number 1 " not in first.text
    [following] = [link for link in first.links() if "start=" in link]
    assert "Number 1 " in (await operator.get(following)).page.text
    rows = list(csv.DictReader(io.StringIO((await operator.get(place.path("/broadcasts.csv"))).text)))
    assert len(rows) == 52
    assert (rows[0]["name"], rows[0]["state"], rows[0]["audience"]) == (
        "Number 51",
        "draft",
        "platform = ios",
    )


async def kept_again(browser: Browser, place: Place, **changes: Any) -> None:
    number_of(await browser.post(place.path("/broadcasts/new"), {**FORM, **changes}))


async def test_a_link_brings_the_audience_along(operator: Browser, place: Place) -> None:
    seen = await operator.get(place.path("/broadcasts/new?audience=platform+%3D+%22ios%22"))
    assert typed(seen, "input", "filter").get("value") == 'platform = "ios"'


async def test_the_results_are_a_file_too(
    site: Site, viewer: Browser, operator: Browser, place: Place
) -> None:
    number = number_of(await kept(operator, place))
    seen = await viewer.get(place.path(f"/broadcasts/{number}/results.csv"))
    assert seen.text.splitlines() == [
        "platform,ending,reason,because,provider_reason,pushes,last_at",
    ]


def test_a_chart_has_a_bar_for_each_minute_or_as_many_as_can_be_seen() -> None:
    def minute(n: int, ending: str, pushes: int) -> Minute:
        return Minute(minute=datetime.fromtimestamp(60 * n, UTC), ending=ending, pushes=pushes)

    chart = chart_of([minute(600, "accepted", 5), minute(602, "expired", 1), minute(602, "failed", 2)])
    assert chart["at"] == [36_000, 36_060, 36_120]
    assert {one["name"]: one["values"] for one in chart["series"]} == {
        "accepted": [5, 0, 0],
        "failed": [0, 0, 3],
    }
    days = chart_of([minute(0, "accepted", 1), minute(7 * 1_440, "accepted", 2)])
    assert days["step_min"] == 360
    assert len(days["at"]) == 29
    assert sum(days["series"][0]["values"]) == 3
    assert chart_of([])["series"] == []
