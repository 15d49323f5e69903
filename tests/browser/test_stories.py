"""What people do with the dashboard, in a real browser: by mouse, by keyboard alone, and without any script."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support import processes
from support.service import Workspace, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from support.processes import Running
    from tests.browser.conftest import Watched

PASSWORD = "correct horse battery"
PHONE = {"width": 360, "height": 740}


def name_of(page: Page) -> str:
    """What a screen reader would say of where the focus is."""
    said: str = page.evaluate(
        """() => {
            const at = document.activeElement;
            const label = at.labels && at.labels[0] ? at.labels[0].textContent : "";
            return (at.getAttribute("aria-label") || label || at.textContent || "").trim().replace(/\\s+/g, " ");
        }"""
    )
    return said


def tab_to(page: Page, wanted: str, most: int = 60) -> None:
    """Press Tab until the focus is on what is called so."""
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        passed.append(name_of(page))
        if passed[-1] == wanted:
            return
    raise AssertionError(f"no {wanted!r} among {passed}")


def test_the_first_admin_invites_somebody_who_only_looks(
    opened: Callable[..., Watched], told: Workspace, service: Running
) -> None:
    admin = opened().page
    admin.goto("/users")
    admin.get_by_label("Name or email").fill(f"vera-{secrets.token_hex(3)}@example.com")
    admin.get_by_role("button", name="Invite user").click()
    link = admin.locator("main code").first.text_content() or ""
    assert link.startswith(f"{service['url']}/link/")
    invited = opened(state=None).page
    invited.goto(link)
    invited.get_by_label("Password", exact=True).fill(PASSWORD)
    invited.get_by_label("Confirm password").fill(f"{PASSWORD}!")
    invited.get_by_role("button", name="Set password and log in").click()
    # What is wrong is said beside its field, and the focus is there.
    expect(invited.get_by_label("Confirm password")).to_be_focused()
    expect(invited.get_by_text("The passwords do not match").last).to_be_visible()
    invited.get_by_label("Password", exact=True).fill(PASSWORD)
    invited.get_by_label("Confirm password").fill(PASSWORD)
    invited.get_by_role("button", name="Set password and log in").click()
    invited.goto(f"/w/{told.name}/routes")
    assert invited.get_by_role("link", name="Add credentials").count() == 0
    invited.goto(f"/w/{told.name}/routes/fcm:simulated-project")
    expect(invited.get_by_text("Read-only.")).to_be_visible()
    assert invited.get_by_role("button", name="Pause").count() == 0
    invited.goto("/users")
    expect(invited.get_by_role("heading", name="have permission to do this")).to_be_visible()
    invited.get_by_role("button", name="Log out").click()
    expect(invited.get_by_role("heading", name="Log in")).to_be_visible()


def test_by_keyboard_alone_one_logs_in_finds_a_device_and_reads_why_it_is_suppressed(
    opened: Callable[..., Watched], told: Workspace
) -> None:
    page = opened(state=None).page
    page.goto(f"/w/{told.name}/devices")
    expect(page.get_by_label("Name or email")).to_be_focused()
    page.keyboard.type("ann@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    page.keyboard.press("Tab")
    assert name_of(page) == "Skip to main content"
    page.keyboard.press("Enter")
    tab_to(page, "Search by token or filter", most=3)
    box = page.get_by_role("combobox")
    page.keyboard.type("last_sta")
    expect(page.get_by_role("option").first).to_have_text(re.compile("last_status"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("last_status ")
    page.keyboard.type("= sup")
    expect(page.get_by_role("option").first).to_have_text(re.compile("suppressed"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("last_status = suppressed ")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_have_value("last_status = suppressed ")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ matching devices"))).to_be_visible()
    row = page.locator("main tbody a").first
    tab_to(page, row.text_content() or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="suppressed")).to_be_visible()
    expect(page.get_by_text("Rejected repeatedly")).to_be_visible()
    expect(page.get_by_text("Push rejected").first).to_be_visible()


def test_the_focus_goes_round_a_page_and_is_seen_everywhere(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    page = opened().page
    for name in ("overview", "add-webhook", "settings"):
        page.goto(pages[name])
        count = page.evaluate(
            "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, textarea')]"
            ".filter((one) => one.checkVisibility() && !one.disabled).length"
        )
        unseen = []
        for _ in range(count):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            if outline == "none":
                unseen.append(name_of(page))
        assert unseen == [], name
        # Nothing holds it: from the last thing it leaves the page.
        page.keyboard.press("Tab")
        assert page.evaluate(
            "[document.body, document.documentElement].includes(document.activeElement)"
        ) or (name_of(page) == "Skip to main content"), name


def test_without_any_script_the_pages_still_work(opened: Callable[..., Watched], told: Workspace) -> None:
    page = opened(java_script_enabled=False).page
    page.goto(f"/w/{told.name}/devices")
    page.get_by_label("Search by token or filter").fill("last_status = suppressed")
    page.get_by_role("button", name="Search").click()
    page.locator("main tbody tr").first.wait_for()
    assert "UTC" in (page.locator("main time").first.text_content() or "")
    page.goto(f"/w/{told.name}/routes/fcm:simulated-project:apple")
    page.get_by_label("Reason").fill("to see it stop")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("to see it stop").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Route resumed")).to_be_visible()


def test_times_are_shown_in_the_zone_of_the_user(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    told = {}
    for zone in ("UTC", "Asia/Kolkata"):
        page = opened(timezone_id=zone).page
        page.goto(pages["device"])
        time = page.locator("main time[data-time=at]").first
        told[zone] = (time.text_content(), time.get_attribute("datetime"))
    assert told["UTC"][1] == told["Asia/Kolkata"][1]
    assert told["UTC"][0] != told["Asia/Kolkata"][0]


def test_a_day_of_a_report_is_the_same_day_wherever_it_is_read(
    opened: Callable[..., Watched], told: Workspace
) -> None:
    watched = opened(timezone_id="America/New_York", locale="en-US")
    watched.page.goto(f"/w/{told.name}/reports/pushes")
    chart = watched.page.locator("[data-chart]")
    today = datetime.fromtimestamp(json.loads(chart.get_attribute("data-at") or "")[-1], UTC)
    bars = chart.locator(".u-over")
    bars.wait_for()

    def read() -> str | None:
        """The legend's day at the right edge; read again, as a redrawn chart forgets the pointer."""
        width = chart.evaluate("chart => chart.querySelector('.u-over').clientWidth")
        bars.hover(position={"x": width - 2, "y": 5})
        return chart.locator(".u-legend .u-series").first.locator(".u-value").text_content()

    eventually(lambda: read() == f"{today:%a, %b %-d, %Y}")
    assert watched.complaints == []


def test_the_theme_is_switched_and_stays(opened: Callable[..., Watched], pages: dict[str, str]) -> None:
    page = opened(color_scheme="light").page
    page.goto(pages["devices"])
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch to dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(pages["people"])
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Switch to light").click()
    assert page.evaluate(ground) == light


def test_on_a_phone_the_menu_opens_and_leads_on(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    page = opened(viewport=PHONE, is_mobile=True, has_touch=True).page
    page.goto(pages["overview"])
    expect(page.get_by_role("link", name="Devices", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Menu").tap()
    page.get_by_role("link", name="Devices", exact=True).tap()
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()


def test_nothing_that_somebody_is_called_runs_in_the_page(
    opened: Callable[..., Watched], told: Workspace
) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    told.track("PUT", "/api/v1/customers/hostile", {hostile: hostile, "plan": hostile})
    watched = opened()
    watched.page.goto(f"/w/{told.name}/people?filter=hostile")
    expect(watched.page.get_by_role("heading", name="hostile")).to_be_visible()
    assert "taken" not in watched.page.title()
    watched.page.goto(f"/w/{told.name}/people")
    box = watched.page.get_by_role("combobox")
    box.press_sequentially("person.plan = ")
    expect(watched.page.get_by_role("option").first).to_be_visible()
    assert watched.page.locator("main img").count() == 0
    assert watched.complaints == []


def test_a_test_push_is_sent_and_its_page_shows_the_outcome(
    opened: Callable[..., Watched], told: Workspace
) -> None:
    page = opened().page
    page.goto(f"/w/{told.name}/devices?filter=last_status+%3D+sent")
    page.locator("main tbody a").first.click()
    page.get_by_label("Title").fill("A test from the browser")
    page.get_by_role("button", name="Send test push").click()
    expect(page.get_by_role("heading", name="A test from the browser")).to_be_visible()
    expect(page.locator("#live").get_by_text("accepted", exact=True).first).to_be_visible()
    expect(page.locator("#live").get_by_text(re.compile("(APNs|FCM) 200"))).to_be_visible()


@pytest.fixture
def stage(service: Running, simulator: Running) -> Workspace:
    """A workspace of a few phones, that may be broken."""
    place = Workspace(f"stage-{secrets.token_hex(3)}", service, simulator)
    place.add_fcm()
    place.add_apns()
    for number, token in enumerate(place.mint("android", 6)):
        place.register(f"p{number}", token, "android")
        place.push_and_wait(f"p{number}")
    return place


def figure(page: Page, status: str) -> Locator:
    return page.locator("dl.figures .figure", has_text=status).locator("dd").first


def test_in_the_panel_apps_are_uninstalled_and_seen_to_bounce(
    opened: Callable[..., Watched], stage: Workspace
) -> None:
    page = opened().page
    page.goto(f"/w/{stage.name}/simulator")
    expect(figure(page, "sent")).to_have_text("6")
    page.get_by_label("Number of random devices").fill("6")
    page.get_by_role("button", name="Uninstall").click()
    expect(page.get_by_text("6 apps uninstalled")).to_be_visible()
    page.get_by_label("Number of random devices").fill("6")
    page.get_by_role("button", name="Send push").click()
    expect(page.get_by_text("6 pushes queued")).to_be_visible()
    # Nobody presses anything: the page asks again by itself.
    expect(figure(page, "bounced")).to_have_text("6")
    page.get_by_label("Number of random devices").fill("0")
    page.get_by_role("button", name="Send push").click()
    expect(page.get_by_text("Expected a whole number from 1 to 500").last).to_be_visible()


def test_a_broken_key_pauses_its_route_and_the_overview_says_what_to_do(
    opened: Callable[..., Watched], stage: Workspace
) -> None:
    page = opened().page
    try:
        page.goto(f"/w/{stage.name}/simulator")
        page.get_by_role("button", name="Break the key of FCM").click()
        expect(page.get_by_text("rejects the key").first).to_be_visible()
        page.get_by_role("button", name="Send push").click()
        page.goto(f"/w/{stage.name}")
        expect(page.get_by_text("fcm:simulated-project is paused")).to_be_visible()
        page.get_by_role("link", name="View route fcm:simulated-project", exact=True).click()
        expect(page.get_by_role("heading", name="paused")).to_be_visible()
        page.goto(f"/w/{stage.name}/simulator")
        page.get_by_role("button", name="Restore FCM").click()
        page.goto(f"/w/{stage.name}/routes/fcm:simulated-project")
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_text(re.compile("Route resumed .[1-9].* queued push"))).to_be_visible()
        expect(page.get_by_role("heading", name="verified")).to_be_visible()
        # No device has paid for it.
        assert all(
            count["last_status"] == "sent" for count in stage.app("GET", "/api/v1/stats/devices")["counts"]
        )
    finally:
        stage.control("POST", "/trouble", {"service": "fcm", "trouble": None})


def test_an_empty_installation_leads_to_a_workspace_and_its_keys(
    opened: Callable[..., Watched],
) -> None:
    page = opened().page
    page.goto("/workspaces")
    name = f"made here {secrets.token_hex(3)}"
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create workspace").click()
    shown = page.locator("main dd code")
    expect(shown).to_have_count(4)
    keys = shown.all_text_contents()
    assert [len(key) for key in keys] == [20, 32, 40, 40]
    page.get_by_role("link", name="saved the keys").click()
    expect(page.get_by_role("heading", name="Get started")).to_be_visible()
    page.get_by_role("link", name="Upload them here").click()
    page.get_by_role("link", name="Upload a service account").click()
    page.get_by_role("button", name="Save credentials").click()
    expect(page.get_by_text("Choose a file").last).to_be_visible()


def test_the_commands_help_when_nobody_can_log_in(opened: Callable[..., Watched], service: Running) -> None:
    name = f"otto-{secrets.token_hex(3)}"
    on = ("--data", service["data_dir"])
    made = processes.answer("user", "add", name, "--role", "admin", *on)
    page = opened(state=None).page
    page.goto(f"/link/{made['url'].rpartition('/')[2]}")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Confirm password").fill(PASSWORD)
    page.get_by_role("button", name="Set password and log in").click()
    page.goto("/audit")
    expect(page.get_by_role("cell", name="command line").first).to_be_visible()
    processes.answer("user", "disable", name, *on)
    page.goto("/audit")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    refused = processes.refusal("user", "disable", "ann@example.com", *on)
    assert refused["code"] == "conflict"
