"""Each door opens to the key that is for it, and to no other: generated from the routes that there are."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from pushkeeper import wiring
from pushkeeper.core.model import Secret
from pushkeeper.store.admin import workspaces
from pushkeeper.store.admin.vault import Vault
from support.inside import Inside, routes_of

if TYPE_CHECKING:
    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database

# What needs no key: health, our own description, and what apps report of a push, whose delivery id is what they know.
OPEN = {
    *(
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/api/docs",
        "/api/docs/errors",
        "/webpush/cio-webpush-sw.js",
        "/exports/{link}",
        "/v1/info/ip_addresses",
        "/unsubscribe/{delivery_id}",
    ),
    *("/api/v1/metrics", "/api/v1/push/events", "/push/events"),
    "/metrics",  # by another key, or from this machine
    "/v1/projects/{key}/settings",  # the write key is in the path
}
TABLES = (
    "people",
    "identifiers",
    "devices",
    "events",
    "messages",
    "templates",
    "segments",
    "broadcasts",
    "webhooks",
)


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Keyring:
    """Two workspaces' keys, and an app that knows both."""

    inside: Inside
    database: Database
    ours: NewKeys
    theirs: NewKeys
    workspace: Workspace

    def right(self) -> dict[str, str]:
        """One that is good, of each kind."""
        return {
            "track": basic(self.ours.site_id, self.ours.api_key),
            "app": f"Bearer {self.ours.app_api_key}",
            "cdp": basic(self.ours.write_key, ""),
        }

    def wrong(self) -> dict[str, str | None]:
        """Everything that is good nowhere, or not here."""
        a, b = self.ours, self.theirs
        keys = {"site": a.site_id, "api": a.api_key, "app": a.app_api_key, "write": a.write_key}
        found: dict[str, str | None] = {
            "nothing": None,
            "an empty header": "",
            "a scheme alone": "Basic",
            "a bearer of nothing": "Bearer ",
            "no base64": "Basic ***",
            "base64 of no pair": "Basic " + b64encode(b"nothing").decode(),
            "base64 of noise": "Basic " + b64encode(bytes(range(256))).decode(),
            "an empty pair": basic("", ""),
            "A's site, B's key": basic(a.site_id, b.api_key),
            "B's site, A's key": basic(b.site_id, a.api_key),
            "the pair turned round": basic(a.api_key, a.site_id),
            "the site twice": basic(a.site_id, a.site_id),
            "the site alone": basic(a.site_id, ""),
            "the key alone": basic("", a.api_key),
            "the site's app key": basic(a.site_id, a.app_api_key),
            "the site's write key": basic(a.site_id, a.write_key),
            "the app key as a user": basic(a.app_api_key, ""),
            "the key cut": basic(a.site_id, a.api_key[:-1]),
            "the key made longer": basic(a.site_id, f"{a.api_key}0"),
            "the key in capitals": basic(a.site_id, a.api_key.upper()),
            "the key with a blank": basic(a.site_id, f" {a.api_key}"),
            "the key with a NUL": basic(a.site_id, f"{a.api_key}\0"),
            "SQL as the key": basic(a.site_id, "' or '1'='1"),
            "SQL as the site": basic("' or '1'='1' --", a.api_key),
            "a wildcard": basic("%", "%"),
            "bearer of the API key": f"Bearer {a.api_key}",
            "bearer of the site": f"Bearer {a.site_id}",
            "bearer of the pair": f"Bearer {a.site_id}:{a.api_key}",
            "bearer cut": f"Bearer {a.app_api_key[:-1]}",
            "bearer made longer": f"Bearer {a.app_api_key}0",
            "bearer in capitals": f"Bearer {a.app_api_key.upper()}",
            "bearer of its beginning": f"Bearer {a.app_api_key[:8]}",
            "bearer with a NUL": f"Bearer {a.app_api_key}\0",
            "bearer of SQL": "Bearer ' or 1=1 --",
            "the key without a scheme": a.app_api_key,
            "a scheme that is none": f"Token {a.app_api_key}",
            "digest": f'Digest username="{a.site_id}", response="{a.api_key}"',
            "two in one": f"Bearer {b.site_id}, Bearer {a.app_api_key}",
        }
        return {**found, **{f"bearer {name} reversed": f"Bearer {key[::-1]}" for name, key in keys.items()}}

    async def asked(self, method: str, path: str, authorization: str | None) -> int:
        headers = {"content-type": "application/json", "x-strict-mode": "1"}
        if authorization is not None:
            headers["authorization"] = authorization
        body = b'{"name": "intruder", "userId": "intruder", "event": "x", "identifiers": {"id": "intruder"}}'
        filled = re.sub(r"{[^}]+}", "intruder", path)
        return int((await self.inside.ask(method, filled, body if method != "GET" else None, headers)).status)

    async def rows(self) -> dict[str, int]:
        return {table: await self.database.value(f"select count(*) from {table}") for table in TABLES}


@pytest_asyncio.fixture
async def keyring(database: Database, workspace: Any) -> Keyring:
    made, keys = workspace
    _, theirs = await workspaces.create(database, f"their-{made.name}")
    app = wiring.api(wiring.Store(database, Vault(Secret(bytes(32))), None, ()), "http://push.example.com")
    return Keyring(Inside(0, {}, app=app), database, keys, theirs, made)


async def test_a_key_opens_the_doors_of_its_own_kind_and_nothing_opens_another(keyring: Keyring) -> None:
    right, kinds = keyring.right(), {}
    for method, path in routes_of(keyring.inside.app):
        if path in OPEN or method in {"OPTIONS", "HEAD"} or not path.startswith(("/api/", "/v1/")):
            continue
        opened_by = [kind for kind, key in right.items() if await keyring.asked(method, path, key) != 401]
        assert len(opened_by) == 1, (method, path, opened_by)
        kinds[method, path] = opened_by[0]
    assert {kind: list(kinds.values()).count(kind) > 9 for kind in right} == dict.fromkeys(right, True)
    before, tried, opened = await keyring.rows(), 0, []
    for (method, path), kind in kinds.items():
        others = {other: key for other, key in right.items() if other != kind}
        for name, key in {**keyring.wrong(), **others}.items():
            tried += 1
            status = await keyring.asked(method, path, key)
            if status != 401:
                opened.append((method, path, name, status))
    assert opened == []
    assert tried > 4_000
    assert await keyring.rows() == before


async def test_a_key_in_a_body_or_a_query_opens_nothing_that_asks_for_a_header(keyring: Keyring) -> None:
    keys = keyring.ours
    for name, key in (("api_key", keys.app_api_key), ("key", keys.app_api_key), ("writeKey", keys.write_key)):
        assert await keyring.asked("GET", f"/api/v1/devices?{name}={key}", None) == 401
        body = f'{{"{name}": "{key}", "identifiers": {{"id": "1"}}, "title": "x"}}'.encode()
        seen = await keyring.inside.ask("POST", "/v1/send/push", body, {"content-type": "application/json"})
        assert seen.status == 401


async def test_a_method_in_a_header_is_not_believed(keyring: Keyring) -> None:
    authorization = keyring.right()["app"]
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        headers = {"authorization": authorization, name: "DELETE"}
        assert (await keyring.inside.ask("GET", "/api/v1/options", None, headers)).status == 200
    assert (
        await keyring.inside.ask("DELETE", "/api/v1/options", None, {"authorization": authorization})
    ).status == 405
