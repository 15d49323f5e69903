"""People searched and read in bulk in Customer.io's App API."""

import pytest


async def crowd(door):
    for number, plan in enumerate(["pro", "free", "pro", "pro"]):
        await door.track("PUT", f"/api/v1/customers/p{number}", {"plan": plan, "n": number})
    await door.track("PUT", "/api/v1/customers/ann@example.com", {"plan": "pro"})


PRO = {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}


async def search(door, given, query=""):
    status, answer = await door.app("POST", f"/v1/customers{query}", {"filter": given})
    assert status == 200, answer
    return answer


async def test_people_are_searched_and_paged(door):
    await crowd(door)
    whole = await search(door, PRO)
    assert (whole["ids"], whole["next"]) == (["p0", "p2", "p3", ""], "")
    assert whole["identifiers"][3]["email"] == "ann@example.com"
    seen, start = [], ""
    while True:
        page = await search(door, PRO, f"?limit=1&start={start}")
        seen += page["ids"]
        start = page["next"]
        if not start:
            break
    assert seen == whole["ids"]


async def test_a_search_may_name_segments_and_sees_no_other_workspace(door, other_door):
    await crowd(door)
    await crowd(other_door)
    segment = (await door.app("POST", "/v1/segments", {"segment": {"name": "s"}}))[1]["segment"]["id"]
    await door.track("POST", f"/api/v1/segments/{segment}/add_customers", {"ids": ["p1", "p2"]})
    both = {"and": [{"segment": {"id": segment}}, {"not": PRO}]}
    assert (await search(door, both))["ids"] == ["p1"]
    assert (await search(other_door, {"segment": {"id": segment}}))["ids"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"filter": {"xor": []}}, "filter"),
        ({"filter": {"and": [{"segment": {}}]}}, "filter.and[0].segment"),
    ],
)
async def test_a_bad_search_is_refused_by_its_place(door, body, field):
    status, answer = await door.app("POST", "/v1/customers", body)
    assert status == 400
    assert answer["errors"][0]["detail"].startswith(f"{field}: ")


async def test_people_are_read_in_bulk_and_who_is_unknown_is_left_out(door):
    await crowd(door)
    await door.track("PUT", "/api/v1/customers/p1/devices", {"device": {"id": "t", "platform": "ios"}})
    ids = {"ids": ["p1", "nobody", "p0"]}
    status, answer = await door.app("POST", "/v1/customers/attributes", ids)
    assert status == 200
    assert [one["customer"]["id"] for one in answer["customers"]] == ["p0", "p1"]
    assert [device["id"] for device in answer["customers"][1]["customer"]["devices"]] == ["t"]
    emails = {"ids": ["ANN@example.com"]}
    status, answer = await door.app("POST", "/v1/customers/attributes?id_type=email", emails)
    assert [one["customer"]["identifiers"]["email"] for one in answer["customers"]] == ["ann@example.com"]


@pytest.mark.parametrize("ids", [None, [], ["1"] * 101, "1", [None], [""]])
async def test_a_bad_list_of_people_is_refused(door, ids):
    status, answer = await door.app("POST", "/v1/customers/attributes", {"ids": ids})
    assert (status, answer["errors"][0]["detail"].startswith("ids")) == (400, True)


async def test_people_of_several_kinds_of_identifier_are_each_answered_once_with_their_own_devices(door):
    for name, devices in (("multi-a", 2), ("multi-b", 0), ("multi-c", 1)):
        await door.track("PUT", f"/api/v1/customers/{name}", {"email": f"{name}@example.com"})
        for number in range(devices):
            token = {"device": {"id": f"{name}-token-{number}", "platform": "android"}}
            await door.track("PUT", f"/api/v1/customers/{name}/devices", token)
    known = await door.person("multi-c")
    cio_id = "cio_" + known["identifiers"]["cio_id"]
    given = {
        "ids": ["multi-a", "multi-b", "multi-a", cio_id, "multi-c", "nobody-of-these", "cio_ffffffffffff"]
    }
    status, answer = await door.app("POST", "/v1/customers/attributes", given)
    assert status == 200
    found = {one["customer"]["id"]: len(one["customer"]["devices"]) for one in answer["customers"]}
    assert found == {"multi-a": 2, "multi-b": 0, "multi-c": 1}
    assert len(answer["customers"]) == 3
