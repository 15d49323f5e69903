"""`token_ownership = share`: a token that several people have, each with a device of their own."""

import pytest_asyncio

TOKEN = "s" * 64


@pytest_asyncio.fixture
async def sharing(door):
    status, answer = await door.app("PATCH", "/api/v1/options", {"token_ownership": "share"})
    assert (status, answer["options"]["token_ownership"]) == (200, "share")
    return door


async def register(door, person, token=TOKEN, **attributes):
    device = {"device": {"id": token, "platform": "ios", "attributes": attributes}}
    assert await door.track("PUT", f"/api/v1/customers/{person}/devices", device) == (200, {})


async def owners(door, token=TOKEN):
    rows = await door.database.rows(
        "select i.value from devices d join identifiers i using (person_id) "
        "where d.workspace_id = $1 and d.token = $2 and i.kind = 'id' order by 1",
        door.workspace_id,
        token,
    )
    return [row["value"] for row in rows]


async def cio_id(door, person):
    return (await door.person(person))["attributes"]["cio_id"]


async def test_a_token_moves_where_nothing_else_is_chosen(door):
    await register(door, "ann")
    await register(door, "ben")
    assert await owners(door) == ["ben"]


async def test_two_people_share_a_token_and_each_keeps_what_is_theirs(sharing):
    await register(sharing, "ann", plan="pro")
    await register(sharing, "ben")
    await register(sharing, "ann", app_version="2")
    assert await owners(sharing) == ["ann", "ben"]
    ann = await cio_id(sharing, "ann")
    status, device = await sharing.app("GET", f"/api/v1/devices/{TOKEN}?person={ann}")
    assert (status, device["person"]) == (200, ann)
    assert device["attributes"] == {"plan": "pro", "app_version": "2"}
    lines = (await sharing.app("GET", f"/api/v1/devices/{TOKEN}/history?person={ann}"))[1]["history"]
    assert [(line["event"], line["to_person"]) for line in lines] == [("registered", ann)]


async def test_logging_out_takes_the_token_from_nobody_else(sharing):
    await register(sharing, "ann")
    await register(sharing, "ben")
    assert (await sharing.track("DELETE", f"/api/v1/customers/ann/devices/{TOKEN}"))[0] == 200
    assert await owners(sharing) == ["ben"]
    ann = await cio_id(sharing, "ann")
    lines = (await sharing.app("GET", f"/api/v1/devices/{TOKEN}/history?person={ann}"))[1]["history"]
    assert [line["event"] for line in lines] == ["deleted", "registered"]


async def test_a_device_of_before_is_not_made_twice(door):
    await register(door, "ann")
    await door.app("PATCH", "/api/v1/options", {"token_ownership": "share"})
    await register(door, "ann")
    await register(door, "ben")
    assert await owners(door) == ["ann", "ben"]


async def test_merging_leaves_one_device_of_a_token_that_both_had(sharing):
    other = "o" * 64
    await register(sharing, "ann")
    await register(sharing, "ben")
    await register(sharing, "ben", token=other)
    merge = {"primary": {"id": "ann"}, "secondary": {"id": "ben"}}
    assert (await sharing.track("POST", "/api/v1/merge_customers", merge))[0] == 200
    assert (await owners(sharing), await owners(sharing, other)) == (["ann"], ["ann"])
    lines = (await sharing.app("GET", f"/api/v1/devices/{other}/history"))[1]["history"]
    assert [line["event"] for line in lines] == ["moved", "registered"], "its history went along"
    dropped = "select count(*) from device_history where workspace_id = $1 and event = 'deleted'"
    assert await sharing.database.value(dropped, sharing.workspace_id) == 1
    await register(sharing, "ann", token=other)
    assert await owners(sharing, other) == ["ann"], "it is found again by its new owner"
    assert (await sharing.track("DELETE", f"/api/v1/customers/ann/devices/{other}"))[0] == 200
    assert await owners(sharing, other) == []


async def test_tokens_that_are_shared_cannot_be_made_to_move(sharing):
    await register(sharing, "ann")
    status, answer = await sharing.app("PATCH", "/api/v1/options", {"token_ownership": "move"})
    assert (status, answer["error"]["code"]) == (409, "conflict")
    bads: tuple[object, ...] = ("steal", ["share"], {}, None, 7)
    for bad in bads:
        status, answer = await sharing.app("PATCH", "/api/v1/options", {"token_ownership": bad})
        assert (status, answer["error"]["field"]) == (400, "token_ownership")


async def test_a_push_to_a_shared_token_is_for_the_person_who_was_named(sender):
    await sender.app("PATCH", "/api/v1/options", {"token_ownership": "share"})
    await register(sender, "ann")
    await register(sender, "ben")
    body = {
        "identifiers": {"id": "ann"},
        "to": TOKEN,
        "title": "t",
        "message": "m",
        "transactional_message_id": "x",
    }
    status, answer = await sender.app("POST", "/v1/send/push", body)
    assert status == 200, answer
    [row] = await sender.database.rows(
        "select d.person_id = q.person_ids[1] as theirs, i.value from batches q "
        "join devices d on d.device_id = q.device_ids[1] join identifiers i on i.person_id = d.person_id "
        "where q.workspace_id = $1",
        sender.workspace_id,
    )
    assert (row["theirs"], row["value"]) == (True, "ann")
    body["identifiers"] = {"id": "cora"}
    assert (await sender.app("POST", "/v1/send/push", body))[0] == 400


async def test_a_report_is_the_device_of_the_person_whom_the_delivery_was_for(sender):
    await sender.app("PATCH", "/api/v1/options", {"token_ownership": "share"})
    await register(sender, "ann")
    await register(sender, "ben")
    body = {"identifiers": {"id": "ann"}, "title": "t", "message": "m", "transactional_message_id": "x"}
    _, queued = await sender.app("POST", "/v1/send/push", body)
    told = {
        "delivery_id": queued["delivery_id"],
        "event": "opened",
        "device_id": TOKEN,
        "timestamp": 1700000000,
    }
    assert (await sender.track("POST", "/push/events", told))[0] == 200
    found = await sender.database.rows(
        "select i.value from reports r join devices d using (device_id) "
        "join identifiers i on i.person_id = d.person_id where r.workspace_id = $1",
        sender.workspace_id,
    )
    assert [row["value"] for row in found] == ["ann"]
