"""Plans: each device goes into the lane of its route, whichever page its kind is first met on."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.delivery.route_choice import choose_route
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Content, Environment, Platform, Provider, Secret, Token, token_shape
from pushkeeper.services.broadcasts import planner
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.services.broadcasts.triggered import Triggers
from pushkeeper.store.admin import credentials
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.broadcasts.planning import Address
from pushkeeper.store.delivery import routes
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database

APPS = ("", "com.example.app", "my-project", "another")
TOKENS = {Platform.ANDROID: ("a" * 150,), Platform.IOS: ("b" * 64, "c" * 22 + ":APA91b" + "c" * 134, "odd")}
KINDS = [
    (platform, app, environment, token)
    for platform in TOKENS
    for app, environment, token in itertools.product(APPS, ("", "production", "sandbox"), TOKENS[platform])
]


async def add_routes(database: Database, tenant: WorkspaceId) -> None:
    vault = Vault(Secret(bytes(32)))
    for provider, kind, app in (
        (Provider.APNS, "key", "com.example.app"),
        (Provider.FCM, "service_account", "my-project"),
    ):
        new = NewCredential(
            provider=provider,
            kind=kind,
            app=app,
            environment=Environment.PRODUCTION,
            facts={},
            secret=Secret(b"key"),
        )
        await credentials.put(database, vault, tenant, new)


@pytest.mark.parametrize("most_kinds", [planner.MOST_KINDS, 2], ids=["all remembered", "often forgotten"])
async def test_each_kind_of_device_is_planned_for_the_lane_of_its_route(
    database: Database,
    tenant: WorkspaceId,
    registry: People,
    monkeypatch: pytest.MonkeyPatch,
    most_kinds: int,
) -> None:
    monkeypatch.setattr(planner, "MOST_KINDS", most_kinds)
    monkeypatch.setattr(planner, "FIRST_PAGE", 5)
    monkeypatch.setattr(planner, "PAGE", 7)
    await add_routes(database, tenant)
    ways = await routes.of_workspaces(database, [tenant])
    expected: Counter[int] = Counter()
    for number, (platform, app, environment, kind) in enumerate(KINDS):
        token = Token(f"{number:02}{kind[2:]}")
        registration = Registration(
            token=token,
            platform=platform,
            app=app,
            environment=Environment(environment) if environment else None,
            last_used=datetime.now(UTC),
        )
        await registry.register(
            PersonReference(workspace_id=tenant, path=of_path(f"p{number}")), registration
        )
        route = choose_route(Address(platform, app, environment, token_shape(platform, token)), ways)
        expected[0 if route is None else route.route_id] += 1
    assert len(expected) > 2
    number = await Triggers(database, {}).send_to_all(tenant, Content(message="x"), send_to_unsubscribed=True)
    await Jobs(database, Planner(Planning(database))).finish()
    rows = await database.rows(
        "select q.lane, sum(cardinality(q.device_ids))::int as devices "
        "from batches q join broadcasts using (workspace_id, message_id) "
        "where workspace_id = $1 and broadcast_id = $2 group by 1",
        tenant,
        number,
    )
    assert {row["lane"]: row["devices"] for row in rows} == expected
