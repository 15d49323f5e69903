"""The pictures of the documentation, taken of a shop after a year, in which Ann uninstalls the app and comes back."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from benchmarks.fixtures import Size, fill, push
from pushkeeper import config, wiring
from pushkeeper.store.db.queries import read_queries
from support.pictures import PICTURES, size, small
from support.service import Workspace, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.driver import Connection
    from support.processes import Running
    from tests.browser.conftest import Watched

SQL = read_queries(Path(__file__).with_name("shop.sql").read_text(encoding="utf-8"))
CREATED = 201
SIZE = Size(devices=12_000, people=8_400, events=4_000, pushes=160_000)


@pytest.fixture(scope="module")
def shop(service: Running, simulator: Running) -> Workspace:
    place = Workspace("shop", service, simulator)
    place.add_fcm()
    place.add_apns()
    # Playwright's loop runs in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, after_a_year(Path(service["data_dir"]))).result()
    return place


async def after_a_year(data_dir: Path) -> None:
    async with wiring.store(config.load({"data_dir": data_dir}, environ={})) as store:
        found: WorkspaceId = await store.database.value(
            "select workspace_id from workspaces where name = 'shop'"
        )

        async def work(connection: Connection) -> None:
            await fill(connection, found, replace(SIZE, pushes=0))
            for name in ("devices", "history"):
                await connection.execute(SQL[name], found)
            await push(connection, found, SIZE)
            for name in ("moments", "snapshots", "hours", "refusals", "webhook"):
                await connection.execute(SQL[name], found)

        await store.database.owned.in_transaction(work)
        insights = store.services.insights
        await store.services.reach.now(found)
        await insights.cohorts(found)


@pytest.fixture(scope="module")
def token(shop: Workspace) -> str:
    """Ann's phone, after everything in the quickstart."""
    [token] = shop.mint("android")
    [other] = shop.mint("ios")
    shop.track("PUT", "/api/v1/customers/ann", {"email": "ann@example.com", "plan": "pro"})
    attributes = {"app_version": "4.2.0", "device_model": "Pixel 9", "device_os": 16}
    shop.register("ann", token, "android", attributes=attributes)
    shop.register("ben", other, "ios", attributes={"app_version": "4.2.0"})
    shop.push_and_wait("ben", title="Hello, Ben")
    shop.push_and_wait("ann", title="Hello, Ann")
    shop.control("POST", "/uninstall", {"tokens": [token]})
    shop.push_and_wait("ann", title="Are you there?")
    shop.push_and_wait("ann", title="Hello?")
    shop.control("POST", "/install", {"tokens": [token]})
    shop.register("ann", token, "android", attributes=attributes)
    shop.push_and_wait("ann", title="Welcome back")
    eventually(lambda: shop.status(token) == "sent")
    return str(token)


@pytest.fixture(scope="module")
def broadcast(shop: Workspace, token: str) -> int:
    """A broadcast to all who have the new version, of which a part has come to an end: some of them had left."""
    phones = [("ios", one) for one in shop.mint("ios", 260)] + [
        ("android", one) for one in shop.mint("android", 340)
    ]
    for number, (platform, one) in enumerate(phones):
        shop.register(f"new-{number:03d}", one, platform, attributes={"app_version": "5.0.0"})
    shop.control("POST", "/uninstall", {"tokens": [one for _, one in phones[::17]]})
    asked = {
        "name": "The summer sale",
        "content": {
            "title": "The summer sale begins",
            "message": "Everything at half its price until Sunday{% if person.plan == 'pro' %}, and for you from today{% endif %}.",
            "link": "shop://sale",
        },
        "audience": {"filter": "app_version >= 5.0"},
        "throttle": {"per_second": 40},
        "start": True,
    }
    status, made = shop.app.request("POST", "/api/v1/broadcasts", asked)
    assert status == CREATED, made
    made_as: int = made["broadcast"]["id"]

    def has_come_far() -> bool:
        progress = shop.app("GET", f"/api/v1/broadcasts/{made_as}")["broadcast"]["progress"]
        return bool(progress["settled"] > progress["devices"] / 3)

    eventually(has_come_far, within_s=60)
    assert shop.app("POST", f"/api/v1/broadcasts/{made_as}/pause")["broadcast"]["state"] == "paused"
    return made_as


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_documentation_is_taken(
    opened: Callable[..., Watched],
    token: str,
    broadcast: int,
    screenshots: Path | None,
    tmp_path: Path,
    name: str,
) -> None:
    wanted = PICTURES[name]
    watched = opened(viewport={"width": wanted.width, "height": wanted.height}, **wanted.options)
    watched.page.goto(f"/w/shop{quote(wanted.page.format(token=token, broadcast=broadcast), safe='/?=&')}")
    watched.page.locator(wanted.there).first.wait_for()
    expect(watched.page.locator(".htmx-request")).to_have_count(0)
    taken = watched.page.screenshot()
    assert size(taken) == wanted.size
    file = (screenshots or tmp_path) / f"{name}.png"
    file.write_bytes(small(taken) if screenshots else taken)
    assert watched.complaints == []
