"""Undo as a page: looked at first, then done exactly as it was shown, or not at all."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from pushkeeper.dashboard.ui import undo_jobs
from pushkeeper.services.strikes import Strikes, StrikeSelector
from pushkeeper.store.devices.devices import SettleEvent
from support.actors import BY
from support.dashboard import plain
from support.engine import eventually

if TYPE_CHECKING:
    from pushkeeper.store.devices.devices import Device
    from support.dashboard import Browser, Place, Seen, Site

REFUSED = SettleEvent.REFUSED
WHY = "sandbox key on the production route"


class Hour:
    """A bad hour: two devices were suppressed in it, of which one came back, and a third bounced."""

    def __init__(self, place: Place, devices: list[Device]) -> None:
        self.place = place
        self.devices = devices

    def path(self, **asked: str) -> str:
        since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}"
        return f"{self.place.path('/undo')}?{urlencode({'since': since, **asked})}"

    async def statuses(self) -> list[str]:
        keys = [device.device_id for device in self.devices]
        rows = await self.place.site.database.rows(
            "select device_id, status from devices where device_id = any ($1::bytea[])", keys
        )
        found = {row["device_id"]: row["status"] for row in rows}
        return [found[key] for key in keys]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too, a few devices are done before the answer is given."""
    monkeypatch.setattr(undo_jobs, "ANSWERED_WITHIN_S", 60.0)


@pytest_asyncio.fixture
async def hour(place: Place) -> Hour:
    gone, back, bounced = await place.device("ann"), await place.device("ben"), await place.device("eve")
    await place.settled(gone, REFUSED, REFUSED, reason="BadDeviceToken")
    await place.settled(back, REFUSED, REFUSED, reason="BadDeviceToken")
    await place.device("ben", token=back.token.value)
    await place.settled(bounced, REFUSED)
    return Hour(place, [gone, back, bounced])


def confirming(seen: Seen) -> dict[str, str]:
    """What the revert button submits."""
    form = seen.text[seen.text.rindex('<form method="post" action="' + seen_path(seen)) :]
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: value.replace("&gt;", ">") for name, value in hidden}


def seen_path(seen: Seen) -> str:
    match = re.search(r'action="(/w/[^"]+/undo)"', seen.text)
    assert match is not None
    return str(match[1])


async def test_looking_says_what_would_change_and_changes_nothing(admin: Browser, hour: Hour) -> None:
    seen = await admin.get(hour.path())
    text = seen.page.text
    assert "5 bounces on 3 devices" in text
    assert "suppressed unused 1" in text
    assert "bounced unused 1" in text
    assert "1 device unchanged" in text
    assert hour.devices[0].token.masked in text
    assert "ann" in text
    assert await hour.statuses() == ["suppressed", "", "bounced"]
    seen = await admin.get(hour.path(reason="BadDeviceToken", only="suppressed"))
    assert "2 bounces on 2 devices" in seen.page.text
    assert "No bounces match" in (await admin.get(hour.path(reason="Nothing"))).page.text


async def test_the_preview_is_reverted_and_confirmed(site: Site, admin: Browser, hour: Hour) -> None:
    given = confirming(await admin.get(hour.path(reason="BadDeviceToken")))
    assert given["reason"] == "BadDeviceToken"
    done = await admin.post(hour.place.path("/undo"), {**given, "why": WHY})
    assert (done.status, done.location) == (303, hour.place.path("/undo"))
    assert await hour.statuses() == ["", "", "bounced"]
    seen = await admin.get(done.location)
    assert "4 bounces reverted on 1 device." in seen.page.text
    assert f"{WHY} (admin@example.com)" in seen.page.text
    [row] = csv.DictReader(io.StringIO((await admin.get(hour.place.path("/undo.csv"))).text))
    assert (row["strikes"], row["reason"], row["why"]) == (
        "4",
        "BadDeviceToken",
        f"{WHY} (admin@example.com)",
    )
    [line] = await site.database.rows(
        "select target, outcome, detail from audit_log where workspace = $1 and action = 'strikes.undo'",
        hour.place.name,
    )
    assert (line["target"], line["outcome"]) == (f"undo {row['undo']}", "done")
    assert "reason: BadDeviceToken" in line["detail"]


async def test_what_has_changed_meanwhile_is_shown_again_and_not_done(admin: Browser, hour: Hour) -> None:
    given = confirming(await admin.get(hour.path()))
    await hour.place.device("ann", token=hour.devices[0].token.value)
    seen = await admin.post(hour.place.path("/undo"), {**given, "why": WHY})
    assert seen.status == 409
    assert "The preview is out of date" in seen.page.text
    assert f'value="{WHY}"' in seen.text
    assert await hour.statuses() == ["", "", "bounced"]
    done = await admin.post(hour.place.path("/undo"), {**confirming(seen), "why": WHY})
    assert done.status == 303
    assert await hour.statuses() == ["", "", ""]


async def test_strikes_that_come_after_it_was_shown_are_not_meant(admin: Browser, hour: Hour) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    given = confirming(await admin.get(hour.path(until=later)))
    late = await hour.place.device("zoe")
    await hour.place.settled(late, REFUSED)
    done = await admin.post(hour.place.path("/undo"), {**given, "why": WHY})
    assert done.status == 303
    [row] = await hour.place.site.database.rows(
        "select status from devices where device_id = $1", late.device_id
    )
    assert row["status"] == "bounced"


async def test_times_are_of_the_zone_in_which_they_are_typed(admin: Browser, hour: Hour) -> None:
    before = datetime.now(ZoneInfo("Asia/Tokyo")) - timedelta(hours=1)
    asked = {"since": f"{before:%Y-%m-%dT%H:%M}", "zone": "Asia/Tokyo"}
    seen = await admin.get(hour.path(**asked))
    assert "Revert " in seen.page.text
    [since] = [one for one in seen.page.all("input") if one.get("id") == "since"]
    assert since["value"] == f"{before.astimezone(UTC):%Y-%m-%dT%H:%M}"
    assert "must be after since" in (await admin.get(hour.path(**asked | {"zone": "UTC"}))).page.text


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"since": "yesterday"}, "since", "expected a date and a time, such as 2026-11-26T14:00"),
        ({"since": "2020-01-01T00:00"}, "since", "must be at most 400 days ago"),
        ({"until": "1970-01-01T00:00"}, "until", "must be after since"),
        ({"until": "0001-01-01T00:00"}, "until", "expected a date and a time, such as 2026-11-26T14:00"),
        (
            {"since": "9999-12-31T23:59-14:00"},
            "since",
            "expected a date and a time, such as 2026-11-26T14:00",
        ),
        ({"zone": "Moon/Base"}, "since", "expected the name of a time zone, such as Europe/Berlin"),
        ({"of": "route"}, "of", "choose a route or credential from the list"),
        ({"only": "some"}, "only", "expected all or suppressed"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_beside_its_field(
    admin: Browser, hour: Hour, asked: dict[str, str], field: str, said: str
) -> None:
    seen = await admin.get(hour.path(**asked))
    match = re.search(rf'id="{field}-wrong">.*?</svg>(.*?)</span>', seen.text, re.DOTALL)
    assert match is not None
    assert plain(match[1]) == said
    assert not seen.page.all("dl")
    assert "Status change" not in seen.page.text


async def test_a_reason_is_needed_and_a_route_has_to_be_there(admin: Browser, hour: Hour) -> None:
    given = confirming(await admin.get(hour.path()))
    seen = await admin.post(hour.place.path("/undo"), {**given, "why": " "})
    assert seen.status == 400
    assert "xpected 1 to 300 characters" in seen.page.text
    assert "5 bounces on 3 devices" in seen.page.text
    seen = await admin.get(hour.path(of="route fcm:nope"))
    assert "'fcm:nope' not found" in seen.page.text
    assert await hour.statuses() == ["suppressed", "", "bounced"]


async def test_it_is_for_admins_and_routes_lead_to_it(
    admin: Browser, operator: Browser, site: Site, hour: Hour
) -> None:
    assert (await operator.get(hour.path())).status == 403
    assert (await operator.post(hour.place.path("/undo"), {"why": WHY})).status == 403
    await site.database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, sealed) values "
        "($1, 'fcm', 'service_account', 'p', '') returning credential_id) "
        "insert into routes (workspace_id, credential_id) select $1, credential_id from c",
        hour.place.workspace.workspace_id,
    )
    assert hour.place.path("/undo") in (await admin.get(hour.place.path("/routes"))).page.links()
    of_route = f"{hour.place.path('/undo')}?{urlencode({'of': 'route fcm:p'})}"
    assert of_route in (await admin.get(hour.place.path("/routes/fcm%3Ap"))).page.links()
    assert of_route not in (await operator.get(hour.place.path("/routes/fcm%3Ap"))).page.links()
    chosen = [option for option in (await admin.get(of_route)).page.all("option") if "selected" in option]
    assert "route fcm:p" in {option["value"] for option in chosen}


async def test_what_takes_longer_than_an_answer_goes_on_by_itself(
    admin: Browser, hour: Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo_jobs, "ANSWERED_WITHIN_S", 0.0)
    given = confirming(await admin.get(hour.path()))
    done = await admin.post(hour.place.path("/undo"), {**given, "why": WHY})
    assert done.status == 303
    assert "Reverting in the background" in (await admin.get(done.location)).page.text

    async def is_over() -> bool:
        return "data-every" not in (await admin.get(hour.place.path("/undo/former"))).text

    await eventually(is_over)
    assert await hour.statuses() == ["", "", ""]
    [row] = csv.DictReader(io.StringIO((await admin.get(hour.place.path("/undo.csv"))).text))
    assert (row["strikes"], row["devices"], row["meant_devices"]) == ("5", "3", "3")
    assert row["finished_at"]


async def test_an_interrupted_revert_shows_its_progress_and_continues(
    site: Site, admin: Browser, operator: Browser, hour: Hour
) -> None:
    workspace = hour.place.workspace.workspace_id
    now = datetime.now(UTC)
    number = await Strikes(site.database).begin(
        BY, workspace, StrikeSelector(since=now - timedelta(hours=1), until=now), why=WHY
    )
    seen = await admin.get(hour.place.path("/undo/former"))
    assert 'data-every="1"' in seen.text
    assert "in progress" in seen.page.text
    assert "0 of 3 devices" in seen.page.text
    assert "Revert the rest" not in seen.page.text
    await site.database.rows(
        "update undos set advanced_at = now() - interval '1 minute' where undo_id = $1", number
    )
    seen = await admin.get(hour.place.path("/undo/former"))
    assert "Revert the rest" in seen.page.text
    assert "data-every" not in seen.text
    assert await hour.statuses() == ["suppressed", "", "bounced"]
    path = hour.place.path(f"/undo/{number}/go-on")
    assert (await operator.post(path, {})).status == 403
    assert (await admin.post(path, {})).location == hour.place.path("/undo")
    assert await hour.statuses() == ["", "", ""]
    assert "5 bounces reverted on 2 devices." in (await admin.get(hour.place.path("/undo"))).page.text
    again = await admin.post(path, {})
    assert again.status == 303
    assert "0 bounces reverted" in (await admin.get(again.location)).page.text
    assert (await admin.post(hour.place.path("/undo/999999999/go-on"), {})).status == 404


async def test_all_devices_that_would_change_are_a_file(admin: Browser, hour: Hour) -> None:
    seen = await admin.get(hour.path())
    [path] = [one for one in seen.page.links() if "/undo/devices.csv" in one]
    rows = {row["device"]: row for row in csv.DictReader(io.StringIO((await admin.get(path)).text))}
    gone, _, bounced = hour.devices
    assert set(rows) == {gone.device_id.hex(), bounced.device_id.hex()}
    row = rows[gone.device_id.hex()]
    assert (row["last_status"], row["strikes"], row["last_status_then"], row["strikes_then"]) == (
        "suppressed",
        "2",
        "",
        "0",
    )
    assert row["token"] == gone.token.masked
    assert await hour.statuses() == ["suppressed", "", "bounced"]
