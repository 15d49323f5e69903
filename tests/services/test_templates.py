"""Messages that are not the same to everybody, from the door to the phone."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from pushkeeper.store.messages import messages
from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

WELCOME = {
    "kind": "transactional",
    "name": "Welcome",
    "trigger_name": "welcome",
    "title": "Hello {{ customer.first_name }}",
    "message": "Your order {{ trigger.order }} comes to {{ device.platform }}",
    "translations": {"de": {"title": "Hallo {{ customer.first_name }}", "message": "{{ trigger.order }}"}},
}


@pytest_asyncio.fixture(loop_scope="session")
async def phone(tenant: Tenant) -> str:
    token: str
    [token] = tenant.mint("ios")
    await tenant.register("ann", token, "ios")
    return token


async def name(tenant: Tenant, **attributes: Any) -> None:
    await tenant.call("PUT", "/api/v1/customers/ann", attributes, track=True)


async def make(tenant: Tenant, template: dict[str, Any], status: int = 201) -> int:
    made: int = (await tenant.call("POST", "/api/v1/templates", template, expect=status))["template"]["id"]
    return made


def alert(tenant: Tenant, token: str) -> Any:
    return json.loads(tenant.asked(token)[-1].body)["aps"]["alert"]


async def send(tenant: Tenant, **body: Any) -> str:
    answer = await tenant.call("POST", "/v1/send/push", {"identifiers": {"id": "ann"}, **body})
    delivery_id: str = answer["delivery_id"]
    return delivery_id


async def test_a_template_is_rendered_for_its_person_and_device(tenant: Tenant, phone: str) -> None:
    number = await make(tenant, WELCOME)
    await name(tenant, first_name="Ann")
    for called in (number, str(number), "welcome", "WELCOME"):
        await send(tenant, transactional_message_id=called, message_data={"order": 7})
    await tenant.settled(4)
    assert alert(tenant, phone) == {"title": "Hello Ann", "body": "Your order 7 comes to ios"}


async def test_people_read_their_own_language_unless_the_sender_says_another(
    tenant: Tenant, phone: str
) -> None:
    await make(tenant, WELCOME)
    await name(tenant, first_name="Ann", language="de")
    await send(tenant, transactional_message_id="welcome", message_data={"order": 7})
    await tenant.settled(1)
    assert alert(tenant, phone) == {"title": "Hallo Ann", "body": "7"}
    await send(tenant, transactional_message_id="welcome", message_data={"order": 8}, language="en")
    await tenant.settled(2)
    assert alert(tenant, phone)["title"] == "Hello Ann"


async def test_what_the_request_says_goes_before_what_the_template_says(tenant: Tenant, phone: str) -> None:
    await make(tenant, WELCOME)
    await name(tenant, first_name="Ann")
    await send(
        tenant, transactional_message_id="welcome", title="Bye {{ customer.id }}", message_data={"order": 1}
    )
    await tenant.settled(1)
    assert alert(tenant, phone)["title"] == "Bye ann"


async def test_who_lacks_a_value_is_not_sent_to_and_the_record_says_why(tenant: Tenant, phone: str) -> None:
    await make(tenant, WELCOME)
    delivery = await send(tenant, transactional_message_id="welcome", message_data={"order": 7})
    [push] = await tenant.settled(1)
    assert (push["ending"], push["reason"]) == ("failed", "template")
    message = await tenant.message(delivery)
    assert "first_name" in message["failure_message"]
    assert "failed" in message["metrics"]
    assert tenant.asked(phone) == []
    assert await tenant.status(phone) == ""


async def test_a_lenient_template_is_sent_without_the_value(tenant: Tenant, phone: str) -> None:
    await make(tenant, {**WELCOME, "when_undefined": "empty"})
    await send(tenant, transactional_message_id="welcome", message_data={"order": 7})
    await tenant.settled(1)
    assert alert(tenant, phone)["title"] == "Hello "


async def test_what_is_too_large_for_one_person_fails_for_them_alone(tenant: Tenant, phone: str) -> None:
    [other] = tenant.mint("android")
    await tenant.register("ben", other, "android")
    await name(tenant, first_name="A" * 999)
    loud = "{% for i in (1..5) %}{{ customer.first_name | default: 'you' }}{% endfor %}"
    await send(tenant, title=loud)
    await tenant.push("ben", title=loud)
    pushes = {push["reason"]: push for push in await tenant.settled(2)}
    assert "at most 4096" in pushes["too_large"]["detail"]
    assert tenant.asked(phone) == []
    assert json.loads(tenant.asked(other)[0].body)["message"]["notification"]["title"] == "you" * 5


MUCH_WORK = "{% for i in (1..1000) %}{% assign n = customer.many | default: 'x' | split: ',' | size %}{% endfor %}{{ n }}"


async def test_what_is_too_much_work_for_one_person_fails_for_them_alone(tenant: Tenant, phone: str) -> None:
    [other] = tenant.mint("ios")
    await tenant.register("ben", other, "ios")
    await name(tenant, many="a," * 400)
    await send(tenant, title=MUCH_WORK)
    await tenant.push("ben", title=MUCH_WORK)
    pushes = {push["reason"]: push for push in await tenant.settled(2)}
    assert pushes["template"]["detail"] == "Liquid: too much work"
    assert tenant.asked(phone) == []
    assert alert(tenant, other)["title"] == "1"


MANY = 200  # so that they are not all over before the neighbour asks


async def test_who_makes_much_work_makes_nobody_else_wait_for_all_of_it(tenant: Tenant, phone: str) -> None:
    neighbour = await tenant.engine.tenant()
    await neighbour.add_apns()
    [theirs] = neighbour.mint("ios")
    await neighbour.register("cleo", theirs, "ios")
    await name(tenant, many="a," * 400)
    for _ in range(MANY):
        await send(tenant, title=MUCH_WORK, send_at=int(time.time()) + 3600)
    await tenant.make_due()
    await neighbour.push("cleo", title="{% for i in (1..2) %}{{ i }}{% endfor %}")
    await neighbour.settled(1)
    [settled] = await neighbour.pushes()
    assert alert(neighbour, theirs)["title"] == "12"
    # By when each was settled, as the test itself may be late to look.
    assert sum(push["settled_at"] <= settled["settled_at"] for push in await tenant.pushes()) < MANY
    await tenant.settled(MANY)


async def test_a_draft_waits_until_somebody_sends_it(tenant: Tenant, phone: str) -> None:
    delivery = await send(tenant, title="Hello", queue_draft=True)
    dropped = await send(tenant, title="Never", queue_draft=True)
    [listed, _] = (await tenant.call("GET", "/v1/messages?drafts=true"))["messages"]
    assert "drafted" in listed["metrics"]
    await tenant.call("DELETE", f"/api/v1/drafts/{dropped}", expect=204)
    await tenant.call("POST", f"/api/v1/drafts/{delivery}/send")
    await tenant.settled(1)
    assert [json.loads(push.body)["aps"]["alert"]["title"] for push in tenant.asked(phone)] == ["Hello"]
    for method, path in (("POST", f"{delivery}/send"), ("DELETE", dropped), ("DELETE", "nonsense")):
        await tenant.call(method, f"/api/v1/drafts/{path}", expect=404)
    assert {"drafted", "sent"} <= (await tenant.message(delivery))["metrics"].keys()


async def test_a_push_for_one_platform_leaves_the_others_out(tenant: Tenant, phone: str) -> None:
    [android] = tenant.mint("android")
    await tenant.register("ann", android, "android")
    await send(tenant, title="Hello", platform="android")
    reasons = {push["ending"]: push["reason"] for push in await tenant.settled(2)}
    assert reasons["skipped"] == "other_platform"
    assert tenant.asked(phone) == []
    assert len(tenant.asked(android)) == 1


async def test_what_is_not_to_be_retained_is_forgotten_once_it_is_over(tenant: Tenant, phone: str) -> None:
    kept = await send(tenant, title="Kept")
    delivery = await send(
        tenant,
        title="Secret {{ trigger.code }}",
        message_data={"code": "1234"},
        disable_message_retention=True,
    )
    await tenant.settled(2)
    assert alert(tenant, phone)["title"] in {"Kept", "Secret 1234"}
    await messages.forget_contents(tenant.database)
    assert (await tenant.message(delivery))["subject"] == ""
    assert (await tenant.message(kept))["subject"] == "Kept"
    stored = await tenant.database.rows(
        "select content, wording from messages where workspace_id = $1 and not retained", tenant.workspace_id
    )
    assert [dict(row) for row in stored] == [{"content": {}, "wording": None}]


async def test_a_push_to_nobody_is_a_fact(tenant: Tenant) -> None:
    await tenant.call("PUT", "/api/v1/customers/ann", {}, track=True)
    delivery = await send(tenant, title="Hello")
    [push] = await tenant.settled(1)
    assert (push["ending"], push["reason"]) == ("skipped", "no_device")
    message = await tenant.message(delivery)
    assert message["metrics"].keys() == {"created", "undeliverable"}
    assert message["failure_message"] == "the person has no device"
    [activity, *_] = (await tenant.call("GET", "/v1/customers/ann/activities"))["activities"]
    assert activity["type"] == "undeliverable_push"


async def test_a_name_that_there_is_no_template_of_can_make_one(tenant: Tenant, phone: str) -> None:
    await send(tenant, transactional_message_id="receipt", title="Paid", auto_create=True)
    await tenant.settled(1)
    [template] = (await tenant.call("GET", "/v1/transactional"))["messages"]
    assert (template["name"], template["trigger_name"]) == ("receipt", "receipt")
    await send(tenant, transactional_message_id="RECEIPT", title="Paid again", auto_create=True)
    [_] = (await tenant.call("GET", "/v1/transactional"))["messages"]


async def test_a_templates_deliveries_and_series_are_counted(tenant: Tenant, phone: str) -> None:
    number = await make(tenant, {"kind": "transactional", "name": "Plain", "title": "Hello"})
    for _ in range(3):
        await send(tenant, transactional_message_id=number)
    await send(tenant, title="another")
    await tenant.settled(4)
    one = f"/v1/transactional/{number}"
    listed = await tenant.call("GET", f"{one}/messages?limit=2")
    rest = await tenant.call("GET", f"{one}/messages?limit=2&start={listed['next']}")
    ids = [message["id"] for message in [*listed["messages"], *rest["messages"]]]
    assert len(set(ids)) == 3
    assert rest["next"] == ""
    assert {message["msg_template_id"] for message in listed["messages"]} == {number}
    for method, delivery in (("delivered", ids[0]), ("clicked", ids[1])):
        await tenant.call(
            "POST",
            "/api/v1/metrics",
            {"delivery_id": delivery, "metric": method, "recipient": phone, "href": "app://x"},
        )

    async def counted() -> bool:
        found = (await tenant.call("GET", f"{one}/metrics?period=hours&steps=2"))["metric"]["series"]
        totals = {metric: sum(counts) for metric, counts in found.items()}
        return bool(
            totals["sent"] == 3
            and totals["delivered"] == 1
            and totals["created"] == 3
            and totals["failed"] == 0
        )

    await eventually(counted)
    [link] = (await tenant.call("GET", f"{one}/metrics/links?period=days&steps=3"))["links"]
    assert (link["link"]["href"], link["metric"]["series"]["clicked"]) == ("app://x", [0, 0, 1])
    by_metric = await tenant.call("GET", "/v1/messages?metric=delivered")
    assert [message["id"] for message in by_metric["messages"]] == [ids[0]]
    assert (await tenant.call("GET", "/v1/messages?type=email"))["messages"] == []
    assert len((await tenant.call("GET", "/v1/messages"))["messages"]) == 4
