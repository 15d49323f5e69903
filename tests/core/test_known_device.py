"""What a browser holds to be known by: only this installation makes it, and for one user."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.known_browser import LIVES, KnownDevices
from pushkeeper.core.model import Secret
from pushkeeper.core.roles import UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = KnownDevices(Secret(bytes(32)))
USERS = st.integers(1, 2**63 - 1).map(UserId)


@given(user=USERS, other=USERS)
def test_it_is_of_one_user_and_for_a_time(user: UserId, other: UserId) -> None:
    held = DEVICES.make(user, NOW)
    assert DEVICES.read(held, user, NOW) is not None
    assert DEVICES.read(held, user, NOW + LIVES - timedelta(seconds=1)) is not None
    assert DEVICES.read(held, user, NOW + LIVES) is None
    assert (DEVICES.read(held, other, NOW) is not None) == (user == other)
    assert DEVICES.read(held, user, NOW) != DEVICES.read(DEVICES.make(user, NOW), user, NOW)
    assert KnownDevices(Secret(b"1" * 32)).read(held, user, NOW) is None


@given(st.integers(0, 47), st.integers(1, 255))
def test_a_byte_that_is_changed_makes_it_nobodys(place: int, change: int) -> None:
    raw = bytearray(urlsafe_b64decode(DEVICES.make(UserId(7), NOW)))
    raw[place] ^= change
    assert DEVICES.read(urlsafe_b64encode(raw).decode(), UserId(7), NOW) is None


@given(
    st.one_of(st.text(max_size=80), st.binary(max_size=60).map(lambda raw: urlsafe_b64encode(raw).decode()))
)
def test_what_we_did_not_make_is_nobodys(held: str) -> None:
    assert DEVICES.read(held, UserId(7), NOW) is None
