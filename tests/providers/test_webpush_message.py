"""What a browser's push service is sent, and what a service worker reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from pushkeeper.core.model import Browser, Content, Platform, Priority, Token
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.webpush import message
from pushkeeper.simulator.browser import Browser as Receiver

NOW = datetime(2026, 12, 1, tzinfo=UTC)
RECEIVER = Receiver.subscribe("google", 1, 0, None, None)


@pytest.fixture
def composed(make_push):
    def compose(content: Content, **more):
        push = make_push(RECEIVER.endpoint, content, platform=Platform.WEB)
        push = replace(
            push,
            browser=Browser(RECEIVER.public_key, RECEIVER.auth),
            keep_until=NOW + timedelta(hours=1),
            **more,
        )
        to = message.Address.of(push.token.value)
        request = message.Composer().request(push, to, b"vapid t=a, k=b", NOW)
        return push, dict(request.headers), msgspec.json.decode(RECEIVER.decrypt(request.body))

    return compose


def test_a_push_has_what_the_service_worker_reads_and_the_headers_of_the_rfcs(composed) -> None:
    content = Content(
        title="Hello", message="Wörld", link="https://example.com/x", image_url="https://example.com/i.png"
    )
    push, headers, said = composed(replace(content, custom_data={"title": "5"}))
    assert said == {
        "data": {"title": "5"},
        "title": "Hello",
        "body": "Wörld",
        "image": "https://example.com/i.png",
        "link": "https://example.com/x",
        "CIO-Delivery-ID": push.delivery_id,
        "CIO-Delivery-Token": RECEIVER.endpoint,
    }
    assert headers[b":authority"] == b"fcm.googleapis.com"
    assert headers[b":path"].startswith(b"/fcm/send/")
    assert headers[b"content-encoding"] == b"aes128gcm"
    assert (headers[b"ttl"], headers[b"urgency"]) == (b"3600", b"high")
    assert headers[b"authorization"] == b"vapid t=a, k=b"


def test_a_push_replaces_itself_alone_and_those_of_its_collapse_id_each_other(composed) -> None:
    one, two = (composed(Content(title="t"))[1] for _ in range(2))
    assert one[b"topic"] == two[b"topic"]
    assert len(one[b"topic"]) == 32
    other = composed(Content(title="t"), message_id=uuid4())[1]
    assert other[b"topic"] != one[b"topic"]
    score = [composed(Content(title=title, collapse_id="score"))[1][b"topic"] for title in ("1:0", "2:0")]
    assert score[0] == score[1] != one[b"topic"]


def test_urgency_follows_the_priority_and_time_to_live_the_end(composed) -> None:
    _, headers, _ = composed(Content(title="t", priority=Priority.NORMAL))
    assert headers[b"urgency"] == b"normal"
    to = message.Address.of(RECEIVER.endpoint)
    push, _, _ = composed(Content(title="t"))
    for keep_for, ttl in ((timedelta(seconds=-5), b"0"), (timedelta(days=90), b"2419200")):
        request = message.Composer().request(replace(push, keep_until=NOW + keep_for), to, b"", NOW)
        assert dict(request.headers)[b"ttl"] == ttl


def test_a_custom_payload_is_what_the_worker_gets_with_our_keys(composed) -> None:
    custom = {
        "title": "Own",
        "icon": "/i.png",
        "actions": [{"action": "buy", "title": "Buy"}],
        "web_push": 8030,
    }
    push, _, said = composed(Content(title="t", custom_payload={"web": custom}))
    assert said == {**custom, "CIO-Delivery-ID": push.delivery_id, "CIO-Delivery-Token": RECEIVER.endpoint}


@pytest.mark.parametrize(
    ("custom", "field"),
    [
        ({"title": 5}, "title"),
        ({"actions": {}}, "actions"),
        ({"actions": [5]}, "actions[0]"),
        ({"actions": [{"action": "Buy", "title": "Buy"}]}, "actions[0].action"),
        ({"actions": [{"action": "buy", "title": "x" * 33}]}, "actions[0].title"),
        ({"actions": [{"action": "buy", "title": "B", "url": "http://a.example"}]}, "actions[0].url"),
    ],
)
def test_a_custom_payload_that_no_worker_could_show_is_refused(custom, field) -> None:
    with pytest.raises(BadRequest) as refused:
        message.check_form(Content(custom_payload={"web": custom}), Platform.WEB)
    assert refused.value.field == f"custom_payload.web.{field}"


def test_a_payload_is_taken_up_to_3900_bytes_with_its_endpoint() -> None:
    token = Token(RECEIVER.endpoint)
    spare = message.MAX_PAYLOAD_BYTES - message.size_bytes(Content(title="t"), token)
    message.check_size(Content(title="t" + "x" * spare), Platform.WEB, token)
    with pytest.raises(TooLarge, match=r"3901 bytes; .* at most 3900"):
        message.check_size(Content(title="t" + "x" * (spare + 1)), Platform.WEB, token)


@pytest.mark.parametrize("endpoint", ["http://a.example/x", "https:///x", "https://u@a.example/x", "x"])
def test_what_is_no_endpoint_is_none(endpoint: str) -> None:
    with pytest.raises(BadRequest):
        message.Address.of(endpoint)


def test_an_endpoint_keeps_its_query_and_its_port_is_part_of_the_origin() -> None:
    wns = message.Address.of("https://wns2-par02p.notify.windows.com/w/?token=BQY%3d")
    assert (wns.origin, wns.path) == ("https://wns2-par02p.notify.windows.com", "/w/?token=BQY%3d")
    assert message.Address.of("https://[2001:db8::1]:8443/x").origin == "https://[2001:db8::1]:8443"
