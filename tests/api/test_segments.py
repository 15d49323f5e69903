"""Segments in Customer.io's App API: what is not found, refused, and another workspace's."""

import pytest


async def made(door, name="friends"):
    status, answer = await door.app("POST", "/v1/segments", {"segment": {"name": name}})
    assert status == 200
    return answer["segment"]["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "segment"),
        ({"segment": {}}, "segment.name"),
        ({"segment": {"name": " "}}, "segment.name"),
        ({"segment": {"name": "n" * 256}}, "segment.name"),
        ({"segment": {"name": "n", "description": 3}}, "segment.description"),
    ],
)
async def test_a_bad_segment_is_refused_by_its_field(door, body, field):
    status, answer = await door.app("POST", "/v1/segments", body)
    assert status == 400
    assert answer["errors"][0]["detail"].startswith(f"{field}:")
    assert (await door.app("GET", "/v1/segments"))[1] == {"segments": []}


@pytest.mark.parametrize("path", ["", "/customer_count", "/membership", "/used_by"])
@pytest.mark.parametrize("segment", ["0", "x", "9" * 30])
async def test_a_segment_that_is_not_there_is_not_found(door, path, segment):
    status, answer = await door.app("GET", f"/v1/segments/{segment}{path}")
    assert (status, answer) == (404, {"errors": [{"detail": "not found", "status": "404"}]})


async def test_a_segment_is_deleted_once(door):
    segment = await made(door)
    status, body, _ = await door.raw("DELETE", f"/v1/segments/{segment}", authorization=door.bearer)
    assert (status, body) == (204, b"")
    assert (await door.app("DELETE", f"/v1/segments/{segment}"))[0] == 404


async def test_a_segment_of_another_workspace_is_not_found(door, other_door):
    segment = await made(other_door)
    assert (await door.app("GET", f"/v1/segments/{segment}"))[0] == 404
    path = f"/api/v1/segments/{segment}/add_customers"
    assert (await door.track("POST", path, {"ids": ["1"]}))[0] == 400, "as Customer.io documents it"
    assert (await door.counts())["people"] == 0


@pytest.mark.parametrize("query", ["?limit=0", "?limit=30001", "?limit=x", "?start=nonsense!", "?start=YWJj"])
async def test_a_page_that_is_none_is_refused(door, query):
    segment = await made(door)
    assert (await door.app("GET", f"/v1/segments/{segment}/membership{query}"))[0] == 400


async def test_a_person_who_is_deleted_is_in_no_segment(door):
    segment = await made(door)
    await door.track("POST", f"/api/v1/segments/{segment}/add_customers", {"ids": ["1", "2"]})
    await door.track("DELETE", "/api/v1/customers/1")
    assert (await door.app("GET", f"/v1/segments/{segment}/customer_count"))[1]["count"] == 1
