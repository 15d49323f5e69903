"""The APNs headers of a custom payload: the same on both ways to an iPhone, or refused by name."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.model import Content, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.providers.apns import message as apns
from pushkeeper.providers.fcm import message as fcm
from pushkeeper.simulator import apns_request, fcm_message
from pushkeeper.simulator.exchange import Request

FIELD = "custom_payload.ios.message.apns.headers"
SHOWN = {"aps": {"alert": "x"}}
SILENT = {"aps": {"content-available": 1}}

# A header's name, a value as people write it, and what Apple is told.
TAKEN: list[tuple[str, object, str]] = [
    ("apns-push-type", "alert", "alert"),
    ("apns-push-type", "background", "background"),
    ("apns-priority", "1", "1"),
    ("apns-priority", "5", "5"),
    ("apns-priority", "10", "10"),
    ("apns-priority", 5, "5"),
    ("apns-priority", 10, "10"),
    ("apns-priority", 5.0, "5"),
    ("apns-collapse-id", "order-7", "order-7"),
    ("apns-collapse-id", "é" * 32, "é" * 32),
    ("apns-collapse-id", 42, "42"),
    ("apns-expiration", "0", "0"),
    ("apns-expiration", 0, "0"),
    ("apns-expiration", "1795000000", "1795000000"),
    ("apns-expiration", 1_795_000_000, "1795000000"),
    ("apns-expiration", 1_795_000_000.0, "1795000000"),
]
REFUSED: list[tuple[str, object]] = [
    *(("apns-push-type", kind) for kind in ("voip", "liveactivity", "location", "", 1, True, ["alert"])),
    *(("apns-priority", priority) for priority in ("high", 7, 5.5, True, "", "05", [5])),
    *(("apns-collapse-id", name) for name in ("", "é" * 33, [1], 1.5)),
    *(("apns-expiration", at) for at in (-1, "-1", "soon", 1.5, 1_795_000_000_000, "", False)),
    *((other, "x") for other in ("apns-topic", "apns-id", "authorization", "thread-id", "x-own")),
]
spelling = st.sampled_from([str.lower, str.upper, str.title])


def custom(headers, payload=None):
    apns_part = {"headers": headers, **({} if payload is None else {"payload": payload})}
    return Content(custom_payload={"ios": {"message": {"apns": apns_part}}})


def told_by_apns(make_push, content):
    request = apns.Composer(authority="a", topic="t").request(make_push("ab" * 32, content), None)
    return {name.decode(): value.decode() for name, value in request.headers}


def told_by_fcm(make_push, content):
    push = make_push("ab" * 32, content, platform=Platform.IOS)
    request = fcm.Composer(authority="a", project_id="p").request(push, b"bearer", push.keep_until)
    return msgspec.json.decode(request.body)["message"]["apns"]["headers"]


def check_both(content):
    for service in (apns, fcm):
        service.check_form(content, Platform.IOS)
        service.check_size(content, Platform.IOS)


@given(taken=st.sampled_from(TAKEN), spelled=spelling)
def test_what_is_taken_is_told_on_both_ways(make_push, taken, spelled):
    name, value, said = taken
    content = custom({spelled(name): value}, SHOWN)
    check_both(content)
    for told in (told_by_apns(make_push, content), told_by_fcm(make_push, content)):
        assert told[name] == said


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_is_not_passed_on_is_refused_by_name_on_both_ways(name, value):
    for check in (apns.check_form, fcm.check_form):
        with pytest.raises(BadRequest) as refused:
            check(custom({name: value}, SHOWN), Platform.IOS)
        assert refused.value.field == f"{FIELD}.{name}"


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
NAMES = st.sampled_from(sorted({name for name, *_ in TAKEN})) | st.text(max_size=10)


@given(headers=st.dictionaries(NAMES, VALUES, max_size=4), payload=st.sampled_from([SHOWN, SILENT]))
def test_both_ways_take_and_tell_the_same_of_any_headers(make_push, headers, payload):
    content = custom(headers, payload)
    fields: list[str | None] = []
    for check in (apns.check_form, fcm.check_form):
        try:
            check(content, Platform.IOS)
            fields.append(None)
        except BadRequest as refused:
            fields.append(refused.field)
    assert fields[0] == fields[1]
    by_apns, by_fcm = told_by_apns(make_push, content), told_by_fcm(make_push, content)
    for name in ("apns-push-type", "apns-priority", "apns-collapse-id", "apns-expiration"):
        assert by_apns[name] == by_fcm[name]
    assert by_apns["apns-push-type"] != "background" or by_apns["apns-priority"] == "5"
    if fields[0] is None:
        taken_by_both(make_push, content)


def taken_by_both(make_push, content):
    """APNs' rules of headers, and FCM's of what shows nothing, as the simulator has them."""
    request = apns.Composer(authority="a", topic="t").request(make_push("ab" * 32, content), None)
    named = [field for field in request.headers if not field[0].startswith(b":")]
    assert apns_request.refused(Request(1, tuple(named), dict(named), request.body)) is None
    for _, value in named:
        assert not any(byte < 32 or byte == 127 for byte in value)
        assert value == value.strip()
    push = make_push("ab" * 32, content, platform=Platform.IOS)
    body = fcm.Composer(authority="a", project_id="p").request(push, b"bearer", push.keep_until).body
    ask = fcm_message.read(body)
    assert isinstance(ask, fcm_message.SendRequest)
    assert not ask.urgent_data


@given(collapse_id=st.text(min_size=1, max_size=70), ttl_s=st.none() | st.integers(0, 2_419_200))
def test_a_collapse_id_that_is_taken_is_one_that_a_header_can_have(make_push, collapse_id, ttl_s):
    content = Content(message="Hello", collapse_id=collapse_id, ttl_s=ttl_s)
    try:
        check_both(content)
        field = ""
    except BadRequest as refused:
        field = refused.field
    if field:
        assert field == "collapse_id"
    else:
        taken_by_both(make_push, content)


@pytest.mark.parametrize("collapse_id", ["a\nb", "a\r\nx-own: y", " x", "x\t", "\x00", "\x7f", "\x85"])
def test_a_collapse_id_that_no_header_can_have_is_refused_by_name(collapse_id):
    for check in (apns.check_form, fcm.check_form):
        for content, field in (
            (Content(message="x", collapse_id=collapse_id), "collapse_id"),
            (custom({"apns-collapse-id": collapse_id}, SHOWN), f"{FIELD}.apns-collapse-id"),
        ):
            with pytest.raises(BadRequest) as refused:
                check(content, Platform.IOS)
            assert refused.value.field == field


def test_a_header_that_is_given_twice_is_refused():
    for check in (apns.check_form, fcm.check_form):
        with pytest.raises(BadRequest) as refused:
            check(custom({"apns-priority": "5", "Apns-Priority": "10"}, SHOWN), Platform.IOS)
        assert refused.value.field == f"{FIELD}.Apns-Priority"


@pytest.mark.parametrize("priority", [10, "10"])
def test_what_shows_nothing_cannot_have_the_highest_priority(priority):
    for headers, payload in (
        ({"apns-priority": priority}, SILENT),
        ({"apns-priority": priority, "apns-push-type": "background"}, SHOWN),
        ({"apns-priority": priority, "apns-push-type": "alert"}, SILENT),
        ({"apns-priority": 1, "apns-push-type": "background"}, SHOWN),
    ):
        for check in (apns.check_form, fcm.check_form):
            with pytest.raises(BadRequest) as refused:
                check(custom(headers, payload), Platform.IOS)
            assert refused.value.field == f"{FIELD}.apns-priority"


@pytest.mark.parametrize("message", [{"data": {"k": "v"}}, {"data": {"k": "v"}, "apns": {"headers": {}}}, {}])
def test_data_alone_wakes_the_app_in_the_background(make_push, message):
    content = Content(custom_payload={"ios": {"message": message}})
    check_both(content)
    for told in (told_by_apns(make_push, content), told_by_fcm(make_push, content)):
        assert (told["apns-push-type"], told["apns-priority"]) == ("background", "5")
    request = apns.Composer(authority="a", topic="t").request(make_push("ab" * 32, content), None)
    assert msgspec.json.decode(request.body)["aps"] == {"content-available": 1}


def test_no_time_to_live_is_an_expiration_of_zero(make_push):
    for content in (Content(message="now or never", ttl_s=0), custom({"apns-expiration": 0}, SHOWN)):
        check_both(content)
        for told in (told_by_apns(make_push, content), told_by_fcm(make_push, content)):
            assert told["apns-expiration"] == "0"


def test_what_liquid_will_make_of_a_header_is_not_judged_beforehand():
    check_both(custom({"apns-collapse-id": "{{ trigger.order }}", "apns-priority": "{{ trigger.p }}"}, SHOWN))


@pytest.mark.parametrize("text", ["x" * 3_600, "漢" * 1_200, "😀" * 900])
def test_a_text_has_the_whole_of_what_a_push_service_takes(make_push, text):
    content = Content(title="T", message=text)
    check_both(content)
    fcm.check_size(content, Platform.ANDROID)
    push = make_push("f" * 160, content, platform=Platform.IOS)
    request = fcm.Composer(authority="a", project_id="p").request(push, b"bearer", push.keep_until)
    message = msgspec.json.decode(request.body)["message"]
    assert message["apns"]["payload"]["aps"]["alert"] == {"title": "T", "body": text}
    assert len(msgspec.json.encode(message["apns"]["payload"])) <= 4096
