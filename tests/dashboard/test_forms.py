"""Forms: what was typed stays, what is wrong is said beside the field, and nothing is changed by it."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio

from pushkeeper.core.model import Secret
from pushkeeper.core.roles import Role
from pushkeeper.store import webhooks
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.jobs import Claim
from pushkeeper.store.messages.messages import new_id
from pushkeeper.worker.http_client import CANNOT_CALL
from support.dashboard import plain, served
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.db.database import Database
    from support.dashboard import Browser, Place, Seen, Site
    from support.processes import Running


def wrong(seen: Seen, name: str) -> str:
    """What is said beside a field."""
    [field] = [
        field
        for tag in ("input", "select", "textarea", "fieldset")
        for field in seen.page.all(tag)
        if field.get("aria-invalid") == "true"
    ]
    assert field.get("name") == name or name in (field.get("aria-describedby") or "")
    assert f"{name}-wrong" in (field.get("aria-describedby") or "").split()
    match = re.search(rf'id="{name}-wrong">.*?</svg>(.*?)</span>', seen.text, re.DOTALL)
    assert match is not None
    return str(plain(match[1]))


def typed(seen: Seen, name: str) -> str | None:
    fields: dict[str | None, dict[str, str | None]] = {
        field.get("name"): field for field in seen.page.all("input")
    }
    return fields[name].get("value")


async def test_options_are_changed_and_what_is_no_number_is_said(
    site: Site, admin: Browser, place: Place
) -> None:
    good = {
        "suppress_after": "3",
        "min_strike_gap_s": "60",
        "suppress_on_definitive": "yes",
        "max_pushes_per_s": "500",
        "ramp_s": "10",
        "token_ownership": "share",
    }
    path = place.path("/settings/options")
    assert (await admin.post(path, good)).status == 303
    before = await workspaces.options(site.database, place.workspace.workspace_id)
    assert (before.suppress_after, before.suppress_on_definitive, before.delete_unregistered) == (
        3,
        True,
        False,
    )
    assert before.token_ownership == "share"
    seen = await admin.post(path, {**good, "suppress_after": "many", "ramp_s": "11"})
    assert seen.status == 400
    assert wrong(seen, "suppress_after") == "expected a whole number"
    assert (typed(seen, "suppress_after"), typed(seen, "ramp_s")) == ("many", "11")
    seen = await admin.post(path, {**good, "suppress_after": "1000"})
    assert wrong(seen, "suppress_after") == "expected a number of at most 100"
    assert await workspaces.options(site.database, place.workspace.workspace_id) == before


async def test_keys_are_made_beside_the_former_and_the_last_stays(admin: Browser, place: Place) -> None:
    made = await admin.post(place.path("/settings/keys"), {"kind": "app"})
    [key] = re.findall(r"<code>([0-9a-f]{40})</code>", made.text)
    for bearer in (key, place.keys.app_api_key):
        seen = await admin.get("/api/v1/options", authorization=f"Bearer {bearer}")
        assert seen.status == 200
    former = place.keys.app_api_key[:12]
    assert (await admin.post(place.path(f"/settings/keys/app/{former}/revoke"))).status == 303
    assert former not in (await admin.get(place.path("/settings"))).text
    last = await admin.post(place.path(f"/settings/keys/app/{key[:12]}/revoke"))
    assert last.status == 409
    assert "last key of its kind" in last.page.text
    track = await admin.post(place.path("/settings/keys"), {"kind": "track"})
    assert "Site ID" in track.page.text
    assert (await admin.post(place.path("/settings/keys"), {"kind": "nope"})).status == 400


async def test_users_are_invited_changed_and_the_last_admin_stays(site: Site, admin: Browser) -> None:
    seen = await admin.post("/users", {"name": "  ", "role": "viewer"})
    assert wrong(seen, "name") == "expected 1 to 200 characters"
    taken = await admin.post("/users", {"name": "ADMIN@example.com", "role": "viewer"})
    assert taken.status == 409
    assert typed(taken, "name") == "ADMIN@example.com"
    await admin.post("/users", {"name": "fred@example.com", "role": "viewer"})
    user = await site.users.named("fred@example.com")
    assert (await admin.post(f"/users/{user.user_id}/role", {"role": "operator"})).status == 303
    assert (await site.users.one(user.user_id)).role == "operator"
    assert (await admin.post(f"/users/{user.user_id}/role", {"role": "king"})).status == 400
    boss = await site.users.named("admin@example.com")
    kept = await admin.post(f"/users/{boss.user_id}/disable")
    assert kept.status == 409
    assert "last admin who can log in" in kept.page.text


async def test_a_webhook_is_made_changed_paused_and_deleted(admin: Browser, place: Place) -> None:
    path = place.path("/webhooks/add")
    given = {
        "name": "warehouse",
        "endpoint": "https://example.com/hook",
        "events": ["push_sent", "device_bounced"],
    }
    for name, value, said in (
        (
            "endpoint",
            "ftp://example.com",
            "expected https://host/path, optionally with a port from 1 to 65535",
        ),
        ("endpoint", "https://user:pass@example.com/", "expected a URL without a user and password"),
        ("name", "", "expected 1 to 200 characters"),
        ("events", [], "choose at least one event"),
    ):
        seen = await admin.post(path, {**given, name: value})
        assert seen.status == 400
        assert wrong(seen, name) == said
        assert len([box for box in seen.page.all("input") if "checked" in box]) == (
            0 if name == "events" else 2
        )
    made = await admin.post(path, given)
    assert re.search(r"<code>[0-9a-f]{64}</code>", made.text)
    [link] = [link for link in made.page.links() if re.fullmatch(r".*/webhooks/\d+", link)]
    assert "healthy" in (await admin.get(link)).page.text
    assert (await admin.post(f"{link}/pause")).status == 303
    assert "paused" in (await admin.get(link)).page.text
    changed = await admin.post(f"{link}/change", {**given, "name": "other"})
    assert changed.status == 303
    page = (await admin.get(link)).page
    assert "other" in page.text
    assert "paused" in page.text
    assert (await admin.post(f"{link}/enable")).status == 303
    assert (await admin.post(f"{link}/delete")).status == 303
    assert (await admin.get(link)).status == 404


async def test_a_ping_says_that_a_private_address_is_not_called(admin: Browser, place: Place) -> None:
    given = {"name": "inside", "endpoint": f"http://127.0.0.1:{admin.port}/", "events": ["push_sent"]}
    made = await admin.post(place.path("/webhooks/add"), given)
    [link] = [link for link in made.page.links() if re.fullmatch(r".*/webhooks/\d+", link)]
    assert (await admin.post(f"{link}/ping")).status == 303
    said = (await admin.get(link)).page.text
    assert "Test event failed" in said
    assert CANNOT_CALL in said
    [failed] = [row for row in (await admin.get(link)).page.all("tr") if row.get("class") == "failed"]
    assert failed
    [row] = csv.DictReader(io.StringIO((await admin.get(f"{link}/calls.csv")).text))
    assert (row["call"], row["event"], row["attempt"], row["status"]) == ("1", "webhook_ping", "1", "")
    assert row["failure"] == CANNOT_CALL


async def test_a_form_that_shows_no_email_leaves_what_a_webhook_asks_of_it(
    site: Site, admin: Browser, place: Place
) -> None:
    workspace = place.workspace.workspace_id
    wanted = webhooks.WebhookDefinition(
        name="ours", endpoint="https://example.com/", events=("email_sent", "push_sent"), disabled=True
    )
    number = await webhooks.insert(site.database, workspace, wanted, Secret(b"sealed"), most=10)
    given = {"name": "ours", "endpoint": "https://example.com/", "events": ["push_failed"]}
    changed = await admin.post(place.path(f"/webhooks/{number}/change"), given)
    assert changed.status == 303
    [found] = await webhooks.of_workspace(site.database, workspace, number)
    assert (found.events, found.disabled) == (["email_sent", "push_failed"], True)


async def test_the_last_calls_of_a_webhook_are_paged_through(
    site: Site, admin: Browser, place: Place
) -> None:
    given = {"name": "ours", "endpoint": "https://example.com/hook", "events": ["push_sent"]}
    made = await admin.post(place.path("/webhooks/add"), given)
    [link] = [link for link in made.page.links() if re.fullmatch(r".*/webhooks/\d+", link)]
    [device] = await place.devices(1)
    message = new_id()
    call = webhooks.Call(
        outbox_id=None,
        at=datetime.now(UTC),
        event_id=uuid4(),
        object_type="push",
        metric="sent",
        message_id=message,
        person_id=device.person_id,
        status=200,
        failure=None,
        took_ms=12,
    )
    webhook = int(link.rpartition("/")[2])
    claimed = "update webhooks set claim_id = gen_random_uuid() where webhook_id = $1 returning claim_id"
    for _ in range(5):
        claim_id = await site.database.value(claimed, webhook)
        claim = Claim(place.workspace.workspace_id, webhook, claim_id, 1)
        await webhooks.settle(site.database, claim, [call] * 9)
    shown = (await admin.get(link)).page
    [older] = [each["href"] for each in shown.all("a") if each.get("rel") == "next"]
    assert older == f"{link}?before=26#calls"
    assert shown.text.count("12 ms") == 20
    assert site.database.delivery_ids.text(device.workspace_id, message, device.person_id) in {
        each.rpartition("/")[2] for each in shown.links()
    }
    assert (await admin.get(f"{link}?before=6")).page.text.count("12 ms") == 5
    assert len((await admin.get(f"{link}/calls.csv")).text.splitlines()) == 46


async def test_a_test_push_needs_words_and_leads_to_its_delivery(
    site: Site, operator: Browser, place: Place
) -> None:
    device = await place.device("ann")
    path = place.path(f"/devices/{device.device_id.hex()}/push")
    seen = await operator.post(path, {"title": " ", "message": ""})
    assert wrong(seen, "title") == "enter a title or a message"
    seen = await operator.post(path, {"title": "Hello"})
    assert seen.status == 403
    assert "no FCM or APNs credentials" in seen.page.text
    await site.database.rows(
        "insert into credentials (workspace_id, provider, kind, app, sealed) values ($1, 'fcm', 'service_account', 'p', '')",
        place.workspace.workspace_id,
    )
    done = await operator.post(path, {"title": "Hello"})
    assert done.status == 303
    assert "Hello" in (await operator.get(done.location)).page.text


# Credentials.


@pytest_asyncio.fixture(scope="module")
async def reaching(database: Database, folder: Path, simulator: Running) -> AsyncIterator[Site]:
    """A dashboard that may reach the simulator."""
    async with (
        own_database(database) as own,
        served(own, folder, simulator_url=simulator["control_url"]) as site,
    ):
        yield site


@pytest.fixture
def files(simulator: Running) -> dict[str, bytes]:
    names = ("service_account_file", "apns_key_file", "ca_file")
    return {name: Path(simulator[name]).read_bytes() for name in names}


async def test_credentials_are_uploaded_tested_and_replaced(
    reaching: Site, simulator: Running, files: dict[str, bytes]
) -> None:
    admin, place = reaching.browser(Role.ADMIN), await reaching.workspace()
    path = place.path("/routes/add/fcm")
    sent = await admin.upload(
        path,
        {"endpoint": simulator["fcm_url"]},
        {"service_account": files["service_account_file"], "ca": files["ca_file"]},
    )
    assert sent.status == 303
    shown = await admin.get(sent.location)
    assert "simulated-project" in shown.page.text
    assert "PRIVATE KEY" not in shown.text
    assert (await admin.post(f"{sent.location}/probe")).status == 303
    assert "Credentials are valid" in (await admin.get(sent.location)).page.text
    again = await admin.upload(
        path,
        {"endpoint": simulator["fcm_url"]},
        {"service_account": files["service_account_file"], "ca": files["ca_file"]},
    )
    assert again.location == sent.location
    assert "Credentials replaced." in (await admin.get(sent.location)).page.text
    [facts] = await credentials.of_workspace(reaching.database, place.workspace.workspace_id)
    assert facts.endpoint_url == simulator["fcm_url"]


async def test_a_key_that_the_provider_does_not_know_is_told(
    reaching: Site, simulator: Running, files: dict[str, bytes]
) -> None:
    admin, place = reaching.browser(Role.ADMIN), await reaching.workspace()
    sent = await admin.upload(
        place.path("/routes/add/apns"),
        {
            "topic": simulator["apns_topic"],
            "environment": "production",
            "with": "key",
            "key_id": "WRONGKEY99",
            "team_id": simulator["apns_team_id"],
            "endpoint": simulator["apns_url"],
        },
        {"key": files["apns_key_file"], "ca": files["ca_file"]},
    )
    assert sent.status == 303
    await admin.post(f"{sent.location}/probe")
    said = (await admin.get(sent.location)).page.text
    assert "Credentials rejected" in said
    assert "403 InvalidProviderToken" in said


@pytest.mark.parametrize(
    ("changes", "uploads", "field"),
    [
        ({"topic": ""}, {}, "topic"),
        ({"environment": "moon"}, {}, "environment"),
        ({"key_id": "x y"}, {}, "key_id"),
        ({}, {"key": b""}, "key"),
        ({}, {"key": b"not a key"}, "key"),
        ({"with": "certificate"}, {"certificate": b"-----BEGIN CERTIFICATE-----\nx"}, "certificate"),
        ({"endpoint": "http://localhost"}, {}, "endpoint"),
        ({}, {"ca": b"nothing"}, "ca"),
        ({}, {"ca": b"\xff\xfe"}, "ca"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_is_no_credential_is_said_beside_its_field_and_kept_nowhere(
    reaching: Site,
    simulator: Running,
    files: dict[str, bytes],
    changes: dict[str, str],
    uploads: dict[str, bytes],
    field: str,
) -> None:
    admin, place = reaching.browser(Role.ADMIN), await reaching.workspace()
    given = {
        "topic": "com.example.app",
        "environment": "sandbox",
        "with": "key",
        "key_id": simulator["apns_key_id"],
        "team_id": simulator["apns_team_id"],
        "endpoint": simulator["apns_url"],
        **changes,
    }
    seen = await admin.upload(
        place.path("/routes/add/apns"), given, {"key": files["apns_key_file"], **uploads}
    )
    assert seen.status == 400
    assert wrong(seen, field)
    assert typed(seen, "team_id") == simulator["apns_team_id"]
    assert await credentials.of_workspace(reaching.database, place.workspace.workspace_id) == []


async def test_a_file_that_is_no_service_account_is_said_without_what_is_in_it(
    reaching: Site, simulator: Running
) -> None:
    admin, place = reaching.browser(Role.ADMIN), await reaching.workspace()
    for content in (b"", b"{}", b"nope", b'{"type": "service_account", "private_key": "my secret"}'):
        seen = await admin.upload(
            place.path("/routes/add/fcm"),
            {"endpoint": simulator["fcm_url"]},
            {"service_account": content},
        )
        assert seen.status == 400
        assert wrong(seen, "service_account")
        assert "my secret" not in seen.text


# Routes.


async def test_a_route_is_paused_with_a_reason_and_resumed(
    site: Site, operator: Browser, place: Place
) -> None:
    await site.database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, sealed) values "
        "($1, 'fcm', 'service_account', 'p', '') returning credential_id) "
        "insert into routes (workspace_id, credential_id) select $1, credential_id from c",
        place.workspace.workspace_id,
    )
    path = place.path("/routes/fcm%3Ap")
    assert (await operator.post(f"{path}/pause", {"reason": "the key is being changed"})).status == 303
    page = (await operator.get(path)).page
    assert "the key is being changed (operator@example.com)" in page.text
    again = await operator.post(f"{path}/pause")
    assert again.status == 409
    assert "is already paused" in again.page.text
    assert (await operator.post(f"{path}/resume")).status == 303
    assert "Route resumed (0 queued pushes)." in (await operator.get(path)).page.text
    for decision in ("apply", "discard"):
        assert (await operator.post(f"{path}/{decision}")).status == 303
