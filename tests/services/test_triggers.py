"""Broadcasts that a client triggers, from the door to the phones."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.engine import Tenant

TEMPLATE = {
    "kind": "broadcast",
    "name": "Offer",
    "title": "{{ trigger.offer | default: 'Nothing' }} for {{ customer.id }}",
    "message": "{{ trigger.own | default: 'no more' }}",
}
PEOPLE = ("ann", "ben", "eve")


class Crowd:
    """Three people with a phone each, and one without any."""

    def __init__(self, tenant: Tenant, tokens: dict[str, str]) -> None:
        self.tenant = tenant
        self.tokens = tokens
        self.triggers = ""

    async def make(self, **more: Any) -> None:
        made = await self.tenant.call("POST", "/api/v1/templates", {**TEMPLATE, **more}, expect=201)
        self.triggers = f"/v1/campaigns/{made['template']['id']}/triggers"

    async def trigger(self, **body: Any) -> int:
        """Its number, once it is planned."""
        number: int = (await self.tenant.call("POST", self.triggers, body))["id"]
        await self.tenant.planned()
        return number

    def told(self) -> dict[str, list[str]]:
        """Title and body of what each phone was sent."""
        found = {}
        for person, token in self.tokens.items():
            sent = [json.loads(push.body)["message"]["notification"] for push in self.tenant.asked(token)]
            if sent:
                found[person] = [f"{one['title']}: {one['body']}" for one in sent]
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(tenant: Tenant) -> Crowd:
    tokens = dict(zip(PEOPLE, tenant.mint("android", 3), strict=True))
    for person, token in tokens.items():
        await tenant.register(person, token, "android")
        await tenant.call("PUT", f"/api/v1/customers/{person}", {"email": f"{person}@x.io"}, track=True)
    await tenant.call("PUT", "/api/v1/customers/sam", {"plan": "free"}, track=True)
    await tenant.call("PUT", "/api/v1/customers/ann", {"plan": "pro"}, track=True)
    found = Crowd(tenant, tokens)
    await found.make()
    return found


async def test_without_recipients_it_goes_to_everybody(crowd: Crowd) -> None:
    await crowd.trigger(data={"offer": "Tea"})
    await crowd.tenant.settled(3)
    assert crowd.told() == {person: [f"Tea for {person}: no more"] for person in PEOPLE}


async def test_its_own_audience_goes_before_everybody(crowd: Crowd) -> None:
    await crowd.make(audience={"attribute": {"field": "plan", "operator": "eq", "value": "pro"}})
    await crowd.trigger(data=None)
    await crowd.tenant.settled(1)
    assert crowd.told() == {"ann": ["Nothing for ann: no more"]}


async def test_by_filter(crowd: Crowd) -> None:
    exists = {"attribute": {"field": "plan", "operator": "exists"}}
    number = await crowd.trigger(recipients={"and": [{"not": exists}]})
    await crowd.tenant.settled(2)
    assert crowd.told().keys() == {"ben", "eve"}
    one = await crowd.tenant.call("GET", f"{crowd.triggers}/{number}")
    assert (one["state"], one["devices"]) == ("planned", 2)


async def test_by_ids_and_people_without_a_device_are_reported(crowd: Crowd) -> None:
    await crowd.trigger(ids=["ann", "sam", "ann"], data={"offer": "Tea"})
    pushes = await crowd.tenant.settled(2)
    assert {(push["ending"], push["reason"]) for push in pushes} == {
        ("accepted", "fcm_accepted"),
        ("skipped", "no_device"),
    }
    assert crowd.told() == {"ann": ["Tea for ann: no more"]}
    messages = (await crowd.tenant.call("GET", "/v1/messages"))["messages"]
    assert {message["customer_id"]: "undeliverable" in message["metrics"] for message in messages} == {
        "ann": False,
        "sam": True,
    }


async def test_by_emails(crowd: Crowd) -> None:
    await crowd.trigger(emails=["BEN@x.io", "nobody@x.io"], email_ignore_missing=True)
    await crowd.tenant.settled(1)
    assert crowd.told().keys() == {"ben"}


async def test_by_per_user_data_each_is_told_their_own(crowd: Crowd) -> None:
    named = [
        {"id": "ann", "data": {"own": "blue"}},
        {"email": "ben@x.io", "data": {"own": "red", "offer": "Coffee"}},
        {"id": "nobody", "data": {}},
    ]
    await crowd.trigger(per_user_data=named, id_ignore_missing=True, data={"offer": "Tea"})
    await crowd.tenant.settled(2)
    assert crowd.told() == {"ann": ["Tea for ann: blue"], "ben": ["Coffee for ben: red"]}


async def test_who_is_missing_refuses_all_of_it(crowd: Crowd) -> None:
    answer = await crowd.tenant.call("POST", crowd.triggers, {"ids": ["ann", "nobody"]}, expect=422)
    assert answer["errors"] == [
        {"detail": "ids[1]: no person found with this id", "source": {"pointer": "/ids/1"}, "status": "422"}
    ]
    assert (
        await crowd.tenant.database.value(
            "select count(*) from messages where workspace_id = $1", crowd.tenant.workspace_id
        )
        == 0
    )


async def test_unsubscribed_people_are_skipped_unless_the_template_says_otherwise(crowd: Crowd) -> None:
    await crowd.tenant.call("PUT", "/api/v1/customers/ann", {"unsubscribed": True}, track=True)
    await crowd.trigger(ids=["ann", "ben"])
    await crowd.tenant.settled(2)
    assert crowd.told().keys() == {"ben"}
    await crowd.make(send_to_unsubscribed=True)
    await crowd.trigger(ids=["ann"])
    await crowd.tenant.settled(3)
    assert crowd.told().keys() == {"ann", "ben"}


async def test_by_a_file_of_lines(crowd: Crowd) -> None:
    lines = [{"id": "ann", "data": {"own": "blue"}}, {"email": "eve@x.io"}, {"cio_id": "00ffffffffff"}]
    with served("\n".join(map(json.dumps, lines))) as url:
        await crowd.trigger(data_file_url=url, id_ignore_missing=True, data={"offer": "Tea"})
        await crowd.tenant.settled(2)
    assert crowd.told() == {"ann": ["Tea for ann: blue"], "eve": ["Tea for eve: no more"]}


async def test_a_file_that_cannot_be_read_fails_the_broadcast_whole(crowd: Crowd) -> None:
    for text, said in (
        ('{"id": "ann"}\nnonsense', "line 2: not JSON"),
        ('{"id": "ann"}\n{"name": "x"}', "line 2: expected one of id, email or cio_id"),
        ('{"id": "ann"}\n\n{"id": "nobody"}', "line 3: no person found with this id"),
        (None, "answered 404"),
    ):
        with served(text) as url:
            number = await crowd.trigger(data_file_url=url)
        [error] = (await crowd.tenant.call("GET", f"{crowd.triggers}/{number}/errors"))["errors"]
        assert said in error["detail"]
    assert await crowd.tenant.pushes() == []
    listed = await crowd.tenant.database.value(
        "select count(*) from broadcast_people where workspace_id = $1",
        crowd.tenant.workspace_id,
    )
    assert listed == 0


async def test_a_file_is_read_from_where_its_address_leads(crowd: Crowd) -> None:
    with served('{"id": "ann"}') as url, served(url, leads=True) as first, served(first, leads=True) as url:
        await crowd.trigger(data_file_url=url)
        await crowd.tenant.settled(1)
    assert crowd.told().keys() == {"ann"}


async def test_an_address_that_leads_nowhere_or_in_a_circle_fails_the_broadcast(crowd: Crowd) -> None:
    for leads_to, said in (
        ("", "answered 302 without an http address"),
        ("ftp://127.0.0.1/x", "answered 302 without an http address"),
        ("/recipients.jsonl", "leads on more than 5 times"),
    ):
        with served(leads_to, leads=True) as url:
            number = await crowd.trigger(data_file_url=url)
        [error] = (await crowd.tenant.call("GET", f"{crowd.triggers}/{number}/errors"))["errors"]
        assert said in error["detail"]


async def test_a_webhook_is_told_which_broadcast_it_was(crowd: Crowd) -> None:
    heard: list[Any] = []
    with served("", heard) as url:
        await crowd.tenant.call(
            "POST",
            "/v1/reporting_webhooks",
            {"name": "all", "endpoint": url, "events": ["push_sent", "push_undeliverable", "push_drafted"]},
        )
        number = await crowd.trigger(ids=["ann", "sam"])
        await crowd.tenant.call(
            "POST", "/v1/send/push", {"identifiers": {"id": "ann"}, "title": "Later", "queue_draft": True}
        )

        async def told_all() -> bool:
            return len(heard) >= 3

        await eventually(told_all)
    told = {one["metric"]: one["data"] for one in heard}
    assert told.keys() == {"sent", "undeliverable", "drafted"}
    assert (told["sent"]["trigger_id"], told["sent"]["broadcast_id"]) == (
        number,
        int(crowd.triggers.split("/")[3]),
    )
    assert told["undeliverable"]["failure_message"] == "the person has no device"
    assert told["drafted"]["transactional_message_id"] == 0


@contextmanager
def served(text: str | None, heard: list[Any] | None = None, *, leads: bool = False) -> Iterator[str]:
    """A text at an address, or 404 without one; `leads` redirects. Posted bodies are recorded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if leads else 200 if text is not None else 404)
            if leads and text:
                self.send_header("location", text)
            self.end_headers()
            if not leads:
                self.wfile.write((text or "").encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if heard is not None:
                heard.append(json.loads(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/recipients.jsonl"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
