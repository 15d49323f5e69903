"""What is measured of a push is what the push service gets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pushkeeper.core.model import Content, IdKind, Platform
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.apns import message as apns
from pushkeeper.providers.fcm import message as fcm
from pushkeeper.simulator import fcm_message

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["😀" * 9, "漢字かな", '"quoted"\\', "line\nbreak\x00", "é"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DATA = st.dictionaries(TEXTS, JSON, max_size=3)
STRINGS = st.dictionaries(TEXTS, TEXTS, max_size=3)
NOTIFICATION = st.fixed_dictionaries({}, optional={"title": TEXTS, "body": TEXTS})
APS = st.fixed_dictionaries(
    {"aps": st.fixed_dictionaries({}, optional={"alert": TEXTS, "badge": st.integers(0, 9)})},
    optional={"key": JSON},
)
FCM_FORM = st.fixed_dictionaries(
    {},
    optional={
        "notification": NOTIFICATION,
        "data": DATA,
        "android": st.fixed_dictionaries({}, optional={"data": STRINGS, "notification": NOTIFICATION}),
        "apns": st.fixed_dictionaries({}, optional={"payload": APS}),
    },
)
V2 = st.fixed_dictionaries(
    {
        "androidV2": st.fixed_dictionaries(
            {"data": STRINGS, "remoteNotification": st.fixed_dictionaries({"notification": NOTIFICATION})}
        )
    }
)
CUSTOM = st.fixed_dictionaries(
    {},
    optional={
        "ios": APS | st.fixed_dictionaries({"message": FCM_FORM}),
        "android": st.fixed_dictionaries({"message": FCM_FORM | V2}),
    },
)
CONTENTS = st.builds(
    Content,
    title=TEXTS,
    message=TEXTS,
    link=st.none() | TEXTS,
    image_url=st.none() | TEXTS,
    custom_data=DATA,
    custom_payload=CUSTOM,
)
TOKENS = st.text("abcdef0123456789:_-", min_size=1, max_size=300)
PLATFORMS = st.sampled_from([Platform.IOS, Platform.ANDROID])


def is_well_formed(service: Any, content: Content, platform: Platform) -> bool:
    try:
        service.check_form(content, platform)
    except BadRequest:
        return False
    return True


@given(content=CONTENTS, token=TOKENS)
def test_what_is_measured_for_apns_is_the_body_that_it_gets(make_push, content, token):
    assume(is_well_formed(apns, content, Platform.IOS))
    push = make_push(token, content)
    body = apns.Composer(authority="a", topic="t").request(push, None).body
    assert apns.size_bytes(content, push.token) == len(body)


@given(content=CONTENTS, token=TOKENS, platform=PLATFORMS, id_kind=st.sampled_from(IdKind))
def test_what_is_measured_for_fcm_is_what_it_counts(make_push, content, token, platform, id_kind):
    assume(is_well_formed(fcm, content, platform))
    push = make_push(token, content, platform=platform, id_kind=id_kind)
    body = fcm.Composer(authority="a", project_id="p").request(push, b"", push.keep_until).body
    message = msgspec.json.decode(body)["message"]
    assert fcm.size_bytes(content, platform, push.token) == fcm_message.size_bytes(message)


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀", '"', "\n"])
@pytest.mark.parametrize(
    ("service", "platform"), [(apns, Platform.IOS), (fcm, Platform.IOS), (fcm, Platform.ANDROID)]
)
def test_the_last_byte_that_fits_is_taken_and_the_next_is_refused_with_how_many_there_are(
    service, platform, letter
):
    def content(letters: int, padding: int) -> Content:
        return Content(title="T", message=letter * letters, custom_data={"pad": "p" * padding})

    def size(letters: int, padding: int) -> Any:
        of = content(letters, padding)
        return service.size_bytes(of) if service is apns else service.size_bytes(of, platform)

    letters = max(n for n in range(4_096) if size(n, 0) <= 4_096)
    padding = 4_096 - size(letters, 0)
    service.check_size(content(letters, padding), platform)
    with pytest.raises(TooLarge) as refused:
        service.check_size(content(letters, padding + 1), platform)
    assert refused.value.field == "message"
    assert "4097 bytes" in refused.value.message
