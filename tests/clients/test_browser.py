"""Customer.io's library for browsers, unmodified, in a real one: only `cdnURL` is ours."""

import http.server
import json
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from support.service import eventually

LIBRARY = (
    Path(__file__).parent / "node" / "node_modules" / "@customerio" / "cdp-analytics-browser" / "dist" / "umd"
)
CHROMIUM = shutil.which("chromium") or ""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PAGE = """<!doctype html><title>A shop</title><script src="index.js"></script><script>
const said = [];
window.onerror = (message) => said.push(String(message));
const load = async (writeKey, cdnURL) => {
  const [analytics] = await AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL });
  window.analytics = analytics;
};
</script>"""

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and LIBRARY.exists()), reason="Chromium or the library is not installed"
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A page of somebody else's site, with the library on it."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(LIBRARY, folder, dirs_exist_ok=True)
    (folder / "shop.html").write_text(PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/shop.html"
        server.shutdown()


@pytest.fixture
def page(shop):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        # Our certificate is our own CA's, which this browser does not know.
        opened = browser.new_context(ignore_https_errors=True).new_page()
        opened.goto(shop)
        yield opened
        browser.close()


def test_a_visitor_is_identified_from_a_page_of_another_site(page, service, workspace):
    page.evaluate("([key, url]) => load(key, url)", [workspace.keys["write_key"], service["url"]])
    page.evaluate("analytics.page('shop')")
    page.evaluate("analytics.track('looked', { at: 'shoes' })")
    page.evaluate("analytics.identify('42', { plan: 'pro', email: 'ann@example.com' })")
    page.evaluate("analytics.track('bought', { price: 3 })")

    def known():
        status, answer = workspace.app.request("GET", "/v1/customers/42/attributes")
        return answer["customer"] if status == 200 else None

    found = eventually(known)
    assert found["attributes"]["plan"] == "pro"
    assert found["identifiers"]["email"] == "ann@example.com"
    assert page.evaluate("said") == []


def test_with_an_unknown_key_it_does_not_start(page, service):
    with pytest.raises(Exception, match="unauthorized"):
        page.evaluate("([key, url]) => load(key, url)", ["nobodys", service["url"]])


def test_a_service_worker_of_another_site_may_report_a_click(page, service, workspace):
    [token] = workspace.mint("android")
    workspace.track("PUT", "/api/v1/customers/42/devices", {"device": {"id": token, "platform": "android"}})
    sent = workspace.app(
        "POST", "/v1/send/push", {"identifiers": {"id": "42"}, "title": "Hello", "message": "text"}
    )
    report = {"delivery_id": sent["delivery_id"], "device_id": token, "event": "opened", "action": "later"}
    # JSON is asked for beforehand, text is sent at once; the page may read what both are answered.
    for kind in ("application/json", "text/plain"):
        answered = page.evaluate(
            """([url, body, kind]) => fetch(url, { method: "POST", headers: { "content-type": kind }, body })
                .then((response) => response.json())""",
            [f"{service['url']}/push/events", json.dumps(report), kind],
        )
        assert answered == {}
    assert workspace.message(sent["delivery_id"])["actions"] == ["later"]
