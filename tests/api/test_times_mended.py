"""Unreadable times that a release before 0022 wrote are repaired: everything can be read again."""

import secrets
import time
from datetime import UTC, datetime

import msgspec
import pytest
import pytest_asyncio

from pushkeeper.core.model import Platform, Token, WorkspaceId, device_id, uuid7
from pushkeeper.store import webhooks
from pushkeeper.store.admin import keys
from pushkeeper.store.admin.workspaces import NewKeys
from pushkeeper.store.db import migrate
from pushkeeper.store.devices.devices import Registration
from pushkeeper.worker.jobs.webhooks import posted_json
from support.databases import former_database

WORKSPACE = WorkspaceId(1)
BAD = [
    "-infinity",
    "infinity",
    "0001-01-01 00:00+00",
    "9999-12-31 23:59:59+00",
    "294276-12-31 00:00+00",
    "tomorrow",
]
SEED = """
    insert into workspaces (name) values ('app');
    insert into webhooks (workspace_id, name, endpoint, events, sealed)
        values (1, 'ours', 'https://example.com/', array['push_delivered'], '');
    insert into people (workspace_id, changed_at, attributes)
        values (1, '{"plan": -62135596800, "city": 99999999999, "right": 1700000000}', '{"plan": 1, "city": 2, "right": 3}');
    insert into identifiers (workspace_id, kind, key, value, person_id) values (1, 'id', '42', '42', 1);
    insert into messages (message_id, workspace_id, kind, person_id, content, expires_at)
        values ('{message}', 1, 'transactional', 1, '{"title": "x"}', now() + interval '1 day');
    insert into devices (device_id, workspace_id, person_id, token, platform, last_used)
        values ('{device}', 1, 1, 't1', 'ios', '{at}');
    insert into events (workspace_id, person_id, kind, name, happened_at) values (1, 1, 'event', 'bought', '{at}');
    insert into reports (message_id, person_id, device_id, metric, workspace_id, reported_at)
        values ('{message}', 1, '{device}', 'delivered', 1, '{at}');
"""


@pytest_asyncio.fixture
async def at_0021(database):
    """A database as the release before left it."""
    async with former_database(database, before=22) as former:
        yield former


async def keys_of(database, workspace):
    track, app, cdp = [await keys.make(database, workspace, kind) for kind in ("track", "app", "cdp")]
    return NewKeys(track.key_id, track.secret, app.secret, cdp.secret)


@pytest.mark.parametrize("at", BAD)
async def test_everything_is_read_again(at_0021, door_to, at):
    message = uuid7(int(time.time() * 1000), secrets.token_bytes(10))
    device = "\\x" + device_id(WORKSPACE, Token("t1")).hex()
    seed = SEED.replace("{message}", str(message)).replace("{device}", device).replace("{at}", at)
    await at_0021.owned.value(f"do $do$ begin {seed} end $do$")
    if at in BAD[2:4]:
        told = Registration(token=Token("t2"), platform=Platform.IOS, last_used=datetime.now(UTC))
        kept = msgspec.to_builtins(told) | {"last_used": f"{at[:10]}T00:00:00+03:00"}
        await at_0021.owned.rows(
            "insert into anonymous_devices (workspace_id, device_id, anonymous_id, registration) values (1, $1, 'a', $2)",
            device_id(WORKSPACE, told.token),
            kept,
        )
    await migrate.migrate(at_0021)
    async with door_to(at_0021, 1, await keys_of(at_0021, 1)) as door:
        delivery = at_0021.delivery_ids.of(1, message, 1)
        seen = {}
        for path in (
            "/v1/customers/42/attributes",
            "/v1/customers/42/activities",
            "/v1/customers/42/messages",
            "/v1/messages",
            f"/v1/messages/{delivery}",
            "/api/v1/devices",
            "/api/v1/devices/t1",
        ):
            status, seen[path] = await door.app("GET", path)
            assert status == 200, seen[path]
        person = seen["/v1/customers/42/attributes"]["customer"]
        times = [
            *(person["timestamps"][name] for name in ("plan", "city", "right")),
            person["devices"][0]["last_used"],
            *(one["timestamp"] for one in seen["/v1/customers/42/activities"]["activities"]),
            *seen[f"/v1/messages/{delivery}"]["message"]["metrics"].values(),
        ]
        [waiting] = await webhooks.waiting(at_0021, WORKSPACE, 1, most=9)
        times.append(posted_json(WORKSPACE, waiting, at_0021.delivery_ids, with_content=True)["timestamp"])
        assert person["timestamps"]["right"] == 1_700_000_000
        assert len(times) >= 9
        assert 1_700_000_000 <= min(times) <= max(times) <= time.time() + (86_400 if at == "tomorrow" else 0)
        if at in BAD[2:4]:
            status, _ = await door.track("PUT", "/api/v1/customers/43", {"anonymous_id": "a"})
            assert status == 200
            assert [one["id"] for one in (await door.person("43"))["devices"]] == ["t2"]
