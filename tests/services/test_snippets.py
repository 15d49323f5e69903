"""Texts that messages share, from the door to the phones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

TEXT = "{{ snippets.hi }}, {{ snippets['main address'] }}"


async def write(tenant: Tenant, **snippets: str) -> None:
    for name, value in snippets.items():
        body = {"name": name.replace("_", " "), "value": value}
        await tenant.call("PUT", "/v1/snippets", body)


def told(tenant: Tenant, token: str) -> list[str]:
    return [json.loads(push.body)["message"]["notification"]["title"] for push in tenant.asked(token)]


async def phone_of(tenant: Tenant, person: str) -> str:
    [token] = tenant.mint("android")
    await tenant.register(person, token, "android")
    return str(token)


async def test_every_kind_of_push_says_them(tenant: Tenant) -> None:
    token = await phone_of(tenant, "ann")
    await write(tenant, hi="Hi {{ customer.id }}{{ trigger.mark }}", main_address="1 Main St")
    numbers: dict[str, Any] = {}
    for kind in ("transactional", "broadcast"):
        template = {
            "kind": kind,
            "name": kind,
            "title": TEXT,
            "translations": {"de": {"title": f"de {TEXT}"}},
        }
        made = await tenant.call("POST", "/api/v1/templates", template, expect=201)
        numbers[kind] = made["template"]["id"]
    to = {"identifiers": {"id": "ann"}}
    await tenant.call("POST", "/v1/send/push", {**to, "title": TEXT, "message_data": {"mark": 1}})
    of_template = {"transactional_message_id": numbers["transactional"], "message_data": {"mark": 2}}
    await tenant.call("POST", "/v1/send/push", {**to, **of_template})
    await tenant.call("POST", "/v1/send/push", {**to, **of_template, "language": "de"})
    await tenant.call("POST", f"/v1/campaigns/{numbers['broadcast']}/triggers", {"data": {"mark": 3}})
    content = {"title": TEXT}
    whole = {
        "content": content,
        "data": {"mark": 4},
        "audience": {"filter": "platform = android"},
        "start": True,
    }
    await tenant.call("POST", "/api/v1/broadcasts", whole, expect=201)
    await tenant.planned()
    await tenant.settled(5)
    wanted = [f"Hi ann{mark}, 1 Main St" for mark in (1, 2, 3, 4)]
    assert sorted(told(tenant, token)) == sorted([*wanted, "de Hi ann2, 1 Main St"])
    [preview] = [
        one["content"]["title"]
        for one in (await tenant.call("POST", "/api/v1/broadcasts/preview", whole))["preview"]
        if one["platform"] == "android"
    ]
    assert preview == wanted[3]


async def test_what_is_sent_after_a_change_says_the_new_text(tenant: Tenant) -> None:
    token = await phone_of(tenant, "ann")
    push = {"identifiers": {"id": "ann"}, "title": "{{ snippets.hi }}"}
    for value in ("Hi", "Hello"):
        await write(tenant, hi=value)
        await tenant.call("POST", "/v1/send/push", push)
    await tenant.settled(2)
    assert sorted(told(tenant, token)) == ["Hello", "Hi"]


async def test_one_that_is_not_there_is_as_a_missing_variable(tenant: Tenant) -> None:
    token = await phone_of(tenant, "ann")
    push = {"identifiers": {"id": "ann"}, "title": "{{ snippets.gone }}!"}
    delivery = (await tenant.call("POST", "/v1/send/push", push))["delivery_id"]
    await tenant.settled(1)
    message = await tenant.message(delivery)
    assert "snippets.gone is undefined" in message["failure_message"]
    template = {"kind": "transactional", "name": "A", "when_undefined": "empty", "title": push["title"]}
    made = await tenant.call("POST", "/api/v1/templates", template, expect=201)
    to = {"identifiers": {"id": "ann"}, "transactional_message_id": made["template"]["id"]}
    await tenant.call("POST", "/v1/send/push", to)
    await eventually(lambda: _told(tenant, token, ["!"]))


async def _told(tenant: Tenant, token: str, titles: list[str]) -> bool:
    return told(tenant, token) == titles
