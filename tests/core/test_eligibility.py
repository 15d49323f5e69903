"""Who is left out of a message: each reason by itself, what a message makes of it, and their order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.eligibility import SkipReason, preferences, respects, skip_reason, skip_reasons
from pushkeeper.core.model import Content, Platform


@dataclass(frozen=True)
class Phone:
    """A device with nothing against it."""

    is_theirs: bool = True
    status: LastStatus = LastStatus.SENT
    platform: Platform = Platform.IOS
    unsubscribed: bool = False
    channel_off: bool = False
    no_permission: bool = False
    same_phone: bool = False


@dataclass(frozen=True)
class Sent:
    """A message that respects whatever it can."""

    content: Content | None = Content(title="Hello")  # noqa: RUF009 - it is frozen
    send_to_unsubscribed: bool = False
    skip_without_permission: bool = True
    one_per_phone: bool = True
    platforms: tuple[str, ...] | None = None


FINE = Phone()
FOR_ANDROID = Content(custom_payload={"android": {}})
REGARDLESS = Sent(send_to_unsubscribed=True, skip_without_permission=False, one_per_phone=False)
PREFERENCES = {
    SkipReason.UNSUBSCRIBED: Phone(unsubscribed=True),
    SkipReason.CHANNEL_OFF: Phone(channel_off=True),
    SkipReason.NO_PERMISSION: Phone(no_permission=True),
    SkipReason.SAME_PHONE: Phone(same_phone=True),
}


def found(device: Phone, message: Sent | None) -> list[SkipReason]:
    return list(skip_reasons(device, message))


@pytest.mark.parametrize(
    ("device", "message", "reasons"),
    [
        (FINE, Sent(), []),
        (FINE, None, []),
        (Phone(is_theirs=False), None, [SkipReason.MOVED]),
        (Phone(status=LastStatus.SUPPRESSED), None, [SkipReason.SUPPRESSED]),
        *((Phone(status=status), Sent(), []) for status in (LastStatus.UNUSED, LastStatus.BOUNCED)),
        (FINE, Sent(platforms=("ios", "android")), []),
        (FINE, Sent(platforms=("android",)), [SkipReason.OTHER_PLATFORM]),
        (FINE, Sent(platforms=()), [SkipReason.OTHER_PLATFORM]),
        (FINE, Sent(content=FOR_ANDROID), [SkipReason.NO_CONTENT]),
        (Phone(platform=Platform.ANDROID), Sent(content=FOR_ANDROID), []),
        (FINE, Sent(content=None), []),
        (FINE, Sent(content=FOR_ANDROID, platforms=("android",)), [SkipReason.OTHER_PLATFORM]),
    ],
)
def test_a_device_is_left_out_for_what_is_against_it(device, message, reasons):
    assert found(device, message) == reasons


@pytest.mark.parametrize(("reason", "device"), PREFERENCES.items())
def test_a_preference_counts_where_the_message_respects_it(reason, device):
    assert list(preferences(device)) == [reason]
    assert (found(device, Sent()), respects(Sent(), reason)) == ([reason], True)
    assert (found(device, REGARDLESS), respects(REGARDLESS, reason)) == ([], False)
    assert (found(device, None), respects(None, reason)) == ([], False)


@pytest.mark.parametrize(
    ("message", "respected"),
    [
        (replace(REGARDLESS, send_to_unsubscribed=False), {SkipReason.UNSUBSCRIBED, SkipReason.CHANNEL_OFF}),
        (replace(REGARDLESS, skip_without_permission=True), {SkipReason.NO_PERMISSION}),
        (replace(REGARDLESS, one_per_phone=True), {SkipReason.SAME_PHONE}),
    ],
)
def test_each_choice_of_a_message_is_of_its_own_preferences(message, respected):
    assert {reason for reason in SkipReason if respects(message, reason)} == respected


def test_all_reasons_are_told_the_first_first():
    device = Phone(
        is_theirs=False,
        status=LastStatus.SUPPRESSED,
        unsubscribed=True,
        channel_off=True,
        no_permission=True,
        same_phone=True,
    )
    ahead = [SkipReason.MOVED, SkipReason.SUPPRESSED]
    assert found(device, None) == ahead
    assert found(device, Sent(platforms=())) == [*ahead, *PREFERENCES, SkipReason.OTHER_PLATFORM]
    assert found(device, Sent(content=FOR_ANDROID)) == [*ahead, *PREFERENCES, SkipReason.NO_CONTENT]


@given(st.sampled_from(SkipReason), st.sampled_from(Platform), st.sampled_from([None, FOR_ANDROID]))
def test_what_the_database_knows_goes_before_what_the_content_says(known, platform, content):
    assert skip_reason(known.value, platform, content) is known


def test_content_that_cannot_be_read_leaves_nobody_out():
    assert skip_reason(None, Platform.IOS, None) is None
    assert skip_reason(None, Platform.IOS, FOR_ANDROID) is SkipReason.NO_CONTENT
    assert skip_reason(None, Platform.ANDROID, FOR_ANDROID) is None
