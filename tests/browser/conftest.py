"""The dashboard in a real browser, over a workspace with a story in it, on the simulator."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from pushkeeper import config, wiring
from pushkeeper.cli.demo import story
from pushkeeper.services.strikes import StrikeSelector
from pushkeeper.store.admin import workspaces
from support.actors import BY
from support.processes import running
from support.service import Workspace, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from support.processes import Running

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
PASSWORD = "correct horse battery"
DEVICES = 60
DESKTOP = {"width": 1280, "height": 860}
OK, CREATED = 200, 201
# Nothing is to take so long: it ends a test that waits for what never comes, on whatever machine.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser there is nothing to look with."""
    for item in items:
        if not CHROMIUM and Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="session")
def service(folder: Path, simulator: Running) -> Iterator[Running]:
    """The service, with the simulator's panel, and a worker."""
    with running(
        *("serve", "--data", folder / "browser", "--port", "0"),
        *("--simulator-url", simulator["control_url"]),
    ) as started:
        yield started


@pytest.fixture(scope="session")
def told(service: Running, simulator: Running) -> Workspace:
    """A workspace in which phones were registered, pushed to, uninstalled, and some came back."""
    place = Workspace(f"story-{secrets.token_hex(3)}", service, simulator)
    place.add_fcm()
    place.add_apns()
    keys = place.keys
    basic = b64encode(f"{keys['site_id']}:{keys['api_key']}".encode()).decode()

    def quietly(_: str, __: int, done: Any) -> None:
        for _ in done:
            pass

    fleet = story.DemoDevices(
        track=story.Http(service["url"], f"Basic {basic}"),
        app=story.Http(service["url"], f"Bearer {keys['app_api_key']}"),
        simulator=story.Http(simulator["control_url"]),
        told=quietly,
    )
    story.tell(fleet, DEVICES)
    place.track("PUT", "/api/v1/customers/person-00000", {"email": "ann@example.com", "plan": "pro"})
    place.track("POST", "/api/v1/customers/person-00000/events", {"name": "bought", "data": {"price": 3}})
    gone = saved(place, name="Gone", filter="last_status = suppressed")
    saved(place, name="Not gone", filter=f"not segment {gone}", unit="person")
    place.app("POST", "/v1/segments", {"segment": {"name": "Testers"}})
    create_broadcasts(place)
    with ThreadPoolExecutor(1) as other:  # Playwright's loop may run in this thread
        other.submit(asyncio.run, create_undos(Path(service["data_dir"]), place.name)).result()
    return place


async def create_undos(data_dir: Path, name: str) -> None:
    """One that goes on for as long as anybody looks, and one that was cut short; neither is meant for any strike."""
    async with wiring.store(config.load({"data_dir": data_dir}, environ={})) as store:
        workspace = (await workspaces.by_name(store.database, name)).workspace_id
        since = datetime.now(UTC) - timedelta(hours=2)
        meant = StrikeSelector(since=since, until=since + timedelta(hours=1), reason="BadDeviceToken")
        for why, devices, silent in (
            ("sandbox key on the production route", 2_070, "2 days"),
            ("wrong topic", 61_480, "-1 day"),
        ):
            undo = await store.services.strikes.begin(BY, workspace, meant, why=f"{why} (ann@example.com)")
            await store.database.rows(
                "update undos set meant_devices = $2 * 2, devices = $2, strikes = $2 * 2, "
                "advanced_at = now() - $3::text::interval where undo_id = $1",
                undo,
                devices,
                silent,
            )


def create_broadcasts(place: Workspace) -> None:
    """One that is over, one that goes on for as long as anybody looks, and one that nobody has started."""
    words = {
        "title": "The sale begins",
        "message": "Hello {{ person.id }}: everything at half its price, until Sunday.",
    }

    def make(name: str, **more: Any) -> int:
        asked = {"name": name, "content": words, "audience": {"filter": "everybody"}, **more}
        status, made = place.app.request("POST", "/api/v1/broadcasts", asked)
        assert status == CREATED, made
        number: int = made["broadcast"]["id"]
        return number

    over = make("Summer sale, first mail", start=True)
    eventually(lambda: place.app("GET", f"/api/v1/broadcasts/{over}")["broadcast"]["state"] == "sent")
    make("Summer sale, last days", start=True, throttle={"per_minute": 6})
    make("Winter sale", audience={"filter": "platform = ios and last_status != suppressed"})


def saved(place: Workspace, **audience: str) -> int:
    """The number of an audience that is kept now."""
    status, answer = place.app.request("POST", "/api/v1/audiences", audience)
    assert status == CREATED, answer
    number: int = answer["audience"]["id"]
    return number


def tried(page: Page, at: str) -> str:
    """The address of an import that was tried, with something of each kind in its report."""
    rows = [
        f"fcm{n}:APA91b{'x' * 30},{'android' if n % 7 else 'symbian'},person-{n:05},3.{n}" for n in range(40)
    ]
    file = "push_token,platform,person,ver\n" + "\n".join([*rows, "short,android,x,1", "fcm1:y,android,,1"])
    page.goto(f"{at}/imports/new")
    page.get_by_label("Source").select_option("generic")
    page.get_by_text("App, mapping, SNS user data").click()
    page.get_by_label("Mapping (TOML)").fill('token = "push_token"')
    page.get_by_label("File").set_input_files(
        {"name": "devices.csv", "mimeType": "text/csv", "buffer": file.encode()}
    )
    page.get_by_role("button", name="Upload and try").click()
    expect(page.locator("[data-test=state]")).to_contain_text("done")
    return urlsplit(page.url).path


# Playwright keeps an event loop running for as long as it is there, which no other ring is to meet: none outlives a module.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def admin_state(chromium: Browser, service: Running) -> Any:
    """What a browser holds once the first admin, made by the link that `serve` printed, is logged in."""
    context = chromium.new_context()
    page = context.new_page()
    if (page.goto(service["setup_url"]) or pytest.fail("no answer")).status == OK:
        page.get_by_label("Name or email").fill("ann@example.com")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Confirm password").fill(PASSWORD)
        page.get_by_role("button", name="Create admin account").click()
    else:
        page.goto(f"{service['url']}/login")
        page.get_by_label("Name or email").fill("ann@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()
    state = context.storage_state()
    context.close()
    return state


class Watched:
    """A page, and what it said on its console or asked of anybody else."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(origin) else self.elsewhere.append(asked.url),
        )
        page.on("requestfailed", self._miss)

    def _miss(self, asked: Any) -> None:
        # Going on to the next page stops what the last one still asked for.
        if asked.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{asked.url}: {asked.failure}")

    def _hear(self, said: Any) -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(said.text)


@pytest.fixture
def opened(chromium: Browser, service: Running, admin_state: Any) -> Iterator[Callable[..., Watched]]:
    """Opens a page for an admin, in a context of its own; `state=None` for nobody."""
    contexts: list[BrowserContext] = []

    def open_page(*, state: Any = admin_state, **options: Any) -> Watched:
        given = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "Europe/Berlin", **options}
        context = chromium.new_context(storage_state=state, base_url=service["url"], **given)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        return Watched(context.new_page(), service["url"])

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def pages(told: Workspace, chromium: Browser, admin_state: Any, service: Running) -> dict[str, str]:
    """The address of every page, by a name for its screenshot."""
    context = chromium.new_context(storage_state=admin_state, base_url=service["url"])
    page = context.new_page()
    at = f"/w/{told.name}"

    def first(listing: str, pattern: str, n: int = 0) -> str:
        page.goto(f"{at}{listing}")
        href = page.locator(f"main table a[href^='{at}/{pattern}/']").nth(n).get_attribute("href")
        assert href
        return href

    hook = {"name": "ours", "endpoint": "http://127.0.0.1:9/hook", "events": ["push_sent"]}
    webhook = f"{at}/webhooks/{told.app('POST', '/v1/reporting_webhooks', hook)['id']}"
    page.goto(webhook)
    page.get_by_role("button", name="Send test event").click()
    page.get_by_text("Test event failed").wait_for()
    template = {"kind": "broadcast", "name": "From a file", "title": "Hello", "message": "x"}
    number = told.app("POST", "/api/v1/templates", template)["template"]["id"]
    told.app(
        "POST", f"/v1/campaigns/{number}/triggers", {"data_file_url": "http://127.0.0.1:9/people.ndjson"}
    )
    told.track("PUT", "/api/v1/customers/leaver", {"email": "leaver@example.com"})
    erasure = told.app("POST", "/api/v1/customers/leaver/erase", {})["erasure"]["id"]
    dry_run = tried(page, at)
    kept = told.app("GET", "/api/v1/audiences")["audiences"]
    device = first("/devices?filter=last_status+%3D+suppressed", "devices")
    audiences = {one["name"]: f"{at}/audiences/{one['id']}" for one in kept}
    found = {
        "overview": at,
        "devices": f"{at}/devices",
        "exports": f"{at}/exports",
        "exports-of-members": f"{at}/exports?kind=members",
        "devices-filtered": f"{at}/devices?filter=last_status+%3D+suppressed",
        "devices-wrong-filter": f"{at}/devices?filter=app_version+%3C",
        "device": device,
        "people": f"{at}/people",
        "person": first("/people?filter=person.plan+%3D+pro", "people"),
        "audiences": f"{at}/audiences",
        "audience-new": f"{at}/audiences/new",
        "audience-typed": f"{at}/audiences/new?filter=last_status+!%3D+suppressed&count=yes&plan=yes",
        "audience-wrong-filter": f"{at}/audiences/new?filter=app_version+%3C",
        "audience": audiences["Gone"],
        "audience-list": audiences["Testers"],
        "erasures": f"{at}/erasures",
        "imports": f"{at}/imports",
        "import-new": f"{at}/imports/new",
        "import": dry_run,
        "erasure": f"{at}/erasures/{erasure}",
        "jobs": f"{at}/jobs",
        "explain": f"{at}/explain",
        "explain-person": f"{at}/explain?person=person-00000",
        "explain-device": f"{at}/explain?device={device.rpartition('/')[2]}",
        "explain-nobody": f"{at}/explain?person=nobody",
        "undo": f"{at}/undo",
        "undo-tried": f"{at}/undo?since={datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M}",
        "broadcasts": f"{at}/broadcasts",
        "broadcast-draft": first("/broadcasts", "broadcasts", 1),
        "broadcast": first("/broadcasts", "broadcasts", 2),
        "broadcast-over": first("/broadcasts", "broadcasts", 3),
        "broadcasts-worst": f"{at}/broadcasts?sort=worst",
        "broadcast-problems": f"{first('/broadcasts', 'broadcasts', 1)}/unrenderable",
        "broadcasts-compared": f"{at}/broadcasts/compare?"
        + "&".join(f"broadcast={first('/broadcasts', 'broadcasts', n).rpartition('/')[2]}" for n in (2, 3)),
        "compose": f"{at}/broadcasts/new?audience=last_status+!%3D+suppressed",
        "messages": f"{at}/messages",
        "message": first("/messages?metric=bounced", "messages"),
        "reports": f"{at}/reports",
        "reports-pushes": f"{at}/reports/pushes",
        "reports-refusals": f"{at}/reports/refusals",
        "reports-comebacks": f"{at}/reports/comebacks",
        "reports-broadcasts": f"{at}/reports/broadcasts",
        "reports-tokens": f"{at}/reports/tokens",
        "templates": f"{at}/templates",
        "sending": f"{at}/sending",
        "routes": f"{at}/routes",
        "route": first("/routes", "routes"),
        "credential": first("/routes", "routes/credentials"),
        "add-credentials": f"{at}/routes/add",
        "add-fcm": f"{at}/routes/add/fcm",
        "add-apns": f"{at}/routes/add/apns",
        "add-webpush": f"{at}/routes/add/webpush",
        "webhooks": f"{at}/webhooks",
        "webhook": webhook,
        "add-webhook": f"{at}/webhooks/add",
        "settings": f"{at}/settings",
        "simulator": f"{at}/simulator",
        "workspaces": "/workspaces",
        "users": "/users",
        "audit": "/audit",
        "account": "/account",
        "not-found": f"{at}/nothing",
    }
    context.close()
    return found


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where pictures go, if anywhere (PUSHKEEPER_SCREENSHOTS)."""
    folder = os.environ.get("PUSHKEEPER_SCREENSHOTS")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
