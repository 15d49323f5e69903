"""A broadcast in a real browser: written as phones show it, started, followed while it goes, paused and cancelled."""

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
def crowd(service: Running, simulator: Running) -> Workspace:
    """A workspace of forty Android phones: at thirty a minute, a broadcast outlasts the test."""
    place = Workspace(f"crowd-{secrets.token_hex(3)}", service, simulator)
    place.add_fcm()
    for number, token in enumerate(place.mint("android", 40)):
        place.register(f"p{number}", token, "android")
    place.track("PUT", "/api/v1/customers/p39", {"first_name": "<b>Ann</b>"})
    return place


def test_a_broadcast_is_written_started_followed_paused_and_cancelled(
    opened: Callable[..., Watched], crowd: Workspace
) -> None:
    watched = opened()
    page = watched.page
    page.on("dialog", lambda asked: asked.accept())
    page.goto(f"/w/{crowd.name}/broadcasts")
    page.get_by_role("link", name="New broadcast", exact=True).click()
    # A phone shows it while it is typed, as somebody of the audience reads it.
    page.get_by_label("Title", exact=True).fill("Hello {{ person.first_name }}")
    page.get_by_label("Filter").fill("everybody")
    android = page.locator(".phone.android")
    expect(android.get_by_text("Hello <b>Ann</b>")).to_be_visible()
    expect(android.get_by_text("as seen by p39")).to_be_visible()
    expect(page.get_by_text("40 devices of 40 people")).to_be_visible()
    page.get_by_label("Message", exact=True).fill("{% if")
    expect(page.get_by_text("Nothing to preview yet")).to_be_visible()
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    expect(page.get_by_text(re.compile("ine 1")).last).to_be_visible()
    page.get_by_label("Title", exact=True).fill("Hello")
    page.get_by_label("Message", exact=True).fill("It begins")
    page.get_by_label("Rate limit").fill("30")
    page.get_by_label("Per", exact=True).select_option("minute")
    page.get_by_role("button", name="Save draft").click()

    expect(page.get_by_role("heading", name="Hello", exact=True)).to_be_visible()
    expect(page.get_by_text("of 40 devices (40 people) in the audience")).to_be_visible()
    page.get_by_role("button", name="Send now").click()
    # Nobody reloads anything: how far it has come is told as it comes.
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^([3-9]|[1-3][0-9])$"))
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Broadcast paused.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status").get_by_text("sending")).to_be_visible()
    # Somebody else cancels it: the page that is being looked at turns by itself.
    other = opened().page
    other.on("dialog", lambda asked: asked.accept())
    other.goto(page.url)
    other.get_by_role("button", name="Cancel broadcast").click()
    expect(other.get_by_text("Broadcast cancelled")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("cancelled")).to_be_visible()
    expect(page.get_by_role("cell", name="The broadcast was cancelled")).to_be_visible()
    expect(page.get_by_role("heading", name="Results", exact=True)).to_be_visible()
    assert page.get_by_role("button", name="Pause", exact=True).count() == 0
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    assert [said for said in watched.complaints if "status of 400" not in said] == []


def test_a_time_is_typed_in_the_zone_of_the_user(opened: Callable[..., Watched], crowd: Workspace) -> None:
    page = opened(timezone_id="Asia/Kolkata").page
    page.goto(f"/w/{crowd.name}/broadcasts/new")
    expect(page.get_by_label("Date and time", exact=True)).to_be_hidden()
    page.get_by_label("Send", exact=True).select_option("at")
    expect(page.get_by_text(re.compile("in your zone, Asia/(Kolkata|Calcutta)"))).to_be_visible()
    page.get_by_label("Title", exact=True).fill("Later")
    page.get_by_label("Filter").fill("everybody")
    page.get_by_label("Date and time", exact=True).fill("2027-03-01T09:30")
    page.get_by_role("button", name="Save draft").click()
    due = page.locator("dt", has_text="Scheduled for").locator("+ dd time")
    assert due.get_attribute("datetime") == "2027-03-01T04:00:00.000+00:00"


def test_without_any_script_a_broadcast_is_written_and_started(
    opened: Callable[..., Watched], crowd: Workspace
) -> None:
    page = opened(java_script_enabled=False).page
    page.goto(f"/w/{crowd.name}/broadcasts/new")
    page.get_by_label("Title", exact=True).fill("Plain")
    page.get_by_label("Filter").fill("everybody")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".phone.android").get_by_text("Plain")).to_be_visible()
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("Broadcast started.")).to_be_visible()
