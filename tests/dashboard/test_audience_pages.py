"""Audiences as pages: written, counted in both readings, kept, changed, deleted, and told where they are used."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio
from starlette.datastructures import QueryParams

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Platform, WorkspaceId
from pushkeeper.dashboard.pages import audience_preview
from pushkeeper.dashboard.pages.audience_preview import PreviewedFilter
from pushkeeper.dashboard.ui.page_request import PageRequest
from pushkeeper.dashboard.ui.render import page
from pushkeeper.store.admin.workspaces import NamedWorkspace
from pushkeeper.store.audiences.audiences import Estimate, Size
from pushkeeper.store.devices.devices import SettleEvent
from pushkeeper.store.people.segments import Draft
from support.actors import BY
from support.dashboard import Page, plain

if TYPE_CHECKING:
    from pushkeeper.services.audiences import Audiences
    from pushkeeper.store.devices.devices import Device
    from support.dashboard import Browser, Place, Seen, Site

REFUSED = SettleEvent.REFUSED
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


class Caveat:
    """Ann has a suppressed iPhone and a live Android phone; Ben has a working iPhone."""

    def __init__(self, place: Place, iphone: Device, android: Device) -> None:
        self.place = place
        self.iphone = iphone
        self.android = android

    def path(self, rest: str = "", **asked: str) -> str:
        here: str = self.place.path(f"/audiences{rest}")
        return f"{here}?{urlencode(asked)}" if asked else here


@pytest_asyncio.fixture
async def caveat(place: Place) -> Caveat:
    iphone = await place.device("ann", app_version="4.1")
    android = await place.device("ann", platform=Platform.ANDROID)
    await place.settled(iphone, REFUSED, REFUSED)
    await place.settled(android, SettleEvent.ACCEPTED)
    await place.settled(await place.device("ben"), SettleEvent.ACCEPTED)
    return Caveat(place, iphone, android)


@pytest.fixture
def room(site: Site) -> Audiences:
    room: Audiences = site.store.services.audiences
    return room


def kept(seen: Seen) -> str:
    """The page that a form led to."""
    assert seen.status == 303, seen.text
    return str(seen.location)


def value(seen: Seen, name: str) -> str | None:
    fields: dict[str | None, dict[str, str | None]] = {one.get("name"): one for one in seen.page.all("input")}
    return fields[name].get("value")


def chosen(seen: Seen) -> list[str | None]:
    return [box.get("value") for box in seen.page.all("input") if "checked" in box]


def said_beside(seen: Seen, name: str) -> str:
    match = re.search(rf'id="{name}-wrong">.*?</svg>(.*?)</span>', seen.text, re.DOTALL)
    assert match is not None
    return str(plain(match[1]))


async def test_people_and_devices_are_counted_in_both_readings(viewer: Browser, caveat: Caveat) -> None:
    seen = await viewer.get(caveat.path("/count", filter="last_status = suppressed"))
    assert "<html" not in seen.text
    assert "Per device (selected) 1 device of 1 person Per person 2 devices of 1 person" in seen.page.text
    seen = await viewer.get(caveat.path("/count", filter="last_status = suppressed", unit="person"))
    assert "Per device 1 device of 1 person Per person (selected) 2 devices" in seen.page.text


async def test_the_difference_is_named_by_the_device_and_the_clause(viewer: Browser, caveat: Caveat) -> None:
    seen = await viewer.get(caveat.path("/apart", filter="last_status = suppressed"))
    assert "add 1 device" in seen.page.text
    assert caveat.place.path(f"/devices/{caveat.android.device_id.hex()}") in seen.page.links()
    assert "although this device does not match last_status = suppressed" in seen.page.text
    assert "ann" in seen.page.text
    seen = await viewer.get(caveat.path("/apart", filter="none(last_status = suppressed)", unit="person"))
    assert "miss 1 device" in seen.page.text
    assert "because its person does not match none(last_status = suppressed)" in seen.page.text
    same = await viewer.get(caveat.path("/apart", filter="person.id = ann"))
    assert "No difference" in same.page.text


async def test_all_devices_in_which_the_readings_differ_are_a_file(
    viewer: Browser, caveat: Caveat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_preview, "CSV_ROWS", 1)  # a page each
    zoe = [await caveat.place.device("zoe"), await caveat.place.device("zoe", platform=Platform.ANDROID)]
    await caveat.place.settled(zoe[0], REFUSED, REFUSED)
    text = "last_status = suppressed"
    for filter_, said in ((text, "included"), (f"none({text})", "excluded")):
        shown = await viewer.get(caveat.path("/apart", filter=filter_))
        [path] = [link for link in shown.page.links() if "/apart.csv" in link]
        rows = list(csv.DictReader(io.StringIO((await viewer.get(path)).text)))
        assert [row["device"] for row in rows] == sorted(
            one.device_id.hex() for one in (caveat.android, zoe[1])
        )
        assert {(row["read_of_people"], row["token"]) for row in rows} == {
            (said, caveat.android.token.masked),
            (said, zoe[1].token.masked),
        }
    same = await viewer.get(caveat.path("/apart", filter="person.id = ann"))
    assert not [link for link in same.page.links() if "/apart.csv" in link]
    assert (await viewer.get(caveat.path("/apart.csv", filter="nonsense ="))).status == 400


async def test_who_is_in_it_is_shown_as_devices_or_people_page_by_page(viewer: Browser, place: Place) -> None:
    await place.devices(60, app_version="4.1")
    for unit in ("device", "person"):
        asked = urlencode({"filter": "app_version = 4.1", "unit": unit})
        first = await viewer.get(place.path(f"/audiences/new?{asked}"))
        assert first.page.text.count("person-00") == 50
        [following] = [link for link in first.page.links() if "start=" in link]
        second = await viewer.get(following)
        assert (second.status, second.page.text.count("person-00")) == (200, 10)
        listed = await viewer.get(place.path(f"/audiences/members.csv?{asked}"))
        rows = list(csv.DictReader(io.StringIO(listed.text)))
        assert len({row["person_id" if unit == "device" else "id"] for row in rows}) == 60


async def test_without_script_it_is_counted_and_compared_on_the_page(viewer: Browser, caveat: Caveat) -> None:
    lazily = await viewer.get(caveat.path("/new", filter="last_status = suppressed"))
    assert "would add" not in lazily.page.text
    assert len([div for div in lazily.page.all("div") if "load" in (div.get("hx-trigger") or "")]) == 2
    seen = await viewer.get(caveat.path("/new", filter="last_status = suppressed", count="yes"))
    assert "Per person 2 devices" in seen.page.text
    assert "add 1 device" in seen.page.text
    assert not [div for div in seen.page.all("div") if "load" in (div.get("hx-trigger") or "")]


async def test_it_is_told_how_it_is_counted(viewer: Browser, caveat: Caveat) -> None:
    for path in ("/plan", "/new"):
        seen = await viewer.get(caveat.path(path, filter="last_status = suppressed", plan="yes"))
        assert "counted in" in seen.page.text
        assert "No useful index found." in seen.page.text
    assert "expected a value" in (await viewer.get(caveat.path("/plan", filter="platform ="))).page.text


async def test_what_is_wrong_is_said_beside_the_filter_and_what_was_typed_stays(
    operator: Browser, caveat: Caveat, room: Audiences
) -> None:
    typed = {"filter": "app_version <", "name": "Old", "description": "of last year", "unit": "person"}
    for seen in (
        await operator.get(caveat.path("/new", **typed)),
        await operator.post(caveat.path("/new"), typed),
    ):
        assert seen.status == 400
        assert said_beside(seen, "filter") == "unexpected end of the filter (character 14): expected a value"
        assert [value(seen, name) for name in ("filter", "name", "description")] == [
            *("app_version <", "Old", "of last year")
        ]
        assert chosen(seen) == ["person"]
    seen = await operator.get(caveat.path("/count", filter="app_version <"), **{"hx-request": "true"})
    assert (seen.status, seen.page.text) == (
        200,
        "Unexpected end of the filter (character 14): expected a value.",
    )
    assert (await operator.get(caveat.path("/members", filter="app_version <"))).page.text == ""
    assert await room.segments(caveat.place.workspace.workspace_id) == []


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"name": " "}, "name", "expected 1 to 255 bytes"),
        ({"name": "x" * 300}, "name", "expected 1 to 255 bytes"),
        ({"description": "x" * 2_001}, "description", "at most 2,000 bytes"),
        ({"filter": ""}, "filter", "enter a filter; use everybody for all devices"),
        ({"filter": "segment 99999999"}, "filter", "segment 99999999 does not exist"),
    ],
    ids=lambda changed: str(changed)[:24],
)
async def test_what_cannot_be_kept_is_said_beside_its_field(
    operator: Browser, caveat: Caveat, changes: dict[str, str], field: str, said: str
) -> None:
    given = {"name": "Gone", "filter": "last_status = suppressed", "unit": "device", **changes}
    seen = await operator.post(caveat.path("/new"), given)
    assert seen.status == 400
    assert said_beside(seen, field) == said
    assert value(seen, "name") == given["name"]


async def test_one_is_saved_changed_and_deleted_by_operators(
    site: Site, operator: Browser, viewer: Browser, caveat: Caveat
) -> None:
    given = {"name": "Gone", "filter": "last_status = suppressed", "unit": "device"}
    assert (await viewer.post(caveat.path("/new"), given)).status == 403
    here = kept(await operator.post(caveat.path("/new"), given))
    seen = await operator.get(here)
    assert "Audience saved." in seen.page.text
    assert [value(seen, name) for name in ("name", "filter")] == ["Gone", "last_status = suppressed"]
    changed = await operator.post(here, {**given, "filter": "last_status = bounced", "unit": "person"})
    assert kept(changed) == here
    seen = await operator.get(here)
    assert value(seen, "filter") == "last_status = bounced"
    assert chosen(seen) == ["person"]
    looked = await viewer.get(here)
    assert "Read-only." in looked.page.text
    assert not [button for button in looked.page.all("button") if button.get("formmethod") == "post"]
    assert kept(await operator.post(f"{here}/delete")) == caveat.path()
    assert (await operator.get(here)).status == 404
    rows = await site.database.rows(
        "select action, target, outcome, detail from audit_log where workspace = $1 order by audit_id",
        caveat.place.name,
    )
    assert [(row["action"], row["target"].partition(" ")[2], row["outcome"]) for row in rows] == [
        ("audience.make", "", "refused"),
        ("audience.make", "Gone", "done"),
        ("audience.change", "Gone", "done"),
        ("audience.delete", "Gone", "done"),
    ]
    assert rows[2]["detail"] == "unit: device → person; filter: changed"


async def test_where_it_is_used_is_told_and_keeps_it_from_being_deleted(
    operator: Browser, caveat: Caveat, room: Audiences
) -> None:
    workspace = caveat.place.workspace.workspace_id
    gone = await room.make(
        BY, workspace, Draft(name="Gone", filter="last_status = suppressed", unit=Unit.DEVICE)
    )
    other = await room.make(
        BY,
        workspace,
        Draft(name="Not gone", filter={"not": {"segment": {"id": gone.segment_id}}}, unit=Unit.PERSON),
    )
    listed = await operator.get(caveat.path())
    assert "audience Not gone" in listed.page.text
    assert f"not segment {gone.segment_id}" in listed.page.text
    here = caveat.path(f"/{gone.segment_id}")
    seen = await operator.get(here)
    assert caveat.path(f"/{other.segment_id}") in seen.page.links()
    assert "You can delete this audience once" in seen.page.text
    refused = await operator.post(f"{here}/delete")
    assert refused.status == 409
    assert f"Audience {other.segment_id} references this audience" in refused.page.text
    circle = await operator.post(
        here, {"name": "Gone", "filter": f"segment {other.segment_id}", "unit": "device"}
    )
    assert circle.status == 400
    assert "an audience cannot reference itself" in said_beside(circle, "filter")
    rows = list(csv.DictReader(io.StringIO((await operator.get(caveat.path(".csv"))).text)))
    assert [(row["kind"], row["used_by"]) for row in rows] == [
        ("device filter", f"audience {other.segment_id}"),
        ("person filter", ""),
    ]


async def test_a_list_kept_by_hand_is_told_apart_and_shows_who_is_in_it(
    operator: Browser, caveat: Caveat, room: Audiences
) -> None:
    workspace = caveat.place.workspace.workspace_id
    made = await room.make(BY, workspace, Draft(name="Testers"))
    await room.add(workspace, made.segment_id, [Identifier(IdentifierKind.ID, "ben")])
    assert "Manual list" in (await operator.get(caveat.path())).page.text
    seen = await operator.get(caveat.path(f"/{made.segment_id}"))
    assert "ben" in seen.page.text
    assert "ann" not in seen.page.text
    assert not [field for field in seen.page.all("input") if field.get("name") == "filter"]
    changed = await operator.post(
        caveat.path(f"/{made.segment_id}"), {"name": "x", "filter": "everybody", "unit": "device"}
    )
    assert changed.status == 404
    assert kept(await operator.post(caveat.path(f"/{made.segment_id}/delete"))) == caveat.path()


async def test_a_broadcast_is_asked_for_by_the_saved_audience_or_the_filter(
    operator: Browser, viewer: Browser, caveat: Caveat, room: Audiences
) -> None:
    workspace = caveat.place.workspace.workspace_id
    made = await room.make(
        BY, workspace, Draft(name="Gone", filter="last_status = suppressed", unit=Unit.DEVICE)
    )

    def asked(seen: Seen) -> list[dict[str, list[str]]]:
        begin = caveat.place.path("/broadcasts/new")
        return [parse_qs(urlsplit(link).query) for link in seen.page.links() if link.startswith(begin)]

    saved = asked(await operator.get(caveat.path(f"/{made.segment_id}")))
    assert saved == [{"audience": [f"segment {made.segment_id}"]}]
    typed = caveat.path("/count", filter="platform = ios", unit="person")
    assert asked(await operator.get(typed)) == [{"audience": ["platform = ios"], "unit": ["person"]}]
    assert asked(await viewer.get(typed)) == []


async def test_names_stay_text(operator: Browser, caveat: Caveat) -> None:
    given = {"name": HOSTILE, "description": HOSTILE, "filter": 'model = "<img src=x>"', "unit": "device"}
    here = kept(await operator.post(caveat.path("/new"), given))
    for path in (here, caveat.path(), f"{here}?plan=yes&filter=model+%3D+%22%3Cimg+src%3Dx%3E%22"):
        seen = await operator.get(path)
        assert seen.status == 200
        assert seen.page.all("img") == []
        assert "onerror" not in {name for _, attributes in seen.page.tags for name in attributes}


async def test_a_workspace_without_devices_is_told_what_comes_first(viewer: Browser, place: Place) -> None:
    seen = await viewer.get(place.path("/audiences"))
    assert "No audience yet" in seen.page.text
    assert "how to register a device" in seen.page.text
    assert (await viewer.get(place.path("/audiences/new"))).status == 200


async def test_a_workspace_without_audiences_is_shown_some(viewer: Browser, caveat: Caveat) -> None:
    seen = await viewer.get(caveat.path())
    assert "Apps register" not in seen.page.text
    [example] = [link for link in seen.page.links() if "filter=last_status" in link]
    assert "1 device" in (await viewer.get(f"{example}&count=yes")).page.text


async def test_what_is_nobodys_number_or_unit_is_said(viewer: Browser, caveat: Caveat) -> None:
    assert (await viewer.get(caveat.path("/nope"))).status == 404
    assert (await viewer.get(caveat.path("/count", filter="platform = ios", unit="phone"))).status == 400
    assert (await viewer.get(caveat.path("/members.csv", filter="platform ="))).status == 400


@pytest.mark.parametrize("slow", [False, True])
def test_what_cannot_be_counted_in_time_is_estimated_and_says_so(*, slow: bool) -> None:
    """A test has no million devices: the part of the page is written as it is for those who have."""
    visit = PageRequest(
        method="GET",
        path="/",
        segments={},
        query=QueryParams(""),
        address="",
        held="",
        request_id="",
        workspace=NamedWorkspace(WorkspaceId(1), "shop", None),
    )
    size = Estimate(people=1_000, devices=1_200, people_margin=80, devices_margin=90)
    seen = page(
        visit,
        "audience_count.html",
        tried=PreviewedFilter(filter="platform = ios", unit=Unit.DEVICE, at="new"),
        counts=None if slow else {Unit.DEVICE: size, Unit.PERSON: Size(people=1_000, devices=1_300)},
        slow=slow,
        problem=None,
    )
    text = Page.of(seen.body.decode()).text
    if slow:
        assert "This count takes a while" in text
    else:
        assert "about 1,200 devices ±90 of 1,000 people ±80" in text
        assert "1,300 devices of 1,000 people" in text
        assert "95% confidence" in text
