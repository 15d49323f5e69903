"""Which device is kept of one phone that was registered under several spellings of its token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pushkeeper.core.devices.spellings import Spelled, merge
from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = DeviceId(bytes(16))
ANN, BEN, CAT = (PersonId(number) for number in (1, 2, 3))


def shared_key(person: PersonId) -> DeviceId:
    return DeviceId(bytes([200 + person] * 16))


def device(
    number: int, person: PersonId = ANN, *, registered: int = 0, used: int = 0, shared: bool = False
) -> Spelled:
    """A device of that number, 0 for the one that has the phone's key; so many minutes after noon."""
    return Spelled(
        device_id=DeviceId(bytes([number] * 16)),
        workspace_id=WorkspaceId(1),
        person_id=person,
        token="1e21b0c5" * 8,
        key=KEY,
        shared_key=shared_key(person),
        shared=shared,
        created_at=NOON,
        registered_at=NOON + timedelta(minutes=registered),
        last_used=NOON + timedelta(minutes=used),
    )


@pytest.mark.parametrize(
    "newest_first",
    [
        (device(1, registered=2), device(2, registered=1, used=9), device(3)),
        (device(1, used=2), device(2, used=1), device(3)),
        (device(3), device(2), device(1)),
        (device(1, BEN, registered=2), device(2, ANN, registered=1), device(3, BEN)),
    ],
    ids=["registered last", "used last", "else by number", "whosever it was"],
)
def test_the_newest_registration_owns_a_phone(newest_first):
    for order in (newest_first, newest_first[::-1]):
        [one] = merge(order, shares=False)
        assert (one.kept, one.dropped) == (newest_first[0], newest_first[1:])
        assert (one.key, one.shared) == (KEY, False)
    assert one.own == tuple(each for each in newest_first if each.person_id == newest_first[0].person_id)


@pytest.mark.parametrize(
    ("phone", "alone"),
    [
        ((device(1, ANN, registered=1), device(0, BEN)), BEN),
        ((device(1, ANN, registered=1), device(2, BEN)), ANN),
        ((device(1, ANN, registered=1, shared=True), device(2, BEN)), BEN),
        ((device(1, ANN, registered=1, shared=True), device(2, BEN, shared=True)), None),
        ((device(1, ANN, registered=2), device(0, BEN, registered=1), device(3, CAT)), BEN),
    ],
    ids=["who has the key", "else the newest", "that shares none", "nobody", "the key before the newest"],
)
def test_each_who_shares_a_phone_keeps_one_device_and_one_of_them_the_phones_key(phone, alone):
    merged = merge(phone, shares=True)
    assert [one.kept for one in merged] == list(phone), "the newest first"
    for one in merged:
        person = one.kept.person_id
        assert (one.key, one.shared) == ((KEY, False) if person == alone else (shared_key(person), True))
        assert (one.dropped, one.own) == ((), (one.kept,))


def test_of_each_who_shares_a_phone_the_newest_registration_is_kept():
    old, new, other = device(1, ANN), device(2, ANN, registered=2), device(3, BEN, registered=1)
    merged = merge([old, other, new], shares=True)
    assert [(one.kept, one.dropped, one.own) for one in merged] == [
        (new, (old,), (new, old)),
        (other, (), (other,)),
    ]
