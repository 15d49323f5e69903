"""Devices as first-class objects: found by their fields, with the outcomes of their pushes."""

import pytest

DAY_S = 86_400
NOON = 1_795_000_000


async def crowd(door):
    for number in range(12):
        device = {
            "id": f"token-{number}",
            "platform": ("ios", "android")[number % 2],
            "last_used": NOON - number * DAY_S,
            "attributes": {
                "app_version": f"3.{number % 3}",
                "beta": number == 5,
                "app_id": f"app{number % 2}",
            },
        }
        await door.track("PUT", f"/api/v1/customers/person-{number}/devices", {"device": device})
    for number, status in ((0, "sent"), (1, "bounced"), (2, "suppressed")):
        await door.database.rows(
            "update devices set status = $3, strikes = case when $3 = 'sent' then 0 else 1 end "
            "where workspace_id = $1 and token = $2",
            door.workspace_id,
            f"token-{number}",
            status,
        )


async def found(door, query):
    status, answer = await door.app("GET", f"/api/v1/devices{query}")
    assert status == 200, answer
    return {int(device["token"].removeprefix("token-")) for device in answer["devices"]}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", set(range(12))),
        ("?platform=iOS", {0, 2, 4, 6, 8, 10}),
        ("?last_status=sent", {0}),
        ("?last_status=bounced&platform=android", {1}),
        ("?last_status=unused", set(range(3, 12))),
        ("?last_status=", set(range(3, 12))),
        ("?app=app1&last_status=unused", {3, 5, 7, 9, 11}),
        (f"?used_since={NOON - 2 * DAY_S}", {0, 1, 2}),
        (f"?used_before={NOON - 10 * DAY_S}", {11}),
        ("?attribute=app_version%3D3.1", {1, 4, 7, 10}),
        ("?attribute=beta%3Dtrue", {5}),
        ("?attribute=nothing%3D", set()),
    ],
)
async def test_devices_are_found_by_what_they_are(door, query, numbers):
    await crowd(door)
    assert await found(door, query) == numbers


async def test_devices_are_paged_and_those_of_others_are_not_seen(door, other_door):
    await crowd(door)
    await crowd(other_door)
    seen, start = [], ""
    while True:
        status, answer = await door.app("GET", f"/api/v1/devices?limit=5&start={start}")
        assert status == 200
        seen += [device["token"] for device in answer["devices"]]
        if answer["next"] is None:
            break
        start = answer["next"]
    assert sorted(seen) == sorted(f"token-{number}" for number in range(12))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?last_status=gone", "last_status"),
        ("?platform=symbian", "platform"),
        ("?used_since=yesterday", "used_since"),
        ("?attribute=beta", "attribute"),
        ("?start=x", "start"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
    ],
)
async def test_a_bad_search_is_refused_by_its_field(door, query, field):
    status, answer = await door.app("GET", f"/api/v1/devices{query}")
    assert (status, answer["error"]["field"]) == (400, field)


async def test_the_pushes_of_a_device_are_listed_by_their_deliveries(door):
    await crowd(door)
    assert (await door.app("GET", "/api/v1/devices/token-0/pushes"))[1] == {"pushes": []}
    await door.database.rows(
        "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, provider, "
        "provider_status, attempts) select (now() at time zone 'utc')::date, "
        "'0195f000-0000-7000-8000-000000000001', device_id, workspace_id, person_id, 'accepted', 'apns', 200, 1 "
        "from devices where workspace_id = $1 and token = 'token-0'",
        door.workspace_id,
    )
    [push] = (await door.app("GET", "/api/v1/devices/token-0/pushes"))[1]["pushes"]
    assert (push["ending"], push["provider"], push["provider_status"], push["attempts"]) == (
        "accepted",
        "apns",
        200,
        1,
    )
    assert door.database.delivery_ids.read(push["delivery_id"]).workspace_id == door.workspace_id
    assert (await door.app("GET", "/api/v1/devices/nobodys/pushes"))[0] == 404
