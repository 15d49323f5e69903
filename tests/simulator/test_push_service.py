"""The browsers' push services: what each family answers, and what a sender must say of itself."""

from __future__ import annotations

import pytest

from pushkeeper.simulator.browser import ENDPOINTS, Browser, family_of
from pushkeeper.simulator.exchange import Reply, Request
from pushkeeper.simulator.push_service import PushRules, PushService
from pushkeeper.simulator.script import Step
from pushkeeper.simulator.world import World

FAMILIES = sorted(ENDPOINTS)


def ask(service: PushService, browser: Browser, body: bytes = b"x", **headers: str) -> Reply:
    """A push to a browser as somebody sends it who need not be known."""
    authority, path = browser.endpoint.removeprefix("https://").split("/", 1)
    fields = {
        b":method": b"POST",
        b":authority": authority.encode(),
        b":path": f"/{path}".encode(),
        b"ttl": b"60",
        b"content-encoding": b"aes128gcm",
        **{name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
    }
    answer = service.handle(Request(1, tuple(fields.items()), fields, body))
    assert isinstance(answer, Reply)
    return answer


def status(reply: Reply) -> int:
    return int(dict(reply.headers)[b":status"])


def test_subscriptions_of_one_seed_are_the_same_and_no_two_are_alike() -> None:
    one, other = World(7).subscribe(3, "apple"), World(7).subscribe(3, "apple")
    assert [browser.endpoint for browser in one] == [browser.endpoint for browser in other]
    assert [browser.keys for browser in one] == [browser.keys for browser in other]
    assert len({browser.endpoint for browser in one}) == 3
    assert World(8).subscribe(1, "apple")[0].endpoint != one[0].endpoint


@pytest.mark.parametrize("family", FAMILIES)
def test_an_endpoint_says_whose_it_is(family) -> None:
    [browser] = World().subscribe(1, family)
    host, _ = ENDPOINTS[family]
    assert browser.endpoint.startswith(f"{host}/")
    assert family_of(browser.endpoint.removeprefix(host)) == family


@pytest.mark.parametrize(
    ("family", "refused", "too_large", "headers"),
    [
        ("apple", 403, 413, 400),
        ("google", 403, 413, 400),
        ("microsoft", 401, 413, 400),
        ("mozilla", 401, 413, 400),
    ],
)
def test_each_family_refuses_in_its_own_way(family, refused, too_large, headers) -> None:
    world = World()
    [browser] = world.subscribe(1, family)
    service = PushService(world, PushRules())
    assert status(ask(service, browser)) == refused, "without authorization"
    assert status(ask(service, browser, authorization="vapid t=a.b.c, k=BA")) == refused
    assert status(ask(service, browser, b"x" * 4097)) == too_large
    assert status(ask(service, browser, ttl="soon")) == headers
    assert status(ask(service, browser, topic="x" * 33)) == headers
    assert status(ask(service, browser, urgency="now")) == headers
    assert status(ask(service, browser, content_encoding="aesgcm")) == 400


def test_a_scripted_answer_has_the_familys_own_form() -> None:
    world = World()
    service = PushService(world, PushRules())
    forms = {"apple": b'{"reason":"109"}', "google": b"109", "microsoft": b"109"}
    for family in FAMILIES:
        [browser] = world.subscribe(1, family)
        world.script(browser.endpoint, [Step(status=401, reason="109"), Step(status=503)])
        reply = ask(service, browser)
        assert status(reply) == 401
        assert b'"errno":109' in reply.body if family == "mozilla" else reply.body == forms[family]
        assert (status(ask(service, browser)), list(world.journal.read(browser.endpoint))[-1].status) == (
            503,
            503,
        )


def test_a_service_in_trouble_says_when_to_come_back() -> None:
    world = World(clock=lambda: 1_000_000.0)
    service = PushService(world, PushRules(retry_after="seconds"))
    [browser] = world.subscribe(1, "microsoft")
    world.troubles["webpush"] = "throttle"
    reply = ask(service, browser)
    assert (status(reply), dict(reply.headers)[b"retry-after"]) == (406, b"5")
    world.troubles["webpush"] = "outage"
    assert status(ask(service, browser)) == 503


def test_one_in_so_many_requests_is_unavailable() -> None:
    world = World()
    service = PushService(world, PushRules(unavailable_share=0.25))
    [browser] = world.subscribe(1)
    answers = [status(ask(service, browser)) for _ in range(8)]
    assert answers.count(503) == 2
