"""The pages: what each shows, what an empty workspace is told to do, and that nothing of elsewhere is in them."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content, Platform
from pushkeeper.services.messages.templates import Templates
from pushkeeper.store.devices.devices import Registration, SettleEvent
from pushkeeper.store.messages.templates import Draft, TemplateKind
from pushkeeper.store.people.people import PersonReference
from pushkeeper.wiring import CHECKS
from support.actors import BY
from support.hostile import HOSTILE, held

if TYPE_CHECKING:
    from support.dashboard import Browser, Place, Site

OF_A_WORKSPACE = (
    *("", "/devices", "/people", "/messages", "/templates", "/routes", "/routes/add", "/routes/add/fcm"),
    *(
        "/routes/add/apns",
        "/webhooks",
        "/webhooks/add",
        "/settings",
        "/reports",
        "/reports/pushes",
        "/reports/refusals",
    ),
    *("/reports/comebacks", "/reports/broadcasts", "/reports/tokens"),
    *("/broadcasts", "/broadcasts/new"),
)
OF_ALL = ("/workspaces", "/users", "/audit", "/account", "/login")


async def described(site: Site, place: Place, name: str) -> dict[str, str]:
    """A workspace with one of everything, each called so; and the addresses of its pages."""
    workspace = place.workspace.workspace_id
    await place.person(name, plan=name, **{name[:40]: {"inner": [name]}})
    device = await place.device(name, **{"app_version": name[:60], name[:40]: name})
    await place.settled(device, SettleEvent.REFUSED, SettleEvent.REFUSED, reason=name[:60])
    template = await Templates(site.database, CHECKS).make(
        BY,
        workspace,
        Draft(
            kind=TemplateKind.TRANSACTIONAL,
            name=name,
            trigger_name=name,
            description=name,
            content=Content(title=f"{{% raw %}}{name}{{% endraw %}}"),
        ),
    )
    return {
        "device": place.path(f"/devices/{device.device_id.hex()}"),
        "person": place.path(f"/people/{device.person_id:012x}"),
        "template": place.path(f"/templates/{template.template_id}"),
    }


@pytest.mark.parametrize("path", OF_A_WORKSPACE)
async def test_an_empty_workspace_says_what_to_do_first(admin: Browser, place: Place, path: str) -> None:
    seen = await admin.get(place.path(path))
    assert seen.status == 200
    held(seen)
    if path in {"", "/devices", "/people", "/messages", "/templates", "/routes", "/webhooks"}:
        shown = " ".join(
            re.findall(r"<pre><code>(.*?)</code></pre>|<code>(pushkeeper .*?)</code>", seen.text, re.DOTALL)[
                0
            ]
        )
        assert "curl " in shown or "pushkeeper " in shown


@pytest.mark.parametrize("path", OF_ALL)
async def test_pages_of_the_installation_hold_nothing_of_elsewhere(admin: Browser, path: str) -> None:
    browser = admin
    seen = await browser.get(path)
    if path != "/login":
        assert seen.status == 200
        held(seen)


async def test_the_ways_in_hold_nothing_of_elsewhere(nobody: Browser, site: Site) -> None:
    held(await nobody.get("/login"))
    _, entry = await site.users.add(BY, "held@example.com", (await site.users.all())[0].role)
    held(await nobody.get(f"/link/{entry.token}"))


async def test_every_page_has_one_heading_a_main_part_and_a_title_of_its_own(
    admin: Browser, place: Place
) -> None:
    titles = []
    for path in [*map(place.path, OF_A_WORKSPACE), "/workspaces", "/users", "/audit", "/account"]:
        seen = await admin.get(path)
        assert len(seen.page.all("h1")) == 1, path
        assert len(seen.page.all("main")) == 1, path
        assert seen.page.all("html")[0]["lang"] == "en"
        titles += re.findall(r"<title>(.*?)</title>", seen.text)
    assert len(set(titles)) == len(titles)


async def test_what_is_called_html_stays_text_everywhere(site: Site, admin: Browser, place: Place) -> None:
    pages = await described(site, place, HOSTILE)
    paths = [*pages.values(), *map(place.path, OF_A_WORKSPACE)]
    for path in paths:
        seen = await admin.get(path)
        assert seen.status == 200, path
        held(seen)
        assert "<img src=x" not in seen.text, path
        assert "<script>alert" not in seen.text, path
        assert not seen.page.all("img")
    for name in pages:
        assert "<img src=x onerror=alert(1)>" in (await admin.get(pages[name])).page.text


async def test_a_hostile_filter_and_name_come_back_as_text(admin: Browser, place: Place) -> None:
    for path in (f"/devices?filter={quote(HOSTILE)}", f"/people?filter={quote(HOSTILE)}"):
        seen = await admin.get(place.path(path))
        assert seen.status == 400
        held(seen)
        [box] = [field for field in seen.page.all("input") if field.get("name") == "filter"]
        assert box["value"] == HOSTILE
    seen = await admin.post("/users", {"name": HOSTILE * 9, "role": "viewer"})
    assert seen.status == 400
    held(seen)
    seen = await admin.post("/workspaces", {"name": HOSTILE})
    assert seen.status == 200
    held(await admin.get("/workspaces"))
    assert HOSTILE in (await admin.get("/workspaces")).page.text


async def test_tokens_and_secrets_are_on_no_page(site: Site, admin: Browser, place: Place) -> None:
    device = await place.device("ann", token="a-token-that-nobody-is-to-read-whole-0123456789")
    await place.settled(device, SettleEvent.ACCEPTED)
    shown = []
    for path in (
        "/devices",
        "/devices.csv",
        f"/devices/{device.device_id.hex()}",
        f"/devices/{device.device_id.hex()}/timeline.csv",
        f"/people/{device.person_id:012x}",
        f"/people/{device.person_id:012x}/devices.csv",
        "/messages",
        "/settings",
        "/settings/keys.csv",
    ):
        seen = await admin.get(place.path(path))
        assert seen.status == 200, path
        shown.append(seen.text)
    said = " ".join(shown)
    assert device.token.value not in said
    assert device.token.masked in said
    for key in (place.keys.api_key, place.keys.app_api_key, place.keys.write_key):
        assert key not in said
    assert place.keys.site_id in said


async def test_the_overview_says_who_is_reached_and_what_needs_somebody(
    site: Site, admin: Browser, place: Place
) -> None:
    devices = await place.devices(6, app_version="4.2")
    await place.settled(devices[0], SettleEvent.ACCEPTED)
    await place.settled(devices[1], SettleEvent.REFUSED)
    await place.settled(devices[2], SettleEvent.REFUSED, SettleEvent.REFUSED)
    await site.database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, sealed, facts) values "
        "($1, 'apns', 'certificate', 'com.example.app', '', $2) returning credential_id) "
        "insert into routes (workspace_id, credential_id, paused_at, pause_kind, pause_reason) "
        "select $1, credential_id, now(), 'credentials', 'credentials 403 InvalidProviderToken' from c",
        place.workspace.workspace_id,
        {"expires_at": "2020-01-31T00:00:00Z"},
    )
    page = (await admin.get(place.path())).page
    assert "People reachable 4 66.7% of 6 people with a device" in page.text
    assert "apns:production:com.example.app is paused" in page.text
    assert "No worker is running. Nothing is being sent." in page.text
    assert "The certificate of com.example.app has expired on 2020-01-31" in page.text
    assert place.path("/routes/apns%3Aproduction%3Acom.example.app") in page.links()
    part = await admin.get(place.path(), **{"hx-request": "true"})
    assert "<html" not in part.text
    assert "is paused" in part.page.text


async def test_a_device_shows_its_status_why_and_all_that_happened(admin: Browser, place: Place) -> None:
    device = await place.device("ann")
    await place.settled(device, SettleEvent.ACCEPTED, SettleEvent.REFUSED, SettleEvent.REFUSED)
    page = (await admin.get(place.path(f"/devices/{device.device_id.hex()}"))).page
    assert "Rejected repeatedly" in page.text
    assert "APNs 410 Unregistered" in page.text
    what = ["Push rejected", "Push accepted", "Registered"]
    assert sorted(what, key=page.text.rindex) == what


async def test_a_device_shows_the_route_that_a_push_would_take(admin: Browser, place: Place) -> None:
    device = await place.device("ann", platform=Platform.ANDROID)
    path = place.path(f"/devices/{device.device_id.hex()}")
    before = (await admin.get(path)).page
    assert "no FCM credentials" in before.text
    assert place.path("/routes/fcm%3Aproject") not in before.links()
    await place.credential()
    assert place.path("/routes/fcm%3Aproject") in (await admin.get(path)).page.links()


async def test_a_device_shows_what_its_last_registration_lost(
    site: Site, admin: Browser, place: Place
) -> None:
    device = await place.device("ann")
    path = place.path(f"/devices/{device.device_id.hex()}")
    assert 'data-test="dropped"' not in (await admin.get(path)).text
    again = Registration(
        token=device.token,
        platform=device.platform,
        last_used=device.last_used,
        dropped_attributes={"flags": "value for attribute 'flags' cannot be longer than 1000 bytes"},
    )
    ann = Identifier(IdentifierKind.ID, "ann")
    await site.registry.register(PersonReference(workspace_id=place.workspace.workspace_id, path=ann), again)
    seen = await admin.get(path)
    assert 'data-test="dropped"' in seen.text
    assert "flags value for attribute 'flags' cannot be longer than 1000 bytes" in seen.page.text


async def test_a_deleted_device_still_says_what_happened(site: Site, admin: Browser, place: Place) -> None:
    device = await place.device("ann")
    await site.registry.forget_device(
        place.workspace.workspace_id, Identifier(IdentifierKind.ID, "ann"), device.token
    )
    seen = await admin.get(place.path(f"/devices/{device.device_id.hex()}"))
    assert seen.status == 200
    assert "This device was deleted" in seen.page.text
    assert "Deleted" in seen.page.text


async def test_of_another_workspace_nothing_is_shown(site: Site, admin: Browser, place: Place) -> None:
    other = await site.workspace()
    device = await other.device("ann")
    for path in (f"/devices/{device.device_id.hex()}", f"/people/{device.person_id:012x}"):
        assert (await admin.get(place.path(path))).status == 404
        assert (await admin.get(other.path(path))).status == 200
    assert device.token.masked not in (await admin.get(place.path("/devices"))).text


@pytest.mark.parametrize(
    "path",
    [
        *("/devices/nope", "/devices/" + "00" * 16, "/people/nope", "/people/00000000ffff"),
        *("/messages/nope", "/messages/to-many/nope", "/templates/nope", "/templates/9" + "9" * 30),
        *("/routes/nope", "/routes/credentials/nope", "/webhooks/nope", "/nope", "/devices/x/y/z"),
    ],
)
async def test_what_is_not_there_is_not_found(admin: Browser, place: Place, path: str) -> None:
    seen = await admin.get(place.path(path))
    assert seen.status == 404
    held(seen)
    assert "Page not found" in seen.page.text


async def test_a_workspace_that_is_not_there_is_not_found(admin: Browser) -> None:
    assert (await admin.get("/w/nope")).status == 404


async def test_a_workspace_whose_name_is_odd_is_reached(site: Site, admin: Browser) -> None:
    place = await site.workspace("Läden & Co / 50 % <off>")
    seen = await admin.get("/workspaces")
    [link] = {link for link in seen.page.links() if "L%C3%A4den" in link}
    assert (await admin.get(link)).status == 200
    for path in (await admin.get(link)).page.links():
        if path.startswith(link):
            assert (await admin.get(path)).status == 200, path
    assert place.name in (await admin.get(link)).page.text


async def test_a_returning_user_finds_the_last_visited_workspace(site: Site, admin: Browser) -> None:
    await site.workspace("aaa first of all")
    place = await site.workspace("zzz last of all")
    await admin.get(f"/w/{'zzz%20last%20of%20all'}")
    assert (await admin.get("/")).location == "/w/zzz%20last%20of%20all"
    assert place.name in (await admin.get("/users")).page.text


async def test_files_are_kept_for_ever_by_an_address_that_holds_what_they_are(admin: Browser) -> None:
    page = (await admin.get("/workspaces")).page
    files = [script["src"] or "" for script in page.all("script")]
    files += [link["href"] or "" for link in page.all("link")]
    assert len(files) >= 4
    for path in files:
        seen = await admin.get(path, **{"accept-encoding": "gzip"})
        assert seen.status == 200
        assert "immutable" in seen.headers["cache-control"]
        assert seen.headers["content-encoding"] == "gzip"
        name = path.rpartition("/")[2]
        assert (await admin.get(f"/static/000000000000/{name}")).status == 404
    assert (await admin.get("/static/000000000000/..%2F..%2Fgate.py")).status == 404


async def test_pages_are_zipped_for_browsers_that_read_that(admin: Browser) -> None:
    seen = await admin.get("/workspaces", **{"accept-encoding": "gzip, br"})
    assert seen.headers["content-encoding"] == "gzip"
    assert b"<h1>Workspaces</h1>" in gzip.decompress(seen.body)


async def test_the_head_of_a_page_is_a_page_without_its_body(admin: Browser) -> None:
    seen = await admin._exchange("HEAD", "/workspaces", None, {})
    assert (seen.status, seen.body) == (200, b"")
    assert int(seen.headers["content-length"]) > 1_000


async def test_the_theme_that_was_chosen_is_there_from_the_start(admin: Browser) -> None:
    assert "data-theme" not in (await admin.get("/workspaces")).page.all("html")[0]
    admin.cookies["pushkeeper_theme"] = "dark"
    assert (await admin.get("/workspaces")).page.all("html")[0]["data-theme"] == "dark"
    admin.cookies["pushkeeper_theme"] = '"><script>'
    assert "data-theme" not in (await admin.get("/workspaces")).page.all("html")[0]
