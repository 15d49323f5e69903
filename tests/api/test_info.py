"""Customer.io's App API about the account, subscriptions, and the texts of sent messages."""

import re
from pathlib import Path

import pytest

from support.documented import ARCHIVED, CHANNEL, TOPIC, WORKSPACE, fits


async def read(door, path):
    status, answer = await door.app("GET", path)
    assert status == 200, answer
    return answer


async def test_a_key_shows_its_own_workspace_alone(door, other_door):
    for person in ("ann", "ben"):
        await door.track("PUT", f"/api/v1/customers/{person}", {})
    await door.database.rows(
        "insert into push_days (workspace_id, day, platform, seen, ending, reason, provider_reason, shard, pushes) "
        "select $1, (now() at time zone 'utc')::date - d, 'ios', 0, ending, '', '', 0, 5 "
        "from unnest(array[0, 31]) d, unnest(array['accepted', 'bounced']) ending",
        door.workspace_id,
    )
    found = (await read(door, "/v1/workspaces"))["workspaces"]
    fits(found, [WORKSPACE])
    [one] = found
    assert (one["id"], one["people"], one["messages_sent"]) == (door.workspace_id, 2, 5)
    [other] = (await read(other_door, "/v1/workspaces"))["workspaces"]
    assert (other["id"], other["people"], other["messages_sent"]) == (other_door.workspace_id, 0, 0)


async def test_the_addresses_are_those_of_the_setting_and_need_no_key(door):
    assert await read(door, "/v1/info/ip_addresses") == {"ip_addresses": ["192.0.2.7"]}
    status, body, _ = await door.raw("GET", "/v1/info/ip_addresses")
    assert (status, body) == (200, b'{"ip_addresses":["192.0.2.7"]}')


async def test_topics_are_those_that_people_have_chosen(door, other_door):
    assert (await read(door, "/v1/subscription_topics")) == {"topics": []}
    kept = {
        "ann": {"topics": {"topic_4": True, "news": False}},
        "ben": '{"topics": {"topic_04x": true}}',
        "eve": "nonsense",
        "sam": {"topics": ["x"]},
        "tim": 7,
    }
    for person, preferences in kept.items():
        await door.track("PUT", f"/api/v1/customers/{person}", {"cio_subscription_preferences": preferences})
    await other_door.track(
        "PUT", "/api/v1/customers/x", {"cio_subscription_preferences": {"topics": {"y": True}}}
    )
    found = (await read(door, "/v1/subscription_topics"))["topics"]
    fits(found, [TOPIC])
    assert [topic["identifier"] for topic in found] == ["news", "topic_04x", "topic_4"]
    assert found[2]["id"] == 4
    assert len({topic["id"] for topic in found}) == 3


async def test_the_only_channel_is_push(door):
    fits((await read(door, "/v1/subscription_channels"))["channels"], [CHANNEL])


async def archived(door, delivery, status=200):
    found = await door.app("GET", f"/v1/messages/{delivery}/archived_message")
    assert found[0] == status, found
    if status == 200:
        fits(found[1]["archived_message"], ARCHIVED)
        return found[1]["archived_message"]
    return None


SEND = {"identifiers": {"id": "ann"}, "title": "Hello", "message": "text", "link": "app://x"}


async def sent(door, **more):
    return (await door.app("POST", "/v1/send/push", {**SEND, **more}))[1]["delivery_id"]


async def test_a_text_that_is_the_same_to_everybody_is_archived(sender, other_door):
    delivery = await sent(sender)
    found = await archived(sender, delivery)
    assert found == {
        "id": delivery,
        "subject": "Hello",
        "body": "text",
        "recipient": "",
        "url": "app://x",
        "forgotten": False,
    }
    for nothing in ("x", delivery[:-1] + ("A" if delivery[-1] != "A" else "B")):
        await archived(sender, nothing, 404)
    await archived(other_door, delivery, 404)


@pytest.mark.parametrize("more", [{"title": "{{ customer.id }}"}, {"disable_message_retention": True}])
async def test_a_text_that_is_not_kept_is_forgotten(sender, more):
    found = await archived(sender, await sent(sender, **more))
    assert {**found, "id": ""} == {
        "id": "", "subject": "", "body": "", "recipient": "", "url": "", "forgotten": True
    }  # fmt: skip


async def test_nothing_is_returned_about_a_deleted_person(sender):
    delivery = await sent(sender)
    await sender.track("DELETE", "/api/v1/customers/ann")
    status, answer = await sender.app("GET", f"/v1/messages/{delivery}/archived_message")
    assert status == 404 or answer["archived_message"]["forgotten"]
    assert "Hello" not in str(answer)


def test_the_reference_lists_the_calls_that_are_answered(routes):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "customerio.md").read_text()
    listed = re.findall(r"^\| `(\w+ /v1/\S+)` \|", page, re.MULTILINE)
    served = {
        f"{method} {route.path}"
        for route in routes
        for method in getattr(route.endpoint, "handlers", ())
        if route.path.startswith("/v1/") and route.endpoint.style.name in {"app_api", "triggers"}
    }
    other_channels = {
        f"POST /v1/send/{name}" for name in ("email", "in_app", "inbox_message", "sms", "whatsapp")
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == {one for one in served if not one.startswith("HEAD ")} - other_channels
