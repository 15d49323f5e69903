"""The gate: each door and each role, other sites, forms that are not ours, and what is written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from benchmarks.pages import NOT_MEASURED, PAGES
from pushkeeper import api
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import Action, View
from support.doors import ASKED, NOTHING, all_page_routes, filled
from support.examples import share
from support.inside import Inside, app_of

if TYPE_CHECKING:
    from pushkeeper.dashboard.ui.page import PageRoute
    from support.dashboard import Browser, Place, Seen, Site


def address(door: PageRoute, place: Place) -> str:
    return re.sub(r"{([^}]+)}", lambda match: NOTHING.get(match[1]) or place.name, door.path)


def is_shut(status: int, location: str) -> bool:
    return status == 403 or (status == 303 and location.startswith("/login")) or status == 401


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.value if role else "nobody")
async def test_a_door_opens_to_its_roles_and_to_nobody_else(
    site: Site, place: Place, role: Role | None
) -> None:
    browser = Inside.of(site, app_of(site), role)
    wrong, shut = [], 0
    for door in all_page_routes(site):
        # What ends the session that tests share, or counts as a wrong password.
        if isinstance(door, Action) and (door.path == "/login" or (door.path == "/logout" and role)):
            continue
        path = address(door, place)
        seen = await browser.get(path) if isinstance(door, View) else await browser.post(path)
        may = door.role is None or (role is not None and role.includes(door.role))
        shut += not may
        hold(seen)
        if is_shut(seen.status, seen.location) is may:
            wrong.append((door.path, type(door).__name__, seen.status))
    assert wrong == []
    assert shut >= {None: 130, Role.VIEWER: 50, Role.OPERATOR: 25, Role.ADMIN: 0}[role]


def hold(seen: Seen) -> None:
    """Whatever is answered is kept by nobody, taken for nothing else, and shown in nobody's frame."""
    assert seen.headers["cache-control"] == "no-store"
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in seen.headers["content-security-policy"]
    assert seen.headers["cross-origin-opener-policy"] == "same-origin"
    assert seen.headers["referrer-policy"] == "same-origin"
    for cookie in seen.headers.get("set-cookie", "").splitlines():
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


# Every way in which another site may send a form.
FORGERIES: dict[str, dict[str, str]] = {
    "a foreign origin": {"origin": "https://evil.example"},
    "no origin that is told": {"origin": "null"},
    "another port": {"origin": "http://127.0.0.1:1"},
    "cross-site": {"sec_fetch_site": "cross-site"},
    "same-site": {"sec_fetch_site": "same-site"},
    "what no browser says": {"sec_fetch_site": "elsewhere"},
    "a foreign origin that says same-origin": {
        "origin": "https://evil.example",
        "sec_fetch_site": "same-origin",
    },
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_no_form_that_another_site_sends_changes_anything(
    site: Site, place: Place, forgery: str
) -> None:
    """As an admin, who may change all: each door that changes something refuses, before anything is written down."""
    app = app_of(site)
    admin, nobody = Inside.of(site, app, Role.ADMIN), Inside.of(site, app, None)
    lines = await site.database.value("select count(*) from audit_log")
    through = []
    changes = [door for door in all_page_routes(site) if isinstance(door, Action)]
    for door in changes:
        browser = nobody if door.role is None else admin
        seen = await browser.post(address(door, place), {"name": "taken over"}, **FORGERIES[forgery])
        if seen.status != 403:
            through.append((door.path, seen.status))
    assert through == []
    assert len(changes) > 35
    assert await site.database.value("select count(*) from audit_log") == lines


def test_every_change_has_a_name_for_the_audit_log_and_no_look_changes(site: Site) -> None:
    doors = all_page_routes(site)
    changes = [door for door in doors if isinstance(door, Action)]
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", door.action) for door in changes)
    assert len({(door.path, type(door)) for door in doors}) == len(doors)


def test_every_page_has_its_line_in_the_benchmark_of_pages(site: Site) -> None:
    looks = {door.path for door in all_page_routes(site) if isinstance(door, View)}
    pages = {path for path in looks if not path.endswith(".csv")} - set(NOT_MEASURED)
    assert {page.path for page in PAGES} == pages
    assert looks.issuperset(NOT_MEASURED)
    assert len({page.name for page in PAGES}) == len(PAGES)


def test_only_the_way_in_needs_no_user(site: Site) -> None:
    assert {door.path for door in all_page_routes(site) if door.role is None} == {"/login", "/link/{link}"}


async def test_credentials_keys_users_and_options_are_for_admins(site: Site) -> None:
    admins = {
        door.action for door in all_page_routes(site) if isinstance(door, Action) and door.role is Role.ADMIN
    }
    assert admins == {
        *("credentials.put", "key.make", "key.revoke", "options.change", "workspace.create"),
        *("user.add", "user.role", "user.link", "user.disable", "user.enable"),
        *("webhook.add", "webhook.change", "webhook.delete", "strikes.undo", "strikes.resume"),
        *("import.make", "import.map", "import.apply", "import.cancel"),
    }


def test_no_page_begins_as_a_path_of_the_apis_does(site: Site) -> None:
    """A router is chosen by the beginning of a path: none of the APIs' is made longer by pages."""
    pages = {door.path.split("/")[1] for door in all_page_routes(site)} | {"static"}
    source = Path(api.__file__).parent
    paths = {
        path
        for file in source.rglob("*.py")
        for path in re.findall(r'"/([a-z0-9_]+)[/"]', file.read_text(encoding="utf-8"))
    }
    assert {"api", "v1", "healthz"} <= paths
    assert pages & paths == set()


# Other sites.


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
async def test_a_form_that_another_site_sends_is_refused(
    admin: Browser, place: Place, headers: dict[str, str]
) -> None:
    seen = await admin.post("/workspaces", {"name": "taken over"}, **headers)
    assert seen.status == 403
    assert "taken over" not in (await admin.get("/workspaces")).text


async def test_a_form_of_who_says_nothing_of_sites_is_taken(admin: Browser) -> None:
    """Programs send neither header, and no browser has them send what its visitor's cookies open."""
    sent = {"content-type": "application/x-www-form-urlencoded"}
    assert (await admin._exchange("POST", "/workspaces", b"name=", sent)).status == 400


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"x" * 300_000, "application/x-www-form-urlencoded"),
        (b"--x\r\nnothing", "multipart/form-data; boundary=y"),
        (b"&".join(b"a=%d" % n for n in range(500)), "application/x-www-form-urlencoded"),
    ],
    ids=["json", "too long", "broken", "too many fields"],
)
async def test_what_is_no_form_is_refused(admin: Browser, body: bytes, kind: str) -> None:
    headers = {"content-type": kind, "origin": f"http://127.0.0.1:{admin.port}"}
    seen = await admin._exchange("POST", "/workspaces", body, headers)
    assert seen.status in {400, 403}


async def test_other_methods_are_not_possible(admin: Browser) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await admin._exchange(method, "/workspaces", b"", {})).status == 405
    assert (await admin.post("/audit")).status == 405


NASTY = (
    "%00",
    "%FF",
    "%ED%A0%80",
    "-1",
    "9" * 40,
    "1e999",
    "%F0%9F%92%A9",
    "' or 1=1 --",
    "a" * 9_000,
    "((((",
    "0001-01-01",
    "nan",
)


async def test_no_address_breaks_a_page(site: Site, place: Place) -> None:
    """Any text in an address is looked up, rejected or ignored; it never causes an internal error."""
    admin = Inside.of(site, app_of(site), Role.ADMIN)
    device = await place.device("ann")
    here = {"workspace": place.name}
    there = {
        **NOTHING,
        **here,
        "device": device.device_id.hex(),
        "person": f"{device.person_id:012x}",
    }
    broken = []
    for turn, door in enumerate(all_page_routes(site)):
        if not isinstance(door, View) or "simulator" in door.path:
            continue
        for nasty in share(NASTY, turn, usual=3):
            query = "&".join(f"{name}={quote(nasty, safe='%')}" for name in ASKED)
            for address in (
                f"{filled(door.path, there, place.name)}?{query}",
                filled(door.path, here, quote(nasty, safe="%")),
            ):
                seen = await admin.get(address)
                if seen.status >= 500:
                    broken.append((address, seen.status))
    assert broken == []


# What is written down.


async def lines(site: Site, action: str) -> list[tuple[str, str, str, str]]:
    rows = await site.database.rows(
        "select user_name, workspace, target, outcome from audit_log where action = $1 order by audit_id",
        action,
    )
    return [tuple(row.values()) for row in rows]


async def test_what_was_done_and_what_was_refused_is_written_down(
    site: Site, admin: Browser, operator: Browser, place: Place
) -> None:
    await operator.post(place.path("/settings/options"), {"ramp_s": "1"})
    await admin.post(place.path("/settings/options"), {"ramp_s": "much"})
    await admin.post(
        place.path("/settings/options"),
        {
            "ramp_s": "30",
            "suppress_after": "3",
            "min_strike_gap_s": "0",
            "max_pushes_per_s": "",
            "token_ownership": "move",
        },
    )
    assert [line for line in await lines(site, "options.change") if line[1] == place.name] == [
        ("operator@example.com", place.name, "", "refused"),
        ("admin@example.com", place.name, "", "done"),
    ]


async def test_who_came_in_is_written_down_and_who_was_refused(site: Site, nobody: Browser) -> None:
    before = len(await lines(site, "user.log_in"))
    await nobody.post("/login", {"name": "hunter2 is my password", "password": "wrong"})
    assert (await lines(site, "user.log_in"))[before:] == [("", "", "", "refused")]
    rows = await site.database.rows("select row_to_json(a)::text as said from audit_log a")
    assert not any("hunter2" in row["said"] for row in rows)


async def test_the_log_is_read_by_page_and_by_user_and_as_csv(
    site: Site, admin: Browser, place: Place
) -> None:
    for number in range(60):
        await admin.post("/workspaces", {"name": f"logged-{place.name}-{number}"})
    user = await site.users.named("admin@example.com")
    seen = await admin.get(f"/audit?user={user.user_id}")
    [following] = [link["href"] for link in seen.page.all("a") if link.get("rel") == "next"]
    assert (await admin.get(following or "")).status == 200
    listed = (await admin.get(f"/audit.csv?user={user.user_id}")).text.splitlines()
    assert len([line for line in listed if f"logged-{place.name}-" in line]) == 60
    assert (await admin.get("/audit?user=nope")).status == 400


async def test_no_secret_is_in_the_log(site: Site, admin: Browser, place: Place) -> None:
    seen = await admin.post(place.path("/settings/keys"), {"kind": "app"})
    [key] = re.findall(r"<code>([0-9a-f]{40})</code>", seen.text)
    rows = await site.database.rows("select row_to_json(a)::text as said from audit_log a")
    assert not any(key in row["said"] for row in rows)
