"""What FCM is sent, as Customer.io's SDKs want to find it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.model import Content, IdKind, Platform, Push
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.fcm import message
from pushkeeper.providers.shared.json_template import Placeholder, Slot

TOKEN = "fMEP0vJqS0:APA91bH"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IN_AN_HOUR = NOW + timedelta(hours=1)


def check(content, platform):
    message.check_form(content, platform)
    message.check_size(content, platform)


def compose(push: Push):
    composer = message.Composer(authority="fcm.googleapis.com", project_id="demo")
    request = composer.request(push, b"Bearer ya29", NOW)
    return dict(request.headers), msgspec.json.decode(request.body)


@pytest.fixture
def android(make_push):
    def make(content=None, token=TOKEN, **rest):
        return make_push(token, content, platform=Platform.ANDROID, expires_at=IN_AN_HOUR, **rest)

    return make


def keys_of(push: Push) -> dict[str, str]:
    return {"CIO-Delivery-ID": push.delivery_id, "CIO-Delivery-Token": push.token.value}


def test_a_plain_push_to_android_is_a_notification_with_the_delivery_keys_as_data(android):
    push = android(Content(title="Hello", message="World", custom_data={"order": 7, "s": "t", "on": True}))
    headers, body = compose(push)
    assert headers == {
        b":method": b"POST",
        b":scheme": b"https",
        b":authority": b"fcm.googleapis.com",
        b":path": b"/v1/projects/demo/messages:send",
        b"content-type": b"application/json",
        b"authorization": b"Bearer ya29",
    }
    assert body == {
        "message": {
            "token": TOKEN,
            "notification": {"title": "Hello", "body": "World"},
            "data": {"order": "7", "s": "t", "on": "true", **keys_of(push)},
            "android": {"priority": "HIGH", "ttl": "3600s", "notification": {"tag": str(push.identity)}},
        }
    }


@pytest.mark.parametrize("rich", [{"link": "app://x"}, {"image_url": "https://example.com/a.png"}])
def test_a_push_to_android_with_link_or_image_is_data_alone(android, rich):
    push = android(Content(title="Hello", message="World", **rich))
    _, body = compose(push)
    shown = {"link": rich["link"]} if "link" in rich else {"image": rich["image_url"]}
    assert body == {
        "message": {
            "token": TOKEN,
            "data": {"title": "Hello", "body": "World", **shown, **keys_of(push)},
            "android": {"priority": "HIGH", "ttl": "3600s"},
        }
    }


def test_an_iphone_through_fcm_finds_the_keys_in_payload_and_data(make_push):
    content = Content(
        title="T", message="B", link="app://x", image_url="https://e/a.png", custom_data={"n": 1}
    )
    push = make_push(TOKEN, content, expires_at=IN_AN_HOUR)
    _, body = compose(push)
    assert body == {
        "message": {
            "token": TOKEN,
            "data": {"n": "1", **keys_of(push)},
            "apns": {
                "headers": {
                    "apns-push-type": "alert",
                    "apns-priority": "10",
                    "apns-collapse-id": str(push.identity),
                    "apns-expiration": str(int(IN_AN_HOUR.timestamp())),
                },
                "payload": {
                    "aps": {"mutable-content": 1, "sound": "default", "alert": {"title": "T", "body": "B"}},
                    "CIO": {
                        "push": {"title": "T", "body": "B", "link": "app://x", "image": "https://e/a.png"}
                    },
                    **keys_of(push),
                },
            },
        }
    }


def test_an_installation_id_is_its_own_target(android):
    _, body = compose(android(id_kind=IdKind.FID))
    assert body["message"]["fid"] == TOKEN
    assert "token" not in body["message"]


def test_a_dry_run_validates_only(android):
    assert compose(android(dry_run=True))[1]["validate_only"] is True
    assert "validate_only" not in compose(android())[1]


def test_the_time_to_live_is_what_is_left_between_nothing_and_four_weeks(make_push):
    for left, ttl in ((timedelta(seconds=90.9), "90s"), (timedelta(-1), "0s"), (timedelta(365), "2419200s")):
        push = make_push(TOKEN, platform=Platform.ANDROID, expires_at=NOW + left)
        assert compose(push)[1]["message"]["android"]["ttl"] == ttl


def test_a_custom_payload_for_android_replaces_all_but_target_and_delivery_keys(android):
    custom = {
        "message": {
            "token": "somebody else's",
            "notification": {"title": "N"},
            "data": {"k": 1},
            "android": {"ttl": "5s", "notification": {"icon": "i"}},
        }
    }
    push = android(Content(title="T", custom_payload={"android": custom}))
    _, body = compose(push)
    assert body == {
        "message": {
            "token": TOKEN,
            "notification": {"title": "N"},
            "data": {"k": "1", **keys_of(push)},
            "android": {
                "priority": "HIGH",
                "ttl": "5s",
                "notification": {"tag": str(push.identity), "icon": "i"},
            },
        }
    }


def test_a_custom_payload_of_data_alone_gets_no_notification(android):
    _, body = compose(android(Content(custom_payload={"android": {"message": {"data": {"title": "T"}}}})))
    assert "notification" not in body["message"]
    assert "notification" not in body["message"]["android"]


def test_a_custom_payload_with_the_second_android_block_is_not_given_the_first(android):
    custom: dict[str, Any] = {"message": {"androidV2": {"backgroundSync": {}}}}
    _, body = compose(android(Content(custom_payload={"android": custom})))
    assert "android" not in body["message"]


@pytest.mark.parametrize(
    "custom",
    [{"aps": {"alert": "A"}}, {"message": {"apns": {"payload": {"aps": {"alert": "A"}}}}}],
    ids=["APNs' form", "FCM's form"],
)
def test_a_custom_payload_for_an_iphone_may_be_of_either_form(make_push, custom):
    push = make_push(TOKEN, Content(custom_payload={"ios": custom}))
    _, body = compose(push)
    assert body["message"]["apns"]["payload"] == {"aps": {"alert": "A"}, **keys_of(push)}
    assert body["message"]["data"] == keys_of(push)


def filled(tree: object, push: Push) -> object:
    """The plain composition: every slot replaced by the device's own value."""
    values = {
        Placeholder.DELIVERY_ID: push.delivery_id,
        Placeholder.TOKEN: push.token.value,
        Placeholder.IDENTITY: str(push.identity),
        Placeholder.TTL: f"{int((push.expires_at - NOW).total_seconds())}s",
        Placeholder.EXPIRES_AT: str(int(push.expires_at.timestamp())),
    }
    match tree:
        case Slot(hole=hole):
            return values[hole]
        case dict():
            return {key: filled(value, push) for key, value in tree.items()}
        case _:
            return tree


FIELDS = {"nothing refused", "title", "message", "link", "image_url", "custom_data", "custom_payload"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.dictionaries(
    st.sampled_from(["notification", "data", "android", "apns", "androidV2", "token"]), JSON
)
CUSTOM = BLOCKS | st.fixed_dictionaries({"message": BLOCKS | JSON}) | st.fixed_dictionaries({"aps": JSON})
TEXTS = st.none() | st.text() | st.sampled_from(["\x000\x00", "%b", "%", "\\u00001\\u0000"])
CONTENTS = st.builds(
    Content,
    title=TEXTS,
    message=TEXTS,
    link=TEXTS,
    image_url=TEXTS,
    custom_data=st.dictionaries(st.text(), JSON, max_size=4),
    custom_payload=st.dictionaries(st.sampled_from(["ios", "android"]), CUSTOM, max_size=2),
)
PLATFORMS = st.sampled_from([Platform.IOS, Platform.ANDROID])


@given(
    CONTENTS,
    PLATFORMS,
    st.sampled_from(IdKind),
    st.booleans(),
    st.lists(st.text(min_size=1), min_size=1, max_size=3),
)
def test_what_is_spliced_equals_what_is_composed_whole(
    make_push, content, platform, id_kind, dry_run, tokens
):
    composer = message.Composer(authority="a", project_id="p")
    for person, token in enumerate(tokens):
        push = make_push(
            token,
            content,
            platform=platform,
            id_kind=id_kind,
            dry_run=dry_run,
            person=person,
            expires_at=IN_AN_HOUR,
        )
        plain = message.body(content, platform, id_kind, dry_run=dry_run)
        assert composer.request(push, b"", NOW).body == msgspec.json.encode(filled(plain, push))


@given(CONTENTS, PLATFORMS)
def test_every_message_has_one_target_both_keys_and_no_collapse_key_of_ours(make_push, content, platform):
    push = make_push(TOKEN, content, platform=platform, expires_at=IN_AN_HOUR)
    _, body = compose(push)
    sent = body["message"]
    assert {"token", "fid", "topic", "condition"} & sent.keys() == {"token"}
    assert sent["token"] == TOKEN
    assert keys_of(push).items() <= sent["data"].items()
    assert all(isinstance(value, str) for value in sent["data"].values())
    if not content.custom_payload:
        assert b"collapse_key" not in msgspec.json.encode({**sent, "data": {}, "notification": {}})


@given(CONTENTS, PLATFORMS)
def test_checking_any_content_ends_in_a_bad_request_or_nothing(content, platform):
    field = "nothing refused"
    try:
        check(content, platform)
    except BadRequest as refused:
        field = refused.field
    assert field.split(".")[0] in FIELDS


def test_a_message_over_4096_bytes_of_keys_and_values_is_refused_by_its_largest_field():
    check(Content(title="T", message="x" * 3700), Platform.ANDROID)
    for content, platform, field in (
        (Content(title="T", message="x" * 4000), Platform.ANDROID, "message"),
        (Content(title="T", message="x" * 4000), Platform.IOS, "message"),
        (Content(message="B", custom_data={"k": ["x" * 4000]}), Platform.ANDROID, "custom_data"),
        (
            Content(custom_payload={"android": {"message": {"data": {"k": "x" * 4000}}}}),
            Platform.ANDROID,
            "custom_payload.android",
        ),
    ):
        with pytest.raises(TooLarge) as refused:
            check(content, platform)
        assert refused.value.field == field


@pytest.mark.parametrize(
    "key", ["from", "message_type", "gcm", "google.x", "gcm.notification.title", "CIO-Delivery-ID"]
)
def test_reserved_keys_are_refused_by_name(key):
    custom = {"android": {"message": {"data": {key: "x"}}}}
    for content, field in (
        (Content(message="B", custom_data={key: "x"}), f"custom_data.{key}"),
        (Content(custom_payload=custom), f"custom_payload.android.message.data.{key}"),
    ):
        with pytest.raises(BadRequest) as refused:
            check(content, Platform.ANDROID)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("platform", "custom", "field"),
    [
        ("android", {"message": 3}, "custom_payload.android.message"),
        ("android", {"message": {"colour": 1}}, "custom_payload.android.message.colour"),
        ("android", {"data": []}, "custom_payload.android.data"),
        ("android", {"android": {"notification": 1}}, "custom_payload.android.android.notification"),
        ("ios", {"alert": "x"}, "custom_payload.ios.aps"),
        ("android", {"android": {"priority": "urgent"}}, "custom_payload.android.android.priority"),
        ("android", {"android": {"priority": 10}}, "custom_payload.android.android.priority"),
        ("android", {"android": {"ttl": 3600}}, "custom_payload.android.android.ttl"),
        ("android", {"androidV2": {"ttl": "3600"}}, "custom_payload.android.androidV2.ttl"),
        ("ios", {"message": {"apns": {"headers": []}}}, "custom_payload.ios.message.apns.headers"),
        ("ios", {"message": {"apns": {"payload": {"a": 1}}}}, "custom_payload.ios.message.apns.payload.aps"),
        (
            "ios",
            {"message": {"data": {"a": "b"}, "apns": {"headers": {"apns-priority": "10"}}}},
            "custom_payload.ios.message.apns.headers.apns-priority",
        ),
    ],
)
def test_a_custom_payload_of_no_known_form_is_refused_by_name(platform, custom, field):
    with pytest.raises(BadRequest) as refused:
        check(Content(custom_payload={platform: custom}), Platform(platform))
    assert refused.value.field == field


@pytest.mark.parametrize("priority", ["high", "normal", "HIGH", "{{ customer.priority }}"])
def test_a_priority_of_a_custom_payload_is_taken_in_either_case_as_by_google(priority):
    custom = {"android": {"message": {"android": {"priority": priority, "ttl": "3.5s"}}}}
    check(Content(custom_payload=custom), Platform.ANDROID)


SILENT: list[dict[str, Any]] = [
    {"message": {"data": {"a": "b"}}},
    {"message": {"data": {"a": "b"}, "apns": {"payload": {"aps": {"content-available": 1}}}}},
    {"aps": {"content-available": 1}},
]


@pytest.mark.parametrize("custom", SILENT)
def test_what_shows_nothing_on_an_iphone_goes_as_background_at_priority_five(make_push, custom):
    _, body = compose(make_push(TOKEN, Content(custom_payload={"ios": custom})))
    headers = body["message"]["apns"]["headers"]
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("background", "5")


def test_a_notification_beside_data_goes_as_alert_at_priority_ten(make_push):
    custom = {"message": {"data": {"a": "b"}, "notification": {"title": "T"}}}
    _, body = compose(make_push(TOKEN, Content(custom_payload={"ios": custom})))
    headers = body["message"]["apns"]["headers"]
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("alert", "10")


@pytest.mark.parametrize("block", ["android", "android_v2", "androidV2"])
def test_an_android_blocks_own_data_has_the_delivery_keys_too(android, block):
    custom = {"message": {"data": {"k": "v"}, block: {"data": {"own": "x"}}}}
    push = android(Content(custom_payload={"android": custom}))
    sent = compose(push)[1]["message"]
    assert sent[block]["data"] == {"own": "x", **keys_of(push)}
    assert sent["data"] == {"k": "v", **keys_of(push)}
