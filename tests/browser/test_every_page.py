"""Every page in a real browser: it loads in peace, asks nobody else, fits a phone, and can be read by everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.conftest import Watched

PHONE = {"width": 360, "height": 740}
MOST_BYTES = 300_000
# The response to a wrong filter or a missing page has an error status, which browsers log on the console.
REFUSED = {"devices-wrong-filter", "audience-wrong-filter", "not-found"}


def settled(watched: Watched, path: str) -> None:
    """The page, with what it asks for when it is there."""
    watched.page.goto(path, wait_until="load")
    expect(watched.page.locator(".htmx-request")).to_have_count(0)


def serious(watched: Watched, name: str, scheme: str) -> list[str]:
    """What axe finds that keeps somebody from using the page; in the dark only the colours are others."""
    # Passed rules are reported for one node each, not for all.
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if scheme == "dark":
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    found = Axe().run(watched.page, options=options)
    assert found.response["passes"], "axe looked at nothing"
    return [
        f"{name} ({scheme}): {one['id']}: {node['target']}: {node['failureSummary']}"
        for one in found.response["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def test_each_page_loads_in_peace_and_asks_nobody_else(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    watched = opened()
    for name, path in pages.items():
        settled(watched, path)
        if name in REFUSED:
            watched.complaints = [said for said in watched.complaints if "status of 40" not in said]
        assert watched.complaints == [], name
    assert watched.elsewhere == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_can_be_used_by_everybody(
    opened: Callable[..., Watched], pages: dict[str, str], scheme: str
) -> None:
    violations = []
    watched = opened(color_scheme=scheme)
    for name, path in pages.items():
        settled(watched, path)
        violations += serious(watched, name, scheme)
    assert violations == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ways_in_can_be_used_by_everybody(opened: Callable[..., Watched], scheme: str) -> None:
    watched = opened(state=None, color_scheme=scheme)
    settled(watched, "/login")
    violations = serious(watched, "login", scheme)
    watched.page.get_by_role("button", name="Log in").click()
    expect(watched.page.locator("[aria-invalid=true]")).to_have_count(1)
    violations += serious(watched, "login refused", scheme)
    assert violations == []


def test_each_page_fits_a_phone_without_sideways_scrolling(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    watched = opened(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    wide = {}
    for name, path in pages.items():
        settled(watched, path)
        width = watched.page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[name] = width
    assert wide == {}


def test_a_page_with_all_that_it_needs_weighs_less_than_is_promised(
    opened: Callable[..., Watched], pages: dict[str, str]
) -> None:
    for name in ("overview", "devices", "messages"):
        watched = opened()
        settled(watched, pages[name])
        weighed: dict[str, Any] = watched.page.evaluate(
            """() => Object.fromEntries([
                ...performance.getEntriesByType("navigation"),
                ...performance.getEntriesByType("resource"),
            ].map((one) => [one.name, one.transferSize]))"""
        )
        assert 0 < sum(weighed.values()) < MOST_BYTES, weighed


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}),
    ],
)
def test_pictures_are_taken_of_each_page(
    opened: Callable[..., Watched],
    pages: dict[str, str],
    screenshots: Path | None,
    kind: str,
    options: dict[str, Any],
) -> None:
    if screenshots is None:
        pytest.skip("PUSHKEEPER_SCREENSHOTS names no folder")
    watched = opened(**options)
    for name, path in pages.items():
        settled(watched, path)
        file = screenshots / f"{name}-{kind}.png"
        watched.page.screenshot(path=file, full_page=True)
        assert file.stat().st_size > 5_000
