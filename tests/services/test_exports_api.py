"""Exports in our own API: the file is the answer, and the list says how each ended."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

TOKEN = "fcm1:APA91b" + "x" * 30


def post(tenant: Tenant, body: dict[str, Any], authorization: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", tenant.engine.port, timeout=60)
    headers = {"authorization": authorization or tenant.bearer, "content-type": "application/json"}
    connection.request("POST", "/api/v1/exports", json.dumps(body), headers)
    return connection.getresponse()


async def test_the_answer_is_the_file_and_the_list_knows_of_it(tenant: Tenant, bare: Tenant) -> None:
    await tenant.register("ann", TOKEN, "android")
    answer = await asyncio.to_thread(post, tenant, {"kind": "devices", "format": "jsonl"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    file = await asyncio.to_thread(answer.read)
    [row] = [json.loads(line) for line in file.splitlines()]
    assert (row["token"], row["person_id"], row["last_status"]) == (TOKEN, "ann", "unused")
    number = int(answer.headers["x-export-id"])
    one = await tenant.call("GET", f"/api/v1/exports/{number}")
    assert (one["state"], one["rows"], one["tokens"], one["kind"]) == ("done", 1, "full", "devices")
    assert TOKEN not in json.dumps(await tenant.call("GET", "/api/v1/exports"))
    await bare.call("GET", f"/api/v1/exports/{number}", expect=404)
    await bare.call("POST", f"/api/v1/exports/{number}/cancel", {}, expect=404)
    await tenant.call("POST", f"/api/v1/exports/{number}/cancel", {}, expect=409)
    assert (await tenant.call("GET", "/v1/exports"))["exports"] == [], "they are not Customer.io's"
    masked = await asyncio.to_thread(post, tenant, {"kind": "devices", "tokens": "masked"})
    assert TOKEN.encode() not in await asyncio.to_thread(masked.read)


async def test_bad_requests_are_refused_by_the_name_of_their_field(tenant: Tenant) -> None:
    for body, field in (
        ({}, "kind"),
        ({"kind": "phones"}, "kind"),
        ({"kind": "devices", "format": "parquet"}, "format"),
        ({"kind": "devices", "filter": "platform is"}, "filter"),
        ({"kind": "devices", "columns": []}, "columns"),
        ({"kind": "devices", "columns": ["tokens"]}, "columns"),
        ({"kind": "history", "since": "yesterday"}, "since"),
        ({"kind": "members"}, "audience"),
        ({"kind": "devices", "everything": True}, "everything"),
    ):
        answer = await tenant.call("POST", "/api/v1/exports", body, expect=400)
        assert answer["error"]["field"] == field, body
    answer = await asyncio.to_thread(post, tenant, {"kind": "devices"}, "Bearer nobody")
    assert answer.status == 401
    assert (await tenant.call("GET", "/api/v1/exports"))["exports"] == []


async def fill(tenant: Tenant) -> None:
    """Make more than fits between the service and a client that does not read."""
    await tenant.engine.store.database.of(tenant.workspace_id).rows(
        "with made as (insert into people (workspace_id) values ($1) returning person_id) "
        "insert into devices (workspace_id, device_id, person_id, token, platform, attributes) "
        "select $1, token_device($1, 'tok' || n), person_id, 'tok' || n, 'android', "
        "jsonb_build_object('a', repeat('x', 1000)) from made, generate_series(1, 20000) n",
        tenant.workspace_id,
    )


async def test_the_file_of_an_export_that_is_cancelled_is_recognizably_cut_off(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkeeper.services.exports.service._NOTED_EVERY_S", 0.0)
    await fill(tenant)
    answer = await asyncio.to_thread(post, tenant, {"kind": "devices"})
    number = int(answer.headers["x-export-id"])
    assert await asyncio.to_thread(answer.read, 10_000)
    await tenant.call("POST", f"/api/v1/exports/{number}/cancel", {}, expect=204)
    with pytest.raises(http.client.IncompleteRead):
        await asyncio.to_thread(answer.read)
    assert (await tenant.call("GET", f"/api/v1/exports/{number}"))["state"] == "cancelled"


async def test_an_export_is_cancelled_when_its_client_disconnects(tenant: Tenant) -> None:
    await fill(tenant)
    answer = await asyncio.to_thread(post, tenant, {"kind": "devices"})
    number = int(answer.headers["x-export-id"])
    assert await asyncio.to_thread(answer.read, 10_000)
    answer.close()

    async def ended() -> Any:
        found = await tenant.call("GET", f"/api/v1/exports/{number}")
        return found if found["state"] != "running" else None

    assert (await eventually(ended))["state"] == "cancelled"
