"""The caveat that this product began with, clicked through: a suppressed iPhone beside a live Android phone of one person."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.service import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Running
    from tests.browser.conftest import Watched


@pytest.fixture
def caveat(service: Running, simulator: Running) -> Workspace:
    """Ann, whose iPhone lost the app and whose Android phone has it, and people with working phones."""
    place = Workspace(f"caveat-{secrets.token_hex(3)}", service, simulator)
    place.add_fcm()
    place.add_apns()
    [iphone] = place.mint("ios")
    android, *others = place.mint("android", 3)
    place.register("ann", iphone, "ios")
    place.register("ann", android, "android")
    for number, token in enumerate(others):
        place.register(f"other-{number}", token, "android")
    place.control("POST", "/uninstall", {"tokens": [iphone]})
    for person in ("ann", "ann", "other-0", "other-1"):
        place.push_and_wait(person)
    return place


def test_an_audience_of_suppressed_devices_is_written_compared_saved_and_explained(
    opened: Callable[..., Watched], caveat: Workspace
) -> None:
    watched = opened()
    page = watched.page
    page.goto(f"/w/{caveat.name}/audiences")
    expect(page.get_by_role("heading", name="No audience yet")).to_be_visible()
    page.get_by_role("link", name="New audience").click()
    box = page.get_by_role("combobox", name="Filter")
    box.press_sequentially("last_status = sup")
    expect(page.get_by_role("option").first).to_have_text(re.compile("suppressed"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    # What was taken from the list is counted at once, without a button.
    counts = page.locator("#counts")
    expect(counts).to_contain_text(re.compile(r"Per device.*1 device\s+of 1 person", re.DOTALL))
    expect(counts).to_contain_text(re.compile(r"Per person\s+2 devices\s+of 1 person", re.DOTALL))
    apart = page.locator("#apart")
    expect(apart).to_contain_text("add 1 device")
    row = apart.get_by_role("row", name=re.compile("Android"))
    expect(row).to_contain_text("ann")
    expect(row).to_contain_text("this device does not match last_status = suppressed")
    members = page.locator("#members")
    expect(members.get_by_role("row", name=re.compile("ann"))).to_have_count(1)
    expect(members).to_contain_text("iOS")
    page.get_by_role("radio", name=re.compile("^Person")).check()
    expect(counts).to_contain_text("Per person (selected)")
    expect(members.get_by_role("link", name="ann")).to_be_visible()
    page.get_by_role("radio", name=re.compile("^Device")).check()
    expect(members).to_contain_text("iOS")
    # Half a filter is said to be that, and what was typed stays.
    box.press_sequentially("and ")
    expect(counts).to_contain_text("expected a condition")
    expect(apart).to_be_empty()
    box.fill("last_status = suppressed")
    expect(apart).to_contain_text("add 1 device")
    page.get_by_label("Name").fill("Gone")
    page.get_by_role("button", name="Save audience").click()
    expect(page.get_by_role("heading", name="Gone", exact=True)).to_be_visible()
    expect(page.get_by_text("Audience saved.")).to_be_visible()
    expect(page.get_by_role("link", name="Create broadcast")).to_have_attribute(
        "href", re.compile(r"/broadcasts/new\?audience=segment")
    )
    page.locator("#members tbody a.mono").click()
    expect(page.get_by_role("heading", name="suppressed")).to_be_visible()
    page.get_by_role("link", name="Check deliverability").click()
    expect(page.get_by_role("heading", name="No: suppressed (Unregistered).")).to_be_visible()
    expect(page.get_by_text("How to fix:").first).to_be_visible()
    expect(page.get_by_text("Last status: suppressed (Unregistered)")).to_be_visible()
    expect(page.get_by_text("apns 410 Unregistered").first).to_be_visible()
    page.get_by_role("link", name="ann", exact=True).click()
    page.get_by_role("link", name="Check deliverability").click()
    expect(
        page.get_by_role("heading", name="Yes: 1 of 2 devices: a push would be delivered.")
    ).to_be_visible()
    assert watched.complaints == []


def test_what_is_offered_takes_its_own_place_behind_any_letter(
    opened: Callable[..., Watched], caveat: Workspace
) -> None:
    page = opened().page
    page.goto(f"/w/{caveat.name}/audiences/new")
    box = page.get_by_role("combobox", name="Filter")
    box.fill('person.mood = "\N{GRINNING FACE}\N{GRINNING FACE}" and last_status = sup')
    box.press("End")
    box.click()
    expect(page.get_by_role("option", name="suppressed")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value(
        'person.mood = "\N{GRINNING FACE}\N{GRINNING FACE}" and last_status = suppressed '
    )


def test_without_script_an_audience_is_counted_by_a_button_and_saved(
    opened: Callable[..., Watched], caveat: Workspace
) -> None:
    page = opened(java_script_enabled=False).page
    page.goto(f"/w/{caveat.name}/audiences/new")
    page.get_by_label("Filter").fill("last_status = suppressed")
    page.get_by_label("Name").fill("Without script")
    page.get_by_role("button", name="Count").click()
    expect(page.locator("#counts")).to_contain_text("2 devices")
    expect(page.locator("#apart")).to_contain_text("add 1 device")
    page.get_by_role("link", name="Analyze query").click()
    expect(page.get_by_text("No useful index found.")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Save audience").click()
    expect(page.get_by_role("heading", name="Without script")).to_be_visible()


def test_bounces_are_previewed_and_reverted(opened: Callable[..., Watched], caveat: Workspace) -> None:
    page = opened().page
    page.goto(f"/w/{caveat.name}/routes")
    page.get_by_role("link", name="Revert bounces").click()
    # The hour that is at hand has been written into the form; until now, not until the minute.
    expect(page.get_by_text("in your zone, Europe/Berlin", exact=True)).to_be_visible()
    page.get_by_label("To", exact=True).fill("")
    page.get_by_role("button", name="Preview changes").click()
    expect(page.get_by_text(re.compile("2 bounces on 1 device, "))).to_be_visible()
    page.get_by_label("Reason (saved in device history)").fill("it was never uninstalled")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revert 2 bounces").click()
    expect(page.get_by_text("2 bounces reverted on 1 device.")).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile("it was never uninstalled"))).to_be_visible()
    assert [one["last_status"] for one in caveat.app("GET", "/api/v1/stats/devices")["counts"]].count(
        "suppressed"
    ) == 0
