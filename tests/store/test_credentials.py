"""Credentials: sealed at rest, and the routes that they open, hold and let go on."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.model import Content, Environment, PersonId, Provider, Secret, WorkspaceId, uuid7
from pushkeeper.errors import Misconfigured, NotFound
from pushkeeper.store import credentials, messages, workspaces
from pushkeeper.store.credentials import NewCredential, Route
from pushkeeper.store.vault import Vault

if TYPE_CHECKING:
    from uuid import UUID

    from pushkeeper.store.database import Connection, Database

VAULT = Vault(Secret(bytes(32)))
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----\n{secrets.token_hex(40)}\n-----END PRIVATE KEY-----\n"

APNS = NewCredential(
    provider=Provider.APNS,
    kind="key",
    app="com.example.app",
    environment=Environment.PRODUCTION,
    facts={"key_id": "ABC123DEFG"},
    secret=Secret(PRIVATE_KEY.encode()),
)
FCM = NewCredential(
    provider=Provider.FCM,
    kind="service_account",
    app="my-project",
    environment=Environment.PRODUCTION,
    facts={"client_email": "sender@my-project.example"},
    secret=Secret(PRIVATE_KEY.encode()),
    endpoint_url="https://localhost:1",
    ca_pem="a certificate",
)


async def routes_of(database: Database, tenant: WorkspaceId) -> dict[str, Route]:
    return {route.name: route for route in await credentials.routes(database, [tenant])}


async def hold_a_message(database: Database, tenant: WorkspaceId, route: Route | None, devices: int) -> UUID:
    """A batch that a worker has put aside."""
    now = datetime.now(UTC)
    message_id = uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10))
    message = messages.NewMessage(
        message_id=message_id,
        workspace_id=tenant,
        person_id=PersonId(1),
        content=Content(title="held"),
        pick="all",
        send_to_unsubscribed=True,
        send_at=now,
        expires_at=now + timedelta(days=1),
    )

    async def work(connection: Connection) -> None:
        await messages.insert(connection, [message])
        await connection.execute(
            "update batches set person_id = null, pick = null, device_ids = $2, person_ids = $3, "
            "held_route_id = $4, held_reason = 'credentials' where message_id = $1",
            message_id,
            [secrets.token_bytes(16) for _ in range(devices)],
            [1] * devices,
            None if route is None else route.route_id,
        )

    await database.in_transaction(work)
    return message_id


async def is_held(database: Database, message_id: UUID) -> bool:
    held: bool = await database.value(
        "select held_reason is not null from batches where message_id = $1", message_id
    )
    return held


async def pause(database: Database, route: Route, reason: str = "credentials", *, alone: bool = True) -> None:
    """Stop this route, or all routes of its credential."""
    chosen = route.route_id if alone else None
    await database.in_transaction(
        lambda connection: credentials.pause(connection, route.credential_id, chosen, reason)
    )


@pytest.mark.parametrize("new", [APNS, FCM])
async def test_a_credential_comes_back_as_it_was_put(
    database: Database, tenant: WorkspaceId, new: NewCredential
) -> None:
    credential_id = await credentials.put(database, VAULT, tenant, new)
    found = await credentials.read(database, VAULT, credential_id)
    assert (found.credential_id, found.workspace_id) == (credential_id, tenant)
    for name in ("provider", "kind", "app", "environment", "facts", "secret", "endpoint_url", "ca_pem"):
        assert getattr(found, name) == getattr(new, name)
    assert PRIVATE_KEY not in repr(found)


async def test_putting_it_again_replaces_it_and_keeps_its_id(database: Database, tenant: WorkspaceId) -> None:
    first = await credentials.put(database, VAULT, tenant, APNS)
    before = await credentials.read(database, VAULT, first)
    again = replace(APNS, facts={"key_id": "XYZ"}, secret=Secret(b"another"))
    assert await credentials.put(database, VAULT, tenant, again) == first
    after = await credentials.read(database, VAULT, first)
    assert (after.secret, after.facts) == (Secret(b"another"), {"key_id": "XYZ"})
    assert after.changed_at > before.changed_at
    sandbox = replace(APNS, environment=Environment.SANDBOX)
    assert await credentials.put(database, VAULT, tenant, sandbox) != first


async def test_another_secret_key_opens_no_credential(database: Database, tenant: WorkspaceId) -> None:
    credential_id = await credentials.put(database, VAULT, tenant, APNS)
    with pytest.raises(Misconfigured, match="sealed with another key"):
        await credentials.read(database, Vault(Secret(bytes([1]) * 32)), credential_id)
    with pytest.raises(NotFound):
        await credentials.read(database, VAULT, 0)


async def test_a_sealed_secret_that_was_moved_to_another_workspace_is_not_opened(
    database: Database, tenant: WorkspaceId
) -> None:
    other, _ = await workspaces.create(database, secrets.token_hex(8))
    await credentials.put(database, VAULT, tenant, APNS)
    theirs = await credentials.put(
        database, VAULT, other.workspace_id, replace(APNS, secret=Secret(b"theirs"))
    )
    await database.value(
        "update credentials set sealed = (select sealed from credentials where workspace_id = $1) "
        "where workspace_id = $2",
        tenant,
        other.workspace_id,
    )
    with pytest.raises(Misconfigured):
        await credentials.read(database, VAULT, theirs)


async def test_no_column_of_any_table_holds_a_key_or_a_private_key(database: Database) -> None:
    made, keys = await workspaces.create(database, secrets.token_hex(8))
    await credentials.put(database, VAULT, made.workspace_id, APNS)
    needles = [keys.api_key, keys.app_api_key, keys.write_key, PRIVATE_KEY, PRIVATE_KEY.split("\n")[1]]
    tables = await database.rows(
        "select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind = 'r' and n.nspname = 'public'"
    )
    seen = ""
    for table in tables:
        found = await database.value(f"select string_agg(t::text, ' ') from {table['name']} t")
        seen += found or ""
    assert keys.site_id in seen, "what is public is found by this search"
    for needle in needles:
        assert needle not in seen
        assert needle.encode().hex() not in seen


async def test_apns_opens_one_route_and_fcm_one_for_each_leg(database: Database, tenant: WorkspaceId) -> None:
    await credentials.put(database, VAULT, tenant, APNS)
    await credentials.put(database, VAULT, tenant, replace(APNS, environment=Environment.SANDBOX))
    await credentials.put(database, VAULT, tenant, FCM)
    found = await routes_of(database, tenant)
    assert set(found) == {
        "apns:production:com.example.app",
        "apns:sandbox:com.example.app",
        "fcm:my-project",
        "fcm:my-project:apple",
    }
    assert {(route.accepted_at, route.paused_at, route.pause_reason) for route in found.values()} == {
        (None, None, None)
    }


async def test_routes_are_of_the_workspaces_asked_for(database: Database, tenant: WorkspaceId) -> None:
    other, _ = await workspaces.create(database, secrets.token_hex(8))
    await credentials.put(database, VAULT, other.workspace_id, APNS)
    assert await credentials.routes(database, [tenant]) == []
    assert len(await credentials.routes(database, [tenant, other.workspace_id])) == 1


async def test_what_is_held_is_counted_by_route_and_reason(database: Database, tenant: WorkspaceId) -> None:
    await credentials.put(database, VAULT, tenant, FCM)
    android = (await routes_of(database, tenant))["fcm:my-project"]
    await hold_a_message(database, tenant, android, devices=2)
    await hold_a_message(database, tenant, android, devices=3)
    await hold_a_message(database, tenant, None, devices=4)
    held = await credentials.held(database, tenant)
    assert {(h.route_id, h.reason, h.batches, h.devices) for h in held} == {
        (android.route_id, "credentials", 2, 5),
        (None, "credentials", 1, 4),
    }


async def test_resuming_a_route_releases_what_it_holds_and_nothing_else(
    database: Database, tenant: WorkspaceId
) -> None:
    await credentials.put(database, VAULT, tenant, FCM)
    found = await routes_of(database, tenant)
    android, apple = found["fcm:my-project"], found["fcm:my-project:apple"]
    await pause(database, android, alone=False)
    on_android = await hold_a_message(database, tenant, android, devices=2)
    on_apple = await hold_a_message(database, tenant, apple, devices=3)
    assert await credentials.resume(database, tenant, [android.route_id]) == 2
    assert not await is_held(database, on_android)
    assert await is_held(database, on_apple)
    found = await routes_of(database, tenant)
    assert found["fcm:my-project"].pause_reason is None
    assert found["fcm:my-project:apple"].pause_reason == "credentials"


async def test_nobody_resumes_the_routes_of_another_workspace(
    database: Database, tenant: WorkspaceId
) -> None:
    other, _ = await workspaces.create(database, secrets.token_hex(8))
    await credentials.put(database, VAULT, tenant, APNS)
    (route,) = (await routes_of(database, tenant)).values()
    await pause(database, route)
    message = await hold_a_message(database, tenant, route, devices=1)
    assert await credentials.resume(database, other.workspace_id, [route.route_id]) == 0
    assert await is_held(database, message)
    assert (await routes_of(database, tenant))[route.name].pause_reason == "credentials"


async def test_a_new_credential_releases_what_the_old_one_held_and_has_to_prove_itself(
    database: Database, tenant: WorkspaceId
) -> None:
    await credentials.put(database, VAULT, tenant, APNS)
    (route,) = (await routes_of(database, tenant)).values()
    await database.in_transaction(lambda connection: credentials.mark_accepted(connection, [route.route_id]))
    assert (await routes_of(database, tenant))[route.name].accepted_at is not None
    await pause(database, route)
    message = await hold_a_message(database, tenant, route, devices=1)
    await credentials.put(database, VAULT, tenant, replace(APNS, secret=Secret(b"a new key")))
    (after,) = (await routes_of(database, tenant)).values()
    assert after.route_id == route.route_id
    assert (after.accepted_at, after.paused_at, after.pause_reason) == (None, None, None)
    assert not await is_held(database, message)


async def test_a_paused_route_keeps_its_first_reason(database: Database, tenant: WorkspaceId) -> None:
    await credentials.put(database, VAULT, tenant, APNS)
    (route,) = (await routes_of(database, tenant)).values()
    await pause(database, route)
    (paused,) = (await routes_of(database, tenant)).values()
    await pause(database, route, "something else")
    assert (await routes_of(database, tenant))[route.name] == paused


async def test_one_leg_is_paused_without_the_other(database: Database, tenant: WorkspaceId) -> None:
    await credentials.put(database, VAULT, tenant, FCM)
    await pause(database, (await routes_of(database, tenant))["fcm:my-project:apple"])
    found = await routes_of(database, tenant)
    assert {name for name, route in found.items() if route.paused_at} == {"fcm:my-project:apple"}


async def test_a_workspace_is_set_up_once_it_has_a_credential(
    database: Database, tenant: WorkspaceId
) -> None:
    async def ask(connection: Connection) -> set[WorkspaceId]:
        return await credentials.set_up(connection, [tenant])

    assert await database.in_transaction(ask) == set()
    await credentials.put(database, VAULT, tenant, APNS)
    assert await database.in_transaction(ask) == {tenant}
