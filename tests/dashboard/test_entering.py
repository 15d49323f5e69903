"""Coming in and going out: passwords, links, cookies, and where one is led on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from pushkeeper.core.roles import Role
from support.dashboard import PASSWORD, served
from support.databases import own_database
from support.inside import Inside, app_of

if TYPE_CHECKING:
    from pathlib import Path

    from pushkeeper.store.db.database import Database
    from support.dashboard import Browser, Place, Site


async def test_who_is_not_logged_in_is_led_to_the_log_in_and_back(nobody: Browser, place: Place) -> None:
    asked = await nobody.get(place.path("/devices?filter=platform+%3D+ios"))
    assert asked.status == 303
    assert asked.location == f"/login?next=%2Fw%2F{place.name}%2Fdevices%3Ffilter%3Dplatform%2B%253D%2Bios"
    form = await nobody.get(asked.location)
    [there] = [field["value"] for field in form.page.all("input") if field.get("name") == "next"]
    done = await nobody.post(
        "/login", {"name": "viewer@example.com", "password": PASSWORD, "next": there or ""}
    )
    assert (done.status, done.location) == (303, place.path("/devices?filter=platform+%3D+ios"))
    assert (await nobody.get(done.location)).status == 200


async def test_a_wrong_password_keeps_the_name_and_says_what_is_wrong(nobody: Browser) -> None:
    seen = await nobody.post("/login", {"name": "viewer@example.com", "password": "wrong"})
    assert seen.status == 401
    assert "Incorrect name or password" in seen.page.text
    [name] = [field for field in seen.page.all("input") if field.get("name") == "name"]
    assert name["value"] == "viewer@example.com"
    assert "wrong" not in [field.get("value") for field in seen.page.all("input")]
    assert "pushkeeper_session" not in nobody.cookies


async def test_a_missing_password_is_said_beside_its_field(nobody: Browser) -> None:
    seen = await nobody.post("/login", {"name": "viewer@example.com"})
    assert seen.status == 400
    [field] = [field for field in seen.page.all("input") if field.get("name") == "password"]
    assert field["aria-invalid"] == "true"
    assert field["aria-describedby"] == "password-wrong"
    assert "password-wrong" in [span.get("id") for span in seen.page.all("span")]


ELSEWHERE = (
    *(
        "https://evil.example",
        "http:evil.example",
        "HTTPS://evil.example",
        "//evil.example",
        "///evil.example",
    ),
    *(
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
    ),
    *(
        "\t//evil.example",
        " //evil.example",
        "\0//evil.example",
        "/a\nb",
        "/a\r\nset-cookie: a=b",
        "evil",
        "evil.example",
    ),
    *("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "@evil.example", ".evil.example"),
    *("/\u2028/evil.example", "/\u00a0/evil.example", "//evil.example/..//", "?next=//evil.example", ""),
)


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=ascii)
async def test_the_log_in_leads_to_no_other_site(site: Site, elsewhere: str) -> None:
    """Where a browser would be led to, by its own rules for addresses, is a path of ours."""
    nobody = Inside.of(site, app_of(site), None)
    given = {"name": "viewer@example.com", "password": PASSWORD, "next": elsewhere}
    done = await nobody.post("/login", given)
    assert done.status == 303
    # Browsers drop tabs and line breaks, and take a backslash for a slash.
    led = re.sub(r"[\t\r\n]", "", done.location).strip().replace("\\", "/")
    assert re.match(r"/(?!/)", led), done.location
    assert urlsplit(urljoin("http://ours.example/login", led)).netloc == "ours.example"
    assert "set-cookie: a=b" not in str(done.headers)


async def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(nobody: Browser) -> None:
    done = await nobody.post("/login", {"name": "viewer@example.com", "password": PASSWORD})
    assert done.status == 303
    [kept] = [value for name, value in done.headers.items() if name == "set-cookie"][:1]
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept


async def test_over_tls_the_cookie_is_bound_to_it_and_to_this_host(database: Database, folder: Path) -> None:
    async with (
        own_database(database) as own,
        served(own, folder, url="https://push.example.com") as site,
    ):
        browser = site.browser(Role.VIEWER)
        await browser.get("/login")
        came = await site.browser().post(
            "/login", {"name": "viewer@example.com", "password": PASSWORD}, origin=site.url
        )
        kept = came.headers["set-cookie"].splitlines()
        assert all(
            re.match(r"__Host-[a-z_]+=[^;]*; Path=/; HttpOnly; SameSite=Lax", cookie) for cookie in kept
        )
        assert all(cookie.endswith("; Secure") for cookie in kept)
        assert any(cookie.startswith("__Host-pushkeeper_session=") for cookie in kept)
        # A proxy hands on the origin that browsers name.
        done = await browser.post("/logout", origin="https://push.example.com")
        assert done.status == 303


async def test_a_session_that_was_put_into_the_browser_before_is_not_the_one_after(site: Site) -> None:
    fixed = "an-attacker-knows-this-one-0123456789abcdefgh"
    browser = Inside.of(site, app_of(site), None)
    browser.cookies[site.cookie] = fixed
    done = await browser.post("/login", {"name": "viewer@example.com", "password": PASSWORD})
    assert done.status == 303
    assert browser.cookies[site.cookie] != fixed
    assert (await browser.get("/account")).status == 200
    other = Inside(site.port, {site.cookie: fixed}, app=browser.app)
    assert (await other.get("/account")).status == 303


async def test_logging_out_ends_the_session_for_a_kept_cookie_too(site: Site) -> None:
    browser = site.browser()
    await browser.post("/login", {"name": "viewer@example.com", "password": PASSWORD})
    kept = dict(browser.cookies)
    assert (await browser.get("/account")).status == 200
    done = await browser.post("/logout")
    assert (done.status, done.location) == (303, "/login")
    browser.cookies = kept
    assert (await browser.get("/account")).status == 303


async def test_before_there_is_anybody_the_log_in_says_how_there_will_be(
    database: Database, folder: Path
) -> None:
    async with own_database(database) as own, served(own, folder) as site:
        await own.rows("delete from audit_log")
        await own.rows("delete from sessions")
        await own.rows("delete from users")
        seen = await site.browser().get("/login")
        assert "pushkeeper user add" in seen.page.text


async def test_an_invitation_sets_a_password_and_logs_in(site: Site, admin: Browser) -> None:
    made = await admin.post("/users", {"name": "carl@example.com", "role": "operator"})
    assert made.status == 200
    [link] = [word for word in made.page.text.split() if "/link/" in word]
    path = link.removeprefix(site.url)
    invited = site.browser()
    form = await invited.get(path)
    assert "carl@example.com" in form.page.text
    refused = await invited.post(path, {"password": PASSWORD, "again": "another"})
    assert refused.status == 400
    assert "The passwords do not match" in refused.page.text
    done = await invited.post(path, {"password": PASSWORD, "again": PASSWORD})
    assert (done.status, done.location) == (303, "/")
    assert "carl@example.com" in (await invited.get("/account")).page.text
    assert (await invited.get(path)).status == 404


async def test_a_changed_password_needs_the_former_one(site: Site, admin: Browser) -> None:
    made = await admin.post("/users", {"name": "dora@example.com", "role": "viewer"})
    [link] = [word for word in made.page.text.split() if "/link/" in word]
    browser = site.browser()
    await browser.post(link.removeprefix(site.url), {"password": PASSWORD, "again": PASSWORD})
    words = {"password": "another password", "again": "another password"}
    assert (await browser.post("/account", {"former": "wrong", **words})).status == 401
    done = await browser.post("/account", {"former": PASSWORD, **words})
    assert (done.status, done.location) == (303, "/account")
    said = await browser.get("/account")
    assert "Password changed" in said.page.text
    assert "Password changed" not in (await browser.get("/account")).page.text


async def test_a_disabled_user_is_out_at_their_next_page(site: Site, admin: Browser) -> None:
    made = await admin.post("/users", {"name": "emil@example.com", "role": "viewer"})
    [link] = [word for word in made.page.text.split() if "/link/" in word]
    browser = site.browser()
    await browser.post(link.removeprefix(site.url), {"password": PASSWORD, "again": PASSWORD})
    user = await site.users.named("emil@example.com")
    assert (await browser.get("/account")).status == 200
    done = await admin.post(f"/users/{user.user_id}/disable")
    assert done.status == 303
    assert (await browser.get("/account")).status == 303


async def test_a_part_of_a_page_is_not_asked_for_by_who_was_logged_out(nobody: Browser, place: Place) -> None:
    seen = await nobody.get(place.path(), **{"hx-request": "true"})
    assert (seen.status, seen.headers["hx-redirect"]) == (401, "/login")
