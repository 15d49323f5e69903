"""The dashboard's pages on a large workspace: how long the service takes for each, as a browser sees it."""

from __future__ import annotations

import asyncio
import http.client
import secrets
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import paint, processes
from benchmarks.figures import Figure, percentile
from benchmarks.fixtures import Size, loaded
from benchmarks.fleet import BY
from benchmarks.pages import PAGES
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import PersonId
from pushkeeper.core.roles import Role
from pushkeeper.errors import Misconfigured
from pushkeeper.store.db.queries import read_queries
from pushkeeper.web import cookies

if TYPE_CHECKING:
    from benchmarks.fixtures import Loaded
    from benchmarks.pages import Page
    from pushkeeper.wiring import Store

SQL = read_queries(resources.files("benchmarks").joinpath("sql", "dashboard.sql").read_text(encoding="utf-8"))

DEVICES = 1_000_000
QUICK_DEVICES = 1_000
PUSHES_FOR_EACH = 5  # of ninety days
TIMES = 40
QUICK_TIMES = 2
_PAINTED = ("overview", "devices", "broadcast")
_OK = 200


async def measure(*, devices: int = DEVICES, times: int = TIMES) -> list[Figure]:
    """Each page a number of times, one after the other, from a service with its worker, on a workspace of a number of devices."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        size = Size.of(devices, pushes=devices * PUSHES_FOR_EACH)
        async with loaded(Path(folder), size) as found:
            await _work(found)
            await _count(found)
            held = await log_in(found.store)
            ids = await _ids(found)
            with processes.pushkeeper("serve", "--data", str(found.data_dir), "--port", "0") as served:
                origin = f"http://127.0.0.1:{urlsplit(served['url']).port}"
                browser = _Browser(urlsplit(origin).port or 80, "=".join(held))
                figures = await asyncio.to_thread(browser.measure, ids, times)
                if paint.is_installed():
                    painted = [(page.name, page.address(ids)) for page in PAGES if page.name in _PAINTED]
                    figures += await asyncio.to_thread(paint.measure, origin, held, painted, times)
                return figures


async def _work(found: Loaded) -> None:
    """What people who work with it have put there."""
    for name in ("broadcasts", "tallies", "minutes", "templates", "webhook", "audit", "erasures", "imports"):
        await found.store.database.rows(SQL[name], found.workspace_id)
    await found.store.database.owned.rows("vacuum analyze broadcasts, broadcast_tallies, outbox, audit_log")


async def _count(found: Loaded) -> None:
    """What a worker counts by itself, and pages wait for the first time: a page that has nothing to show yet is quick."""
    await found.store.services.reach.now(found.workspace_id)
    insights = found.store.services.insights
    await insights.cohorts(found.workspace_id)
    await insights.revivals(found.workspace_id)
    await insights.token_ages(found.workspace_id)


async def log_in(store: Store) -> tuple[str, str]:
    """The cookie of somebody who may look at everything: its name and its value."""
    users = store.services.accounts
    _, entry = await users.add(BY, "bench@example.com", Role.ADMIN)
    token = await users.follow(entry.token, secrets.token_urlsafe(24))
    return cookies.names(secure=False).session, token


async def _ids(found: Loaded) -> dict[str, str]:
    row = await found.store.database.row(SQL["ids"], found.workspace_id)
    if row is None:
        raise Misconfigured("bench: nobody was pushed to")
    person = PersonId(row["person_id"])
    routes = await found.store.services.routes.all(found.workspace_id)
    return {
        **{name: value for name, value in row.items() if isinstance(value, str)},
        "person": cio_id(person),
        "delivery": found.store.database.delivery_ids.text(found.workspace_id, row["message_id"], person),
        "route": routes[0].route.name,
    }


class _Browser:
    """One connection, which asks as browsers do and draws nothing."""

    def __init__(self, port: int, held: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"cookie": held, "accept-encoding": "gzip"}

    def measure(self, ids: dict[str, str], times: int) -> list[Figure]:
        """Each page, once before it counts: what a page has counted for the first time is there when others come."""
        return [self._page(page, page.address(ids), times) for page in PAGES]

    def _page(self, page: Page, address: str, times: int) -> Figure:
        self._visit(address)
        took = sorted(self._visit(address) for _ in range(times))
        return Figure(
            name=f"page, {page.name}",
            requests_per_s=times / sum(took),
            p50_ms=percentile(took, 0.5),
            p95_ms=percentile(took, 0.95),
            p99_ms=percentile(took, 0.99),
            goal=f"p95 {page.p95_ms} ms",
        )

    def _visit(self, address: str) -> float:
        started = time.perf_counter()
        self._connection.request("GET", address, headers=self._headers)
        response = self._connection.getresponse()
        response.read()
        took_s = time.perf_counter() - started
        if response.status != _OK:
            raise Misconfigured(f"bench: {address} was answered with {response.status}")
        return took_s
