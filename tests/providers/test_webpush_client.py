"""Our Web Push sender against the simulated push services: real TLS, HTTP/2 and HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as replaced

from pushkeeper.core.delivery.outcome import Accepted, Silence, Unanswered
from pushkeeper.core.destination import Destinations
from pushkeeper.core.model import Browser, Content, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.providers.webpush.client import WebPushClient
from pushkeeper.providers.webpush.origins import Where
from pushkeeper.providers.webpush.vapid import KeyRing, VapidKey
from pushkeeper.simulator import Behaviour, Simulator
from pushkeeper.simulator.browser import ENDPOINTS
from pushkeeper.simulator.push_service import PushRules
from pushkeeper.simulator.script import Step

FAMILIES = sorted(ENDPOINTS)
KEYS = KeyRing((VapidKey.generate(), VapidKey.generate()))
LOCAL = Destinations.of(["127.0.0.0/8", "::1"])


@pytest.fixture
async def open_client(simulator, ca_pem, verdicts):
    opened = []

    def make(keys=KEYS, *, subject="mailto:ops@example.com", **where):
        where = {"endpoint_url": simulator.webpush_url, "ca_pem": ca_pem, **where}
        client = WebPushClient(keys, verdicts, subject=subject, where=Where(**where))
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose(1.0)


@pytest.fixture
def to(make_push):
    """A push to a browser."""

    def make(browser, content=None, *, vapid_key="", **more):
        push = make_push(browser.endpoint, content, platform=Platform.WEB, **more)
        return replaced(push, browser=Browser(browser.public_key, browser.auth, vapid_key))

    return make


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_browser_of_every_family_reads_what_was_sent(
    simulator, open_client, to, verdicts, family
) -> None:
    [browser] = simulator.world.subscribe(1, family, vapid_key=KEYS.current.public)
    push = to(browser, Content(title="Hello", message="Wörld 🌍"))
    client = open_client()
    client.send([push])
    assert client.pending == 1
    [found] = await verdicts.of([push])
    assert found.code == "webpush_accepted"
    assert isinstance(found.outcome, Accepted)
    assert client.pending == 0
    [entry] = simulator.world.journal.read(browser.endpoint)
    said = msgspec.json.decode(entry.body)
    assert (said["title"], said["body"], entry.reason) == ("Hello", "Wörld 🌍", "")
    assert said["CIO-Delivery-Token"] == browser.endpoint


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_subscription_that_ended_or_never_was_is_unregistered_in_every_family(
    simulator, open_client, to, verdicts, family
) -> None:
    [gone, never] = simulator.world.subscribe(2, family)
    simulator.world.uninstall([gone.endpoint])
    del simulator.world.browsers[never.endpoint], simulator.world.installations[never.endpoint]
    pushes = [to(gone), to(never)]
    open_client().send(pushes)
    assert [found.code for found in await verdicts.of(pushes)] == ["webpush_unregistered"] * 2


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_browser_gets_pushes_by_the_key_that_it_subscribed_with(
    simulator, open_client, to, verdicts, family
) -> None:
    new, old = KEYS.keys
    [browser] = simulator.world.subscribe(1, family, vapid_key=old.public)
    client = open_client()
    pushes = [to(browser, vapid_key=old.key_id), to(browser, vapid_key="a key that is gone")]
    client.send(pushes)
    assert [found.code for found in await verdicts.of(pushes)] == ["webpush_accepted", "webpush_key_mismatch"]
    assert len(list(simulator.world.journal.read(browser.endpoint))) == 1, "the other was not sent"
    [other] = simulator.world.subscribe(1, family, vapid_key=new.public)
    first = to(other, vapid_key=new.key_id)
    client.send([first])
    await verdicts.of([first])
    wrong = to(browser, vapid_key=new.key_id)
    client.send([wrong])
    [found] = await verdicts.of([wrong])
    assert found.code == "webpush_key_mismatch", "the key is proven, so that it is the subscription's"


@pytest.mark.parametrize(
    ("trouble", "codes"),
    [
        ("key", {"webpush_invalid_credentials"}),
        ("throttle", {"webpush_too_many_requests"}),
        ("outage", {"webpush_unavailable"}),
    ],
)
async def test_a_service_in_trouble_says_so_in_every_family(
    simulator, open_client, to, verdicts, trouble, codes
) -> None:
    pushes = [to(browser) for family in FAMILIES for browser in simulator.world.subscribe(1, family)]
    simulator.world.troubles["webpush"] = trouble
    try:
        open_client().send(pushes)
        found = await verdicts.of(pushes)
    finally:
        del simulator.world.troubles["webpush"]
    assert {one.code for one in found} == codes


async def test_scripted_answers_come_before_the_truth(simulator, open_client, to, verdicts) -> None:
    browsers = simulator.world.subscribe(5, "mozilla")
    steps = [
        Step(status=413),
        Step(status=429, headers={"retry-after": "77"}),
        Step(status=400, reason="110"),
        Step(status=302, headers={"location": "https://127.0.0.1/"}),
        Step(close=True),
    ]
    for browser, step in zip(browsers, steps, strict=True):
        simulator.world.script(browser.endpoint, [step])
    pushes = [to(browser) for browser in browsers]
    client = open_client()
    client.send(pushes[:4])
    found = await verdicts.of(pushes[:4])
    assert [one.code for one in found] == [
        "webpush_payload_too_large",
        "webpush_too_many_requests",
        "webpush_bad_keys",
        "webpush_unrecognized_response",
    ]
    assert found[2].reason == "errno 110"
    assert len(list(simulator.world.journal.read(browsers[3].endpoint))) == 1, "a redirect is not followed"
    client.send(pushes[4:])
    [lost] = await verdicts.of(pushes[4:])
    assert lost.outcome == Unanswered(silence=Silence.LOST)


async def test_a_thousand_pushes_go_to_four_services_over_few_connections(
    simulator, open_client, to, verdicts
) -> None:
    pushes = [to(browser) for family in FAMILIES for browser in simulator.world.subscribe(250, family)]
    open_client().send(pushes)
    assert {found.code for found in await verdicts.of(pushes)} == {"webpush_accepted"}
    assert len(simulator.webpush.connections) <= 4


async def test_a_dry_run_is_composed_and_not_sent(simulator, open_client, to, verdicts) -> None:
    [browser] = simulator.world.subscribe(1)
    push = to(browser, dry_run=True)
    open_client().send([push])
    [found] = await verdicts.of([push])
    assert found.outcome == Accepted(dry_run=True)
    assert not list(simulator.world.journal.read(browser.endpoint))


async def test_pushes_that_have_not_left_are_withdrawn(simulator, open_client, to, verdicts) -> None:
    pushes = [to(browser) for browser in simulator.world.subscribe(3)]
    client = open_client()
    client.send(pushes)
    assert client.withdraw(lambda push: push is pushes[1]) == 1
    codes = [found.code for found in await verdicts.of(pushes)]
    assert codes == ["webpush_accepted", "stream_refused", "webpush_accepted"]


async def test_a_push_without_keys_is_not_composed_and_leaves_nothing_half_done(
    simulator, open_client, to, verdicts
) -> None:
    [one, two] = simulator.world.subscribe(2)
    client = open_client()
    with pytest.raises(BadRequest, match="keys"):
        client.send([to(one), replaced(to(two), browser=None)])
    assert client.pending == 0
    assert not verdicts.all


async def test_a_probe_asks_nobody(open_client) -> None:
    assert (await open_client().probe()).reason == "no_probe"


# Without HTTP/2.


@pytest.fixture
async def old_fashioned(tmp_path_factory):
    behaviour = Behaviour(webpush=PushRules(speaks_http2=False))
    async with Simulator(tmp_path_factory.mktemp("http1"), behaviour=behaviour) as running:
        yield running


async def test_a_service_without_http2_is_sent_to_over_http1_on_connections_that_are_kept(
    old_fashioned, open_client, to, verdicts
) -> None:
    ca = await asyncio.to_thread(Path(old_fashioned.ca_file).read_text)
    client = open_client(endpoint_url=old_fashioned.webpush_url, ca_pem=ca)
    browsers = old_fashioned.world.subscribe(40, "microsoft")
    old_fashioned.world.uninstall([browsers[7].endpoint])
    for again in range(2):
        pushes = [to(browser, Content(title=f"{again}")) for browser in browsers]
        client.send(pushes)
        codes = [found.code for found in await verdicts.of(pushes)]
        assert codes == ["webpush_accepted"] * 7 + ["webpush_unregistered"] + ["webpush_accepted"] * 32
    assert 1 <= len(old_fashioned.webpush.connections) <= 4
    assert {len(list(old_fashioned.world.journal.read(one.endpoint))) for one in browsers} == {2}


async def test_what_is_under_way_over_http1_is_answered_when_the_sender_closes(
    old_fashioned, open_client, to, verdicts
) -> None:
    ca = await asyncio.to_thread(Path(old_fashioned.ca_file).read_text)
    client = open_client(endpoint_url=old_fashioned.webpush_url, ca_pem=ca)
    [well, held] = old_fashioned.world.subscribe(2, "microsoft")
    first, push = to(well), to(held)
    old_fashioned.world.script(held.endpoint, [Step(hold=True)])
    client.send([first])
    await verdicts.of([first])
    client.send([push])
    await client.aclose(0.05)
    [found] = await verdicts.of([push])
    assert found.outcome == Unanswered(silence=Silence.LOST)


# Where pushes may go.

SERVER_SIDE = [
    "https://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1/fcm/send/x",
    "https://localhost/wpush/v2/x",
    "https://[::1]/x",
    "https://10.0.0.1/x",
    "https://metadata.google.internal/x",
    "https://fcm.googleapis.com.evil.example/fcm/send/x",
    "https://evil.example/fcm.googleapis.com/",
    "https://fcm.googleapis.com:8443/fcm/send/x",
    "https://xpush.services.mozilla.com/x",
    "https://push.apple.com/x",
    "https://0x7f000001/x",
]


@pytest.mark.parametrize("endpoint", SERVER_SIDE)
async def test_an_endpoint_at_an_unknown_host_is_not_called(
    simulator, open_client, to, verdicts, endpoint
) -> None:
    [browser] = simulator.world.subscribe(1)
    push = replaced(to(browser), token=type(to(browser).token)(endpoint))
    open_client(endpoint_url=None).send([push])
    [found] = await verdicts.of([push])
    assert found.code == "webpush_endpoint_not_allowed"
    assert not list(simulator.world.journal.read(endpoint))


@pytest.mark.parametrize(
    "endpoint", ["http://fcm.googleapis.com/x", "ftp://a.example/x", "https://u:p@fcm.googleapis.com/x"]
)
async def test_an_endpoint_without_tls_or_with_a_password_is_none(
    simulator, open_client, to, endpoint
) -> None:
    [browser] = simulator.world.subscribe(1)
    push = replaced(to(browser), token=type(to(browser).token)(endpoint))
    with pytest.raises(BadRequest, match="endpoint"):
        open_client(endpoint_url=None).send([push])


@pytest.mark.parametrize("permitted", [False, True])
async def test_a_host_that_is_allowed_is_called_at_a_public_address_alone_unless_that_is_allowed_too(
    simulator, open_client, to, verdicts, permitted
) -> None:
    [browser] = simulator.world.subscribe(1, origin=simulator.webpush_url)
    push = to(browser)
    destinations = LOCAL if permitted else Destinations()
    open_client(endpoint_url=None, hosts=("localhost",), destinations=destinations).send([push])
    [found] = await verdicts.of([push])
    assert found.code == ("webpush_accepted" if permitted else "webpush_endpoint_not_allowed")
    assert len(list(simulator.world.journal.read(browser.endpoint))) == permitted


async def test_a_private_address_is_not_even_connected_to(open_client, to, verdicts, simulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        [browser] = simulator.world.subscribe(1, origin=f"https://localhost:{listener.getsockname()[1]}")
        push = to(browser)
        open_client(endpoint_url=None, hosts=("localhost",)).send([push])
        [found] = await verdicts.of([push])
        assert found.code == "webpush_endpoint_not_allowed"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_ca_that_is_none_is_refused(verdicts) -> None:
    with pytest.raises(BadRequest):
        WebPushClient(KEYS, verdicts, subject="mailto:a@example.com", where=Where(ca_pem="nothing"))
