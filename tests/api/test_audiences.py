"""Audiences over people and over devices, and who differs."""

import pytest
import pytest_asyncio

SUPPRESSED = {"attribute": {"field": "last_status", "operator": "eq", "value": "suppressed"}}
NOT_SUPPRESSED = {"attribute": {"field": "last_status", "operator": "neq", "value": "suppressed"}}


@pytest_asyncio.fixture(loop_scope="session")
async def ann(door):
    """A person with a suppressed iPhone and a live Android phone, beside one with an iPhone and one with nothing."""
    for person, token, platform in (
        ("ann", "ann-ios", "ios"),
        ("ann", "ann-android", "android"),
        ("ben", "ben-ios", "ios"),
    ):
        await door.track("PUT", f"/api/v1/customers/{person}", {"plan": "pro" if person == "ann" else "free"})
        device = {"device": {"id": token, "platform": platform, "last_used": 1_700_000_000}}
        status, answer = await door.track("PUT", f"/api/v1/customers/{person}/devices", device)
        assert status == 200, answer
    await door.track("PUT", "/api/v1/customers/sam", {"plan": "pro"})
    for token, change in (
        ("ann-ios", "status = 'suppressed', strikes = 2"),
        ("ann-android", "status = 'sent'"),
    ):
        await door.database.value(
            f"update devices set {change} where workspace_id = $1 and token = $2 returning 1",
            door.workspace_id,
            token,
        )
    return door


async def ask(door, what, **body):
    status, answer = await door.app("POST", f"/api/v1/audiences/{what}", body)
    assert status == 200, answer
    return answer


@pytest.mark.parametrize(
    ("filter_", "of_devices", "of_people"),
    [
        ({"device": SUPPRESSED}, (1, 1), (1, 2)),
        ({"not": {"device": SUPPRESSED}}, (2, 2), (2, 1)),
        ({"device": NOT_SUPPRESSED}, (2, 2), (2, 3)),
        ("last_status = suppressed", (1, 1), (1, 2)),
        ("last_status != suppressed and person.plan = pro", (1, 1), (1, 2)),
        ("person.plan = pro", (1, 2), (2, 2)),
        ({"and": []}, (2, 3), (3, 3)),
        ("last_status = bounced", (0, 0), (0, 0)),
    ],
)
async def test_people_and_devices_are_counted_as_each_is_asked_for(ann, filter_, of_devices, of_people):
    for unit, (people, devices) in (("device", of_devices), ("person", of_people)):
        assert await ask(ann, "count", filter=filter_, unit=unit) == {"people": people, "devices": devices}
    people, devices = of_devices
    assert await ask(ann, "count", filter=filter_) == {"people": people, "devices": devices}


async def test_preview_names_who_is_taken_in_wrongly(ann):
    preview = await ask(ann, "preview", filter="last_status != suppressed")
    [example] = preview.pop("examples")
    assert preview == {"people": 2, "devices": 2, "wrongly_included": 1, "wrongly_excluded": 0}
    assert (example["wrongly"], example["device"]["token"]) == ("included", "ann-ios")


async def test_preview_names_who_is_left_out_wrongly(ann):
    preview = await ask(ann, "preview", filter={"not": {"device": SUPPRESSED}}, unit="person")
    [example] = preview.pop("examples")
    assert preview == {"people": 2, "devices": 1, "wrongly_included": 0, "wrongly_excluded": 1}
    assert (example["wrongly"], example["device"]["token"]) == ("excluded", "ann-android")


async def test_a_sample_is_of_devices_or_of_the_devices_of_people(ann):
    async def sample(**body):
        return {device["token"] for device in (await ask(ann, "sample", **body))["devices"]}

    assert await sample(filter="last_status = suppressed") == {"ann-ios"}
    assert await sample(filter="last_status = suppressed", unit="person") == {"ann-ios", "ann-android"}
    status, answer = await ann.app("POST", "/api/v1/audiences/sample?limit=1", {"filter": "platform = ios"})
    assert (status, len(answer["devices"])) == (200, 1)


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "filter", "expected an object"),
        ({"filter": "platform ="}, "filter", "character 11: expected a value, found the end"),
        ({"filter": {"device": []}}, "filter.device", "expected an object"),
        ({"filter": "platform = ios", "unit": "phone"}, "unit", "expected device or person"),
    ],
)
async def test_what_is_wrong_is_told_by_its_field(ann, body, field, said):
    for what in ("count", "sample", "preview"):
        status, answer = await ann.app("POST", f"/api/v1/audiences/{what}", body)
        assert (status, answer["error"]["field"]) == (400, field)
        assert said in answer["error"]["message"]


async def test_another_workspace_is_not_counted(ann, other_door):
    assert await ask(other_door, "count", filter={"and": []}, unit="person") == {"people": 0, "devices": 0}
