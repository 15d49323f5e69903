"""What APNs is sent, as Customer.io's iOS SDK wants to find it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.model import Content, Platform, Push
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.apns import message
from pushkeeper.providers.shared.json_template import JsonTemplate, Placeholder, Slot

TOKEN = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
EXPIRES_AT = datetime(2026, 11, 23, 13, tzinfo=UTC)


def check(content, platform):
    message.check_form(content, platform)
    message.check_size(content, platform)


def compose(push: Push, authorization: bytes | None = b"bearer jwt"):
    composer = message.Composer(authority="api.push.apple.com", topic="com.example.app")
    request = composer.request(push, authorization)
    return dict(request.headers), msgspec.json.decode(request.body)


def filled(tree: object, push: Push) -> object:
    """The plain composition: every slot replaced by the device's own value."""
    values = {Placeholder.DELIVERY_ID: push.delivery_id, Placeholder.TOKEN: push.token.value}
    match tree:
        case Slot(hole=hole):
            return values[hole]
        case dict():
            return {key: filled(value, push) for key, value in tree.items()}
        case _:
            return tree


def test_a_plain_push_is_what_the_sdk_reads(make_push):
    push = make_push(TOKEN, Content(title="Hello", message="World"), expires_at=EXPIRES_AT)
    headers, body = compose(push)
    identity = str(push.identity).encode()
    assert headers == {
        b":method": b"POST",
        b":scheme": b"https",
        b":authority": b"api.push.apple.com",
        b":path": b"/3/device/" + TOKEN.encode(),
        b"authorization": b"bearer jwt",
        b"apns-topic": b"com.example.app",
        b"apns-push-type": b"alert",
        b"apns-priority": b"10",
        b"apns-id": identity,
        b"apns-collapse-id": identity,
        b"apns-expiration": b"1795438800",
    }
    assert body == {
        "aps": {"mutable-content": 1, "sound": "default", "alert": {"title": "Hello", "body": "World"}},
        "CIO-Delivery-ID": push.delivery_id,
        "CIO-Delivery-Token": TOKEN,
    }


def test_pseudo_headers_come_first(make_push):
    composer = message.Composer(authority="a", topic="t")
    names = [name for name, _ in composer.request(make_push(TOKEN), b"bearer jwt").headers]
    assert [name.startswith(b":") for name in names] == sorted(
        [name.startswith(b":") for name in names], reverse=True
    )


def test_link_image_and_custom_data_go_where_the_sdk_looks_for_them(make_push):
    content = Content(
        title="T",
        message="B",
        link="app://x",
        image_url="https://example.com/a.png",
        custom_data={"order": 7, "nested": {"a": [1]}},
    )
    _, body = compose(make_push(TOKEN, content))
    assert body["CIO"] == {"push": {"link": "app://x", "image": "https://example.com/a.png"}}
    assert body["order"] == 7
    assert body["nested"] == {"a": [1]}


def test_sound_none_leaves_the_sound_out(make_push):
    for sound, expected in (("none", None), ("default", "default"), (None, "default")):
        _, body = compose(make_push(TOKEN, Content(message="B", sound=sound)))
        assert body["aps"].get("sound") == expected
        assert body["aps"]["alert"] == {"body": "B"}


def test_with_a_certificate_there_is_no_authorization(make_push):
    headers, _ = compose(make_push(TOKEN), None)
    assert b"authorization" not in headers


def test_a_strange_token_stays_inside_its_path_and_its_string(make_push):
    push = make_push('a/../b?c=1\r\nx: y"é%b')
    headers, body = compose(push)
    assert headers[b":path"] == b"/3/device/a%2F..%2Fb%3Fc%3D1%0D%0Ax%3A%20y%22%C3%A9%25b"
    assert body["CIO-Delivery-Token"] == push.token.value


def test_a_custom_payload_replaces_all_but_the_delivery_keys(make_push):
    custom = {"aps": {"alert": "only this"}, "own": True}
    content = Content(title="T", message="B", link="app://x", custom_payload={"ios": custom})
    push = make_push(TOKEN, content)
    _, body = compose(push)
    assert body == {
        **custom,
        "CIO-Delivery-ID": push.delivery_id,
        "CIO-Delivery-Token": TOKEN,
    }


def test_a_custom_payload_in_fcms_form_is_unfolded(make_push):
    custom = {
        "message": {
            "notification": {"title": "N", "body": "M"},
            "data": {"k": "v"},
            "apns": {
                "headers": {"apns-priority": "5"},
                "payload": {"aps": {"sound": "chime"}, "CIO": {"push": {"link": "app://y"}}},
            },
        }
    }
    headers, body = compose(make_push(TOKEN, Content(custom_payload={"ios": custom})))
    assert body["aps"] == {"alert": {"title": "N", "body": "M"}, "sound": "chime"}
    assert body["CIO"] == {"push": {"link": "app://y"}}
    assert body["k"] == "v"
    assert body["CIO-Delivery-Token"] == TOKEN
    assert (headers[b"apns-priority"], headers[b"apns-push-type"]) == (b"5", b"alert")


def test_a_payload_that_shows_nothing_goes_as_background_at_priority_five(make_push):
    custom = {"aps": {"content-available": 1}}
    headers, _ = compose(make_push(TOKEN, Content(custom_payload={"ios": custom})))
    assert (headers[b"apns-push-type"], headers[b"apns-priority"]) == (b"background", b"5")


FIELDS = {"nothing refused", "title", "message", "link", "image_url", "custom_data", "custom_payload"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
TEXTS = st.none() | st.text() | st.sampled_from(["\x000\x00", "%b", "%", "\\u00001\\u0000"])
CONTENTS = st.builds(
    Content,
    title=TEXTS,
    message=TEXTS,
    link=TEXTS,
    image_url=TEXTS,
    sound=st.sampled_from([None, "none", "default"]),
    custom_data=OBJECTS,
    custom_payload=st.just({})
    | st.fixed_dictionaries({"ios": OBJECTS | st.fixed_dictionaries({"message": JSON})}),
)


@given(CONTENTS, st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_what_is_spliced_equals_what_is_composed_whole(make_push, content, tokens):
    composer = message.Composer(authority="a", topic="t")
    for person, token in enumerate(tokens):
        push = make_push(token, content, person=person)
        body = composer.request(push, None).body
        assert body == msgspec.json.encode(filled(message.root(content), push))


def test_a_composer_does_not_mix_up_two_messages(make_push):
    composer = message.Composer(authority="a", topic="t")
    contents = [Content(message="one"), Content(message="two")]
    for content in (*contents, *contents):
        body = composer.request(make_push(TOKEN, content), None).body
        assert msgspec.json.decode(body)["aps"]["alert"] == {"body": content.message}


@given(CONTENTS)
def test_checking_any_content_ends_in_a_bad_request_or_nothing(content):
    field = "nothing refused"
    try:
        check(content, Platform.IOS)
    except BadRequest as refused:
        field = refused.field
    assert field.split(".")[0] in FIELDS


def test_a_payload_over_4096_bytes_is_refused_by_its_largest_field():
    check(Content(title="T", message="x" * 3600), Platform.IOS)
    for content, field in (
        (Content(title="T", message="x" * 4000), "message"),
        (Content(title="é" * 2000, message="B"), "title"),
        (Content(message="B", custom_data={"k": "x" * 4000}), "custom_data"),
        (Content(custom_payload={"ios": {"aps": {"alert": "x" * 4000}}}), "custom_payload.ios"),
    ):
        with pytest.raises(TooLarge) as refused:
            check(content, Platform.IOS)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (Content(message="B", custom_data={"aps": {}}), "custom_data.aps"),
        (Content(message="B", custom_data={"CIO-Delivery-ID": "x"}), "custom_data.CIO-Delivery-ID"),
        (Content(custom_payload={"ios": {}}), "custom_payload.ios.aps"),
        (Content(custom_payload={"ios": {"aps": "x"}}), "custom_payload.ios.aps"),
        (Content(custom_payload={"ios": {"message": []}}), "custom_payload.ios.message"),
        (
            Content(custom_payload={"ios": {"message": {"apns": {"payload": 1}}}}),
            "custom_payload.ios.message.apns.payload",
        ),
    ],
)
def test_what_apns_would_refuse_is_refused_by_name(content, field):
    with pytest.raises(BadRequest) as refused:
        check(content, Platform.IOS)
    assert refused.value.field == field
    assert field in refused.value.message


def test_a_hole_cannot_be_forged_by_content():
    form = JsonTemplate({"a": "\x001\x00", "t": Slot(Placeholder.TOKEN), "d": Slot(Placeholder.DELIVERY_ID)})
    assert msgspec.json.decode(form.fill((b'"d"', b'"t"'))) == {"a": "\x001\x00", "t": "t", "d": "d"}
