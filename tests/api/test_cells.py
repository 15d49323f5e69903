"""What arrives at the wrong cell: each API says which cell was meant and which this is, changes nothing, and counts it."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from pushkeeper import wiring
from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.model import PersonId, Secret, WorkspaceId
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.services.metrics_snapshot import MetricsSnapshot
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.admin.workspaces import NewKeys
from support.inside import Inside, routes_of
from support.requests import SAMPLES, filled, is_of_cdp, key_of

from .test_keys import OPEN, TABLES

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

HERE, ELSEWHERE = 3, 5


@dataclass
class Cell:
    """The APIs of cell 3, in this process."""

    inside: Inside
    database: Database
    keys: NewKeys  # of a workspace of it, made before it was a cell

    async def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return await self.inside.ask(method, path, data, {"content-type": "application/json", **headers})

    async def rows(self) -> dict[str, int]:
        return {table: await self.database.value(f"select count(*) from {table}") for table in TABLES}


def misrouted(named_by: str) -> float:
    return PROCESS.count(Metric.MISROUTED, named_by).value


def made_up(prefix: str) -> NewKeys:
    site, api, app, write = (f"{prefix}{secrets.token_hex(size)}" for size in (10, 16, 20, 20))
    return NewKeys(site, api, app, write)


@pytest_asyncio.fixture
async def cell(database: Database, workspace: Any) -> Cell:
    _, keys = workspace
    store = wiring.Store(database, Vault(Secret(bytes(32))), None, (), HERE)
    app = wiring.api(store, "http://cell3.push.example.com")
    return Cell(Inside(0, {}, app=app), database, keys)


@pytest.mark.parametrize(("prefix", "meant"), [("k005", 5), ("", 0)])
async def test_every_route_says_that_the_key_is_of_another_cell(cell: Cell, prefix: str, meant: int) -> None:
    keys = made_up(prefix)
    before, counted, tried = await cell.rows(), misrouted("key"), 0
    for method, path in routes_of(cell.inside.app):
        if path in OPEN or method in {"OPTIONS", "HEAD"}:
            continue
        route = f"{method} {path}"
        for body in SAMPLES.get(route, [None]):
            seen = await cell.ask(method, filled(path), key_of(route, keys), body)
            assert seen.status == (503 if is_of_cdp(route) else 401), (route, seen.body)
            assert is_of_cdp(route) == ("retry-after" in seen.headers), route
            assert f"The key belongs to cell {meant}, but this is cell {HERE}" in seen.body.decode(), route
            tried += 1
    assert tried > 100
    assert misrouted("key") - counted == tried
    assert await cell.rows() == before


@pytest.mark.parametrize("path", ["/v1/b", "/v1/batch", "/v1/track"])
async def test_a_write_key_in_a_body_is_told_so_too_and_the_sdk_keeps_the_batch(
    cell: Cell, path: str
) -> None:
    item = {"type": "track", "event": "bought", "userId": "42"}
    seen = await cell.ask(
        "POST", path, {}, {**item, "batch": [item], "writeKey": made_up("k005").write_key, "sentAt": None}
    )
    assert (seen.status, seen.headers["retry-after"]) == (503, "60")
    assert json.loads(seen.body) == {
        "code": "unreachable",
        "message": "The key belongs to cell 5, but this is cell 3",
    }


async def test_an_sdk_that_asks_the_wrong_cell_for_its_settings_goes_on_with_the_host_that_it_has(
    cell: Cell,
) -> None:
    seen = await cell.ask("GET", f"/v1/projects/{made_up('k005').write_key}/settings", {})
    assert seen.status == 404
    assert "cell 5" in seen.body.decode()


@pytest.mark.parametrize(
    "key", ["k003" + "a" * 40, "k000" + "a" * 40, "k1005" + "a" * 40, "nothing", "k005", "", "a" * 41, "ü"]
)
async def test_no_other_refusal_says_anything_of_cells(cell: Cell, key: str) -> None:
    basic = "Basic " + b64encode(f"{key}:{key}".encode()).decode()
    for method, path, authorization in (
        ("GET", "/api/v1/options", f"Bearer {key}"),
        ("GET", "/v1/segments", f"Bearer {key}"),
        ("GET", "/api/v1/accounts/region", basic),
        ("POST", "/api/v2/entity", basic),
    ):
        seen = await cell.ask(method, path, {"authorization": authorization.encode().decode("latin-1")})
        assert seen.status == 401
        assert "cell" not in seen.body.decode()


async def test_a_key_that_names_no_cell_opens_the_cell_that_has_it(cell: Cell) -> None:
    for route in ("GET /api/v1/options", "GET /api/v1/accounts/region"):
        method, path = route.split()
        assert (await cell.ask(method, path, key_of(route, cell.keys))).status == 200


async def test_a_wrong_secret_of_a_known_site_is_no_matter_of_cells(cell: Cell) -> None:
    keys = NewKeys(cell.keys.site_id, made_up("k005").api_key, "", "")
    seen = await cell.ask("GET", "/api/v1/accounts/region", key_of("GET /api/v1/accounts/region", keys))
    assert (seen.status, b"cell" in seen.body) == (401, False)


@pytest.mark.parametrize("number", [ELSEWHERE, 0, HERE])
async def test_reports_that_name_another_cells_delivery_are_to_be_sent_again(cell: Cell, number: int) -> None:
    ids = DeliveryIds(Secret(bytes(32)))
    delivery = ids.text(WorkspaceId((number << 40) + 1), uuid4(), PersonId((number << 40) + 1))
    before, counted = await cell.rows(), misrouted("delivery_id")
    for path, body in (
        ("/api/v1/metrics", {"delivery_id": delivery, "metric": "opened"}),
        ("/api/v1/push/events", {"delivery_id": delivery, "event": "opened"}),
        ("/push/events", {"delivery_id": delivery, "event": "opened"}),
        (f"/unsubscribe/{delivery}", {"unsubscribe": True}),
    ):
        seen = await cell.ask("POST", path, {}, body)
        assert seen.status == (200 if number == HERE else 503)
        assert number == HERE or f"belongs to cell {number}, but this is cell {HERE}" in seen.body.decode()
        assert number == HERE or seen.headers["retry-after"] == "60"
    assert misrouted("delivery_id") - counted == (0 if number == HERE else 4)
    assert await cell.rows() == before


async def test_metrics_name_the_cell(cell: Cell) -> None:
    series = await MetricsSnapshot(cell.database, HERE).gather()
    assert [one.labels for one in series if one.metric is Metric.CELL] == [(str(HERE),)]
