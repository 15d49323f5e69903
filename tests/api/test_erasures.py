"""Erasing people over the API: asked for, and looked up by receipts that do not say whom."""

from __future__ import annotations

import json

import pytest


async def erasures(door, identifier=None):
    query = "" if identifier is None else f"?identifier={identifier}"
    status, answer = await door.app("GET", f"/api/v1/erasures{query}")
    assert status == 200, answer
    return answer["erasures"]


async def test_a_person_who_is_erased_is_gone_at_once_and_has_a_receipt(door) -> None:
    await door.track("PUT", "/api/v1/customers/ann", {"email": "Ann@x.io"})
    await door.track("PUT", "/api/v1/customers/ann/devices", {"device": {"id": "t1", "platform": "ios"}})
    cio_id = (await door.person("ann"))["attributes"]["cio_id"]
    status, body, headers = await door.raw("POST", "/api/v1/customers/ann/erase", authorization=door.bearer)
    answer = json.loads(body)
    assert (status, headers["location"]) == (202, answer["receipt"])
    made = answer["erasure"]
    assert (made["status"], made["asked_by"], made["done_at"]) == ("pending", "api", None)
    assert made["counts"] == {"people": 1, "devices": 1}
    assert made["request_id"] == headers["x-request-id"]
    assert await door.counts() | {"people": 0, "identifiers": 0, "devices": 0} == await door.counts()
    # By whatever they were known, and by nothing else; a receipt holds none of it.
    for identifier in ("ann", "ann@x.io", "ANN@X.IO", f"cio_{cio_id}"):
        assert [one["id"] for one in await erasures(door, identifier)] == [made["id"]]
    assert await erasures(door, "ben") == []
    found = await door.app("GET", f"/api/v1/erasures/{made['id']}")
    assert found == (200, {"erasure": made})
    assert "ann" not in json.dumps(found).lower()
    assert len(made["identifiers"]) == 3


async def test_who_is_asked_for_again_has_one_receipt_and_who_comes_back_another(door) -> None:
    await door.track("PUT", "/api/v1/customers/ann", {})
    first = (await door.app("POST", "/api/v1/customers/ann/erase"))[1]["erasure"]
    assert (await door.app("POST", "/api/v1/customers/ann/erase"))[1]["erasure"] == first
    await door.track("PUT", "/api/v1/customers/ann", {"plan": "new"})
    assert (await door.person("ann"))["attributes"]["plan"] == "new"
    second = (await door.app("POST", "/api/v1/customers/ann/erase"))[1]["erasure"]
    assert second["id"] != first["id"]
    assert [one["id"] for one in await erasures(door)] == [second["id"], first["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/v1/customers/ann", None),
        ("POST", "/api/v1/customers/ann/suppress", {}),
        ("POST", "/api/v2/entity", {"type": "person", "action": "delete", "identifiers": {"id": "ann"}}),
        ("POST", "/api/v2/entity", {"type": "person", "action": "suppress", "identifiers": {"id": "ann"}}),
    ],
)
async def test_who_is_deleted_in_any_way_is_erased(door, method, path, body) -> None:
    await door.track("PUT", "/api/v1/customers/ann", {})
    assert (await door.track(method, path, body))[0] == 200
    assert [one["status"] for one in await erasures(door, "ann")] == ["pending"]
    assert (await door.track(method, path, body))[0] == 200
    assert len(await erasures(door)) == 1


async def test_nobody_is_erased_who_is_not_there_and_no_receipt_is_anothers(door, other_door) -> None:
    status, answer = await door.app("POST", "/api/v1/customers/nobody/erase")
    assert (status, answer["error"]["code"]) == (404, "not_found")
    await door.track("PUT", "/api/v1/customers/ann", {})
    made = (await door.app("POST", "/api/v1/customers/ann/erase"))[1]["erasure"]
    assert (await other_door.app("GET", f"/api/v1/erasures/{made['id']}"))[0] == 404
    assert await erasures(other_door, "ann") == []
    for number in ("0", "x", "9" * 30):
        assert (await door.app("GET", f"/api/v1/erasures/{number}"))[0] == 404
    assert (await door.track("POST", "/api/v1/customers/ann/erase"))[0] == 401
