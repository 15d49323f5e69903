"""Web Push in a real browser: the page to try it, our service worker, a notification that is shown, and its reports.

No push service can be reached from a test, and Chromium without one cannot subscribe: the subscription is the simulator's, and
what the simulator decrypts is handed to the browser by its DevTools. The page and the worker are as they are served.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from support.processes import running
from support.service import Http, Workspace, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from support.processes import Running

# What the browser's own push service would have made: the keys of a simulated one, under the applicationServerKey asked for.
SUBSCRIBED = """
([endpoint, keys]) => {
  let current = null;
  const made = (options) => ({
    endpoint,
    options,
    toJSON: () => ({ endpoint, keys }),
    unsubscribe: async () => { current = null; return true; },
  });
  PushManager.prototype.getSubscription = async () => current;
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    window.askedKey = Array.from(new Uint8Array(applicationServerKey));
    current = made({ applicationServerKey: applicationServerKey.buffer });
    return current;
  };
}
"""
SHOWN = """
async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(
  ({ title, body, tag, data, actions }) => (
    { title, body, tag, link: data.link, actions: actions.map(({ action, title }) => ({ action, title })) }
  )
)
"""
CLICK = """
async (action) => {
  const [notification] = await self.registration.getNotifications();
  self.clients.openWindow = async (url) => { self.openedUrl = url; };
  const event = new NotificationEvent("notificationclick", { notification, action });
  const done = [];
  event.waitUntil = (promise) => done.push(promise);
  self.dispatchEvent(event);
  await Promise.all(done);
  return self.openedUrl;
}
"""


@pytest.fixture(scope="module")
def site(folder: Path, simulator: Running) -> Iterator[tuple[Running, Workspace]]:
    """A service that offers the page, and a workspace with a VAPID key."""
    environment = {"PUSHKEEPER_TRY_WEBPUSH": "true"}
    with running("serve", "--data", folder / "webpush", "--port", "0", env=environment) as service:
        place = Workspace(f"web-{secrets.token_hex(3)}", service, simulator)
        place._add(
            "webpush",
            {
                "--subject": "mailto:ops@example.com",
                "--endpoint": simulator["webpush_url"],
                "--ca": simulator["ca_file"],
            },
        )
        yield service, place


def registration_of(page: Page) -> tuple[Any, str]:
    """A DevTools session, and the id of the page's service worker in it."""
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(one["registrationId"] for one in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    while not found:
        page.wait_for_timeout(10)
    return session, found[0]


@pytest.fixture
def context(chromium: Browser, site: tuple[Running, Workspace]) -> Iterator[BrowserContext]:
    service, _ = site
    made = chromium.new_context(base_url=service["url"])
    made.grant_permissions(["notifications"], origin=service["url"])
    yield made
    made.close()


def test_a_browser_registers_shows_a_push_and_reports_it(
    context: BrowserContext, site: tuple[Running, Workspace], simulator: Running
) -> None:
    service, place = site
    control = Http(simulator["control_url"])
    [subscription] = control("POST", "/subscriptions", {"family": "google"})["subscriptions"]
    endpoint, keys = subscription["endpoint"], subscription["keys"]
    page = context.new_page()
    page.add_init_script(f"({SUBSCRIBED})({json.dumps([endpoint, keys])})")
    page.goto(f"/try/webpush?key={place.keys['write_key']}&person=ann")
    page.get_by_role("button", name="Allow notifications").click()
    expect(page.locator("[data-test=status]")).to_have_attribute("data-state", "registered")
    assert len(page.evaluate("window.askedKey")) == 65

    def status() -> str:
        found: str = place.app("GET", f"/api/v1/devices/{quote(endpoint, safe='')}")["last_status"]
        return found

    body = {
        "identifiers": {"id": "ann"},
        "platform": "web",
        "custom_payload": {
            "web": {
                "title": "Your order",
                "body": "is on its way",
                "link": "https://shop.example.com/orders/7",
                "actions": [{"action": "track", "title": "Track", "url": "https://shop.example.com/track/7"}],
            }
        },
    }
    delivery = place.app("POST", "/v1/send/push", body)["delivery_id"]
    eventually(lambda: status() == "sent")
    [entry] = control("GET", f"/journal?token={quote(endpoint, safe='')}")["requests"]

    session, registration = registration_of(page)
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": service["url"], "registrationId": registration, "data": entry["body"]},
    )

    def metrics() -> set[str]:
        return set(place.app("GET", f"/v1/messages/{quote(delivery, safe='')}")["message"]["metrics"])

    eventually(lambda: "delivered" in metrics())
    assert page.evaluate(SHOWN) == [
        {
            "title": "Your order",
            "body": "is on its way",
            "tag": delivery,
            "link": "https://shop.example.com/orders/7",
            "actions": [{"action": "track", "title": "Track"}],
        }
    ]
    [worker] = context.service_workers
    assert worker.evaluate(CLICK, "track") == "https://shop.example.com/track/7"
    eventually(lambda: "clicked" in metrics())
    assert page.evaluate(SHOWN) == [], "a click closes it"

    # The user revokes the permission: the push service reports that the subscription ended.
    control("POST", "/uninstall", {"tokens": [endpoint]})
    place.app("POST", "/v1/send/push", body)
    eventually(lambda: status() == "bounced")


def test_a_browser_subscribes_again_when_the_key_was_replaced(
    context: BrowserContext, site: tuple[Running, Workspace], simulator: Running
) -> None:
    _, place = site
    control = Http(simulator["control_url"])
    [subscription] = control("POST", "/subscriptions", {"family": "mozilla"})["subscriptions"]
    page = context.new_page()
    page.add_init_script(f"({SUBSCRIBED})({json.dumps([subscription['endpoint'], subscription['keys']])})")
    page.goto(f"/try/webpush?key={place.keys['write_key']}&person=bob")
    shown, button = page.locator("[data-test=status]"), page.get_by_role("button", name="Allow notifications")
    button.click()
    expect(shown).to_have_attribute("data-state", "registered")
    first = page.evaluate("window.askedKey")
    place._add(
        "webpush",
        {
            "--subject": "mailto:ops@example.com",
            "--endpoint": simulator["webpush_url"],
            "--ca": simulator["ca_file"],
        },
    )
    button.click()
    expect(shown).to_have_attribute("data-state", "registered")
    page.wait_for_function("first => String(window.askedKey) !== String(first)", arg=first)


def test_a_wrong_write_key_is_said_to_the_person_at_the_page(
    context: BrowserContext, site: tuple[Running, Workspace]
) -> None:
    page = context.new_page()
    page.goto("/try/webpush?key=wrong")
    page.get_by_role("button", name="Allow notifications").click()
    expect(page.locator("[data-test=status]")).to_have_attribute("data-state", "failed")
    assert "write key" in page.locator("[data-test=status]").inner_text()
    assert site


def test_without_the_setting_there_is_no_page_but_the_worker_can_be_copied(
    chromium: Browser, service: Running
) -> None:
    page = chromium.new_page()
    for path in ("/try/webpush", "/try/webpush.js", "/try/cio-webpush-sw.js"):
        assert page.request.get(f"{service['url']}{path}").status == 404
    found = page.request.get(f"{service['url']}/webpush/cio-webpush-sw.js")
    assert (found.status, found.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    page.close()
