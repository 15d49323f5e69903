"""When a browser first shows something of a page: Chromium, where it and Playwright are installed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)
_FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def is_installed() -> bool:
    """Whether there is a browser to look with."""
    try:
        import playwright.sync_api  # noqa: F401 - of those who develop, not of those who run it
    except ImportError:
        return False
    return shutil.which("chromium") is not None


def measure(
    origin: str, cookie: tuple[str, str], addresses: Sequence[tuple[str, str]], times: int
) -> list[Figure]:
    """The first contentful paint of named addresses, each so many times in a browser that has nothing of it yet."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_FLAGS))
        for name, address in addresses:
            took_s = []
            for _ in range(times):
                context = browser.new_context()
                context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": origin}])
                page = context.new_page()
                page.goto(f"{origin}{address}", wait_until="load")
                took_s.append(page.wait_for_function(_FIRST_PAINT).json_value() / 1000)
                context.close()
            took_s.sort()
            found.append(
                Figure(
                    name=f"first paint, {name}",
                    requests_per_s=times / sum(took_s),
                    p50_ms=percentile(took_s, 0.5),
                    p95_ms=percentile(took_s, 0.95),
                    p99_ms=percentile(took_s, 0.99),
                    goal="1,000 ms",
                )
            )
        browser.close()
    return found
