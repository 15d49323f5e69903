"""The documentation's own search: the first three results have the page that a reader looks for."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
ZENSICAL = ROOT / ".venv-site" / "bin" / "zensical"
pytestmark = pytest.mark.skipif(not ZENSICAL.exists(), reason="`make site` has not been asked for")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the built site."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    subprocess.run([ZENSICAL, "build"], check=True, capture_output=True, cwd=folder)
    handler = functools.partial(_Quiet, directory=str(folder / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def search(chromium: Browser, site: str) -> Iterator[Page]:
    """The site with its search open."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/index.html", wait_until="networkidle")  # the script is there, and has its index
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_visible()
    yield page
    context.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("how to install", "how-to/install.html"),
        ("why was a push not delivered", "how-to/why-not-delivered.html"),
        ("push not delivered", "how-to/why-not-delivered.html"),
        ("what is a bounce", "how-to/bounces.html"),
        ("bounced", "how-to/bounces.html"),
        ("how to move from OneSignal", "how-to/move-from-onesignal.html"),
        ("onesignal", "how-to/move-from-onesignal.html"),
        ("how to upgrade", "how-to/upgrade.html"),
        ("upgrade", "how-to/upgrade.html"),
        ("what an error code means", "reference/errors.html"),
        ("error code", "reference/errors.html"),
    ],
)
def test_the_first_three_results_have_the_page(search: Page, query: str, expected: str) -> None:
    search.get_by_role("combobox").fill(query)
    # Results have the query in their addresses, so these are of this one.
    marked = re.compile(re.escape(f"?h={query.replace(' ', '+')}") + "(#|$)")
    expect(search.get_by_role("option").first).to_have_attribute("href", marked)
    found = [str(link.get_attribute("href")) for link in search.get_by_role("option").all()[:3]]
    assert any(expected in address for address in found), found
