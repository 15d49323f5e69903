"""FCM's installation ids: registered, and taken for the device whose token begins with them."""

import json

FID = "cGhvbmUtb2YtYW5uLTAwMQ"
TOKEN = f"{FID}:APA91b" + "x" * 134


async def register(door, token, person="42"):
    device = {"device": {"id": token, "platform": "android", "attributes": {"app_version": "3.1"}}}
    assert await door.track("PUT", f"/api/v1/customers/{person}/devices", device) == (200, {})


async def device(door, token):
    status, answer = await door.app("GET", f"/api/v1/devices/{token}")
    return answer if status == 200 else None


async def set_status(door, token, status):
    await door.database.rows(
        "update devices set status = $3, strikes = case when $3 = 'sent' then 0 else 1 end "
        "where workspace_id = $1 and token = $2",
        door.workspace_id,
        token,
        status,
    )


async def test_an_installation_id_is_told_by_its_shape(door):
    await register(door, FID)
    await register(door, "a" * 64)
    assert (await device(door, FID))["id_kind"] == "fid"
    assert (await device(door, "a" * 64))["id_kind"] == "token"


async def test_a_token_gives_way_to_its_fid_with_its_status_and_history(door):
    await register(door, TOKEN)
    await set_status(door, TOKEN, "sent")
    await register(door, FID)
    assert await device(door, TOKEN) is None
    found = await device(door, FID)
    assert (found["id_kind"], found["last_status"]) == ("fid", "sent")
    assert (await door.counts())["devices"] == 1
    lines = (await door.app("GET", f"/api/v1/devices/{FID}/history"))[1]["history"]
    assert [line["event"] for line in lines] == ["registered"], "of the token, under the new name"
    await register(door, FID)
    assert (await door.counts())["devices"] == 1


async def test_an_answer_to_the_former_token_does_not_touch_the_fid(door):
    await register(door, TOKEN)
    before = (await device(door, TOKEN))["generation"]
    await register(door, FID)
    assert (await device(door, FID))["generation"] > before


async def test_a_token_gives_way_to_its_fid_that_was_nobodys_until_the_person_identified(door):
    await register(door, TOKEN)
    phone = {"device": {"token": FID, "type": "android"}}
    items = [
        {"type": "track", "event": "Device Created or Updated", "anonymousId": "a1", "context": phone},
        {"type": "identify", "userId": "42", "anonymousId": "a1"},
    ]
    body = json.dumps({"writeKey": door.keys.write_key, "batch": items}).encode()
    assert (await door.raw("POST", "/v1/b", body))[0] == 200
    assert (await device(door, FID))["id_kind"] == "fid"
    assert (await door.counts())["devices"] == 1


async def test_another_persons_token_is_left_to_them(door):
    await register(door, TOKEN, person="ann")
    await register(door, FID, person="ben")
    assert await device(door, TOKEN) is not None
    assert (await door.counts())["devices"] == 2
