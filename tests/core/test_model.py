"""The nouns: what they hide, and the names that are made from them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pushkeeper.core.model import (
    Content,
    DeviceId,
    IdKind,
    PersonId,
    Platform,
    Secret,
    Token,
    TokenShape,
    WorkspaceId,
    device_id,
    id_kind_of,
    message_day,
    minted_at,
    push_identity,
    token_shape,
    uuid7,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
times_ms = st.integers(0, 4_102_444_800_000)  # to the year 2100
message_ids = st.builds(uuid7, times_ms, st.binary(min_size=10, max_size=10))
people = st.integers(1, (1 << 63) - 1).map(PersonId)
device_ids = st.binary(min_size=16, max_size=16).map(DeviceId)


@given(texts)
@example("a" * 23)
@example("a" * 24)
def test_a_token_is_never_shown_whole(value: str) -> None:
    assume(value not in repr([Token("")]))
    token = Token(value)
    for shown in (token.masked, str(token), repr(token), f"{token}", f"{token!r}", repr([token])):
        assert value not in shown
    assert len(token.masked.replace("…", "")) <= len(value) / 2


@given(texts.filter(lambda text: len(text) >= 24))
def test_a_mask_shows_both_ends_of_a_long_token(value: str) -> None:
    assert Token(value).masked == f"{value[:6]}…{value[-6:]}"


@given(st.binary(min_size=1))
def test_a_secret_shows_nothing(value: bytes) -> None:
    assert {str(Secret(value)), repr(Secret(value)), f"{Secret(value)}"} == {"Secret(…)"}


@given(times_ms, st.binary(min_size=10, max_size=10))
def test_a_uuid7_is_one_and_says_when_it_was_made(unix_ms: int, noise: bytes) -> None:
    made = uuid7(unix_ms, noise)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert minted_at(made) == EPOCH + timedelta(milliseconds=unix_ms)
    assert message_day(made) == minted_at(made).date()


@given(times_ms, st.binary(min_size=10, max_size=12))
def test_a_uuid7_holds_its_time_and_every_random_bit_that_there_is_room_for(
    unix_ms: int, noise: bytes
) -> None:
    free = ~(0xF << 76 | 0x3 << 62)
    whole = unix_ms << 80 | int.from_bytes(noise[:10], "big")
    assert uuid7(unix_ms, noise).int & free == whole & free


@given(
    st.tuples(times_ms, st.binary(min_size=10, max_size=10)),
    st.tuples(times_ms, st.binary(min_size=10, max_size=10)),
)
def test_uuid7s_are_in_the_order_of_their_time(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    (earlier_ms, first), (later_ms, second) = sorted([one, other])
    if earlier_ms < later_ms:
        assert uuid7(earlier_ms, first) < uuid7(later_ms, second)
        assert uuid7(earlier_ms, first).bytes < uuid7(later_ms, second).bytes


def test_a_device_id_is_half_of_sha256_over_workspace_and_token() -> None:
    # printf '\0\0\0\0\0\0\0\1token' | sha256sum
    assert device_id(WorkspaceId(1), Token("token")).hex() == "bb5edff412fd7247bffed17d2c5e2eb1"


@given(texts, texts, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_two_devices_have_one_id_only_if_workspace_and_token_are_the_same(
    one: str, other: str, here: int, there: int
) -> None:
    first, second = device_id(WorkspaceId(here), Token(one)), device_id(WorkspaceId(there), Token(other))
    assert len(first) == 16
    assert (first == second) == ((here, one) == (there, other))


@given(message_ids, device_ids, message_ids, device_ids)
def test_a_push_has_one_name_at_every_attempt_and_no_other_push_has_it(
    message: UUID, device: DeviceId, other_message: UUID, other_device: DeviceId
) -> None:
    name = push_identity(message, device)
    assert name == push_identity(UUID(str(message)), DeviceId(bytes(device)))
    assert UUID(name).version == 8
    assert UUID(name).variant == RFC_4122
    assert str(UUID(name)) == name
    assert (name == push_identity(other_message, other_device)) == (
        (message, device) == (other_message, other_device)
    )


@given(message_ids, device_ids)
def test_a_name_stays_what_former_releases_called_the_push(message: UUID, device: DeviceId) -> None:
    digest = bytearray(hashlib.sha256(message.bytes + device).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    assert push_identity(message, device) == str(UUID(bytes=bytes(digest)))


IOS, ANDROID = {Platform.IOS}, {Platform.ANDROID}


@pytest.mark.parametrize(
    ("content", "addressed"),
    [
        (Content(), set()),
        (Content(title="a title"), IOS | ANDROID),
        (Content(message="a text"), IOS | ANDROID),
        (Content(link="https://example.com", sound="default"), set()),
        (Content(custom_payload={"ios": {"aps": {}}}), IOS),
        (Content(custom_payload={"android": {"data": {}}}), ANDROID),
    ],
)
def test_a_content_says_something_to_a_platform_with_text_or_a_payload_of_its_own(
    content: Content, addressed: set[Platform]
) -> None:
    assert {platform for platform in IOS | ANDROID if content.has_content_for(platform)} == addressed


APNS_TOKEN, FCM_TOKEN, FID = (
    "1e21b0c5" * 8,
    "cEu4nQyTRk2hYh9yV5jE-x:APA91bHun4MxP5e",
    "fX0NpQ-9T6q_bDEFabcdef",
)


@pytest.mark.parametrize(
    ("token", "kind", "shape"),
    [
        (APNS_TOKEN, IdKind.TOKEN, TokenShape.APNS),
        (APNS_TOKEN.upper(), IdKind.TOKEN, TokenShape.APNS),
        (FCM_TOKEN, IdKind.TOKEN, TokenShape.FCM),
        (FID, IdKind.FID, TokenShape.FCM),
        (FID[:21], IdKind.TOKEN, TokenShape.ANY),
        (FID + "a", IdKind.TOKEN, TokenShape.ANY),
        (FID + ":", IdKind.TOKEN, TokenShape.FCM),
        (APNS_TOKEN + "g", IdKind.TOKEN, TokenShape.ANY),
        ("phone-7", IdKind.TOKEN, TokenShape.ANY),
        ("", IdKind.TOKEN, TokenShape.ANY),
    ],
)
def test_the_shape_of_an_iphones_token_says_who_issued_it(
    token: str, kind: IdKind, shape: TokenShape
) -> None:
    assert id_kind_of(Token(token)) is kind
    assert token_shape(Platform.IOS, Token(token)) is shape
    assert token_shape(Platform.ANDROID, Token(token)) is TokenShape.ANY
    assert token_shape(Platform.WEB, Token(token)) is TokenShape.OTHER


def test_a_content_says_on_a_platform_what_it_says_there_and_else_what_it_says_anywhere() -> None:
    plain = Content(title="a title", sound="default")
    assert plain.on(Platform.IOS) == plain
    content = Content(title="a title", sound="default", platforms={"ios": {"title": "another"}})
    assert content.on(Platform.IOS) == Content(title="another", sound="default")
    assert content.on(Platform.ANDROID) == plain
    assert Content(platforms={"ios": {"message": "a text"}}).has_content_for(Platform.IOS)
    assert not Content(platforms={"ios": {"message": "a text"}}).has_content_for(Platform.ANDROID)


def test_no_content_is_described_by_nothing() -> None:
    content = Content()
    assert (content.custom_data, content.custom_payload, content.platforms) == ({}, {}, {})
