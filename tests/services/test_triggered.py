"""The results of an API-triggered broadcast, as Customer.io's App API counts and lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.documented import LINK, MESSAGE, METRIC, fits
from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

PHONES = 4  # of three people: one has two


async def make(tenant: Tenant) -> int:
    template = {"kind": "broadcast", "name": "Offer", "title": "Tea for {{ customer.id }}"}
    made = await tenant.call("POST", "/api/v1/templates", template, expect=201)
    number: int = made["template"]["id"]
    return number


async def trigger(tenant: Tenant, number: int, **body: Any) -> int:
    made: int = (await tenant.call("POST", f"/v1/campaigns/{number}/triggers", body))["id"]
    await tenant.planned()
    return made


async def register(tenant: Tenant) -> list[str]:
    """The tokens of ann's two phones, ben's and eve's."""
    tokens: list[str] = tenant.mint("android", PHONES)
    for person, token in zip(("ann", "ann", "ben", "eve"), tokens, strict=True):
        await tenant.register(person, token, "android")
    return tokens


async def report(tenant: Tenant, delivery: str, metric: str, token: str) -> None:
    told = {"delivery_id": delivery, "metric": metric, "recipient": token, "href": "app://x"}
    await tenant.call("POST", "/api/v1/metrics", told)


async def totals(tenant: Tenant, path: str) -> dict[str, int]:
    found = await tenant.call("GET", path)
    fits(found, METRIC)
    return {metric: sum(counts) for metric, counts in found["metric"]["series"].items() if any(counts)}


async def test_deliveries_are_counted_by_person_and_listed_in_pages(tenant: Tenant) -> None:
    tokens = await register(tenant)
    number, other = await make(tenant), await make(tenant)
    triggered = await trigger(tenant, number)
    await tenant.settled(PHONES)
    await trigger(tenant, number, ids=["ben"])
    await trigger(tenant, other, ids=["eve"])
    await tenant.push("ann")
    await tenant.settled(PHONES + 4)
    one = f"/v1/broadcasts/{number}"

    found = await tenant.call("GET", f"{one}/messages?limit=3")
    rest = await tenant.call("GET", f"{one}/messages?limit=3&start={found['next']}")
    listed = found["messages"] + rest["messages"]
    fits(listed, [MESSAGE])
    assert (len({message["id"] for message in listed}), rest["next"]) == (4, "")
    assert sorted(message["customer_id"] for message in listed) == ["ann", "ben", "ben", "eve"]
    assert {message["broadcast_id"] for message in listed} == {number}
    ann, ben = (next(m["id"] for m in listed if m["customer_id"] == person) for person in ("ann", "ben"))

    for token in tokens[:2]:
        await report(tenant, ann, "clicked", token)
    await report(tenant, ben, "clicked", tokens[2])
    clicked = f"{one}/messages?metric=clicked"
    await eventually(lambda: _count(tenant, clicked, 2))
    everything = {"created": 4, "attempted": 4, "sent": 4, "clicked": 2}
    for path in (one, f"{one}/actions/{number}"):
        assert await totals(tenant, f"{path}/metrics?period=hours&steps=2") == everything
        assert await totals(tenant, f"{path}/metrics?type=email") == {}
        for query, clicks in (("", 3), ("?unique=true", 2), ("?unique=false", 3)):
            links = (await tenant.call("GET", f"{path}/metrics/links{query}"))["links"]
            fits(links, [LINK])
            counted = [(link["link"]["href"], sum(link["metric"]["series"]["clicked"])) for link in links]
            assert counted == [("app://x", clicks)]
    assert len((await tenant.call("GET", f"{one}/messages?state=sent"))["messages"]) == 4
    for query, messages in (
        (f"campaign_id={number}", 4),
        (f"template_id={number}", 4),
        (f"campaign_id={number}&trigger_id={triggered}", 3),
        (f"campaign_id={other}&trigger_id={triggered}", 0),
        (f"transactional_id={other + 1}", 0),
        (f"campaign_id={number}&content_id=1", 0),
    ):
        assert len((await tenant.call("GET", f"/v1/messages?{query}"))["messages"]) == messages, query
    await tenant.call("GET", f"/v1/messages?trigger_id={triggered}", expect=400)
    for query in ("type=email", "metric=bounced", "end_ts=1700000000"):
        assert (await tenant.call("GET", f"{one}/messages?{query}"))["messages"] == []
    triggers = (await tenant.call("GET", f"{one}/triggers"))["triggers"]
    assert (len(triggers), triggers[-1]["id"]) == (2, triggered)
    assert all(isinstance(each["processed_at"], int) for each in triggers)


async def _count(tenant: Tenant, path: str, wanted: int) -> bool:
    return len((await tenant.call("GET", path))["messages"]) == wanted
