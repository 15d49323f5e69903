"""Credentials: sealed at rest."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.model import Environment, Provider, Secret, WorkspaceId
from pushkeeper.errors import Misconfigured, NotFound
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

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


@pytest.mark.parametrize("new", [APNS, FCM])
async def test_a_credential_comes_back_as_it_was_put(
    database: Database, tenant: WorkspaceId, new: NewCredential
) -> None:
    credential_id = await credentials.put(database, VAULT, tenant, new)
    found = await credentials.read(database, VAULT, tenant, credential_id)
    assert (found.credential_id, found.workspace_id) == (credential_id, tenant)
    for name in ("provider", "kind", "app", "environment", "facts", "secret", "endpoint_url", "ca_pem"):
        assert getattr(found, name) == getattr(new, name)
    assert PRIVATE_KEY not in repr(found)


async def test_putting_it_again_replaces_it_and_keeps_its_id(database: Database, tenant: WorkspaceId) -> None:
    first = await credentials.put(database, VAULT, tenant, APNS)
    before = await credentials.read(database, VAULT, tenant, first)
    again = replace(APNS, facts={"key_id": "XYZ"}, secret=Secret(b"another"))
    assert await credentials.put(database, VAULT, tenant, again) == first
    after = await credentials.read(database, VAULT, tenant, first)
    assert (after.secret, after.facts) == (Secret(b"another"), {"key_id": "XYZ"})
    assert after.changed_at > before.changed_at
    sandbox = replace(APNS, environment=Environment.SANDBOX)
    assert await credentials.put(database, VAULT, tenant, sandbox) != first


async def test_another_secret_key_opens_no_credential(database: Database, tenant: WorkspaceId) -> None:
    credential_id = await credentials.put(database, VAULT, tenant, APNS)
    with pytest.raises(Misconfigured, match="encrypted with another key"):
        await credentials.read(database, Vault(Secret(bytes([1]) * 32)), tenant, credential_id)
    with pytest.raises(NotFound):
        await credentials.read(database, VAULT, tenant, 0)


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
        await credentials.read(database, VAULT, other.workspace_id, theirs)


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
        found = await database.owned.value(f"select string_agg(t::text, ' ') from {table['name']} t")
        seen += found or ""
    assert keys.site_id in seen, "what is public is found by this search"
    for needle in needles:
        assert needle not in seen
        assert needle.encode().hex() not in seen


async def test_a_workspace_is_set_up_once_it_has_a_credential(
    database: Database, tenant: WorkspaceId
) -> None:
    async def ask(connection: Connection) -> set[WorkspaceId]:
        return await credentials.set_up(connection, [tenant])

    assert await database.in_transaction(ask) == set()
    await credentials.put(database, VAULT, tenant, APNS)
    assert await database.in_transaction(ask) == {tenant}
