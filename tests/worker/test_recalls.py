"""Recalls: what a worker hears is gone is taken back, and what was read before it was heard is not believed."""

import time
from types import SimpleNamespace

import pytest

from pushkeeper.core.model import DeviceId
from pushkeeper.worker import cancellations
from pushkeeper.worker.cancellations import Recalls

PHONE, OTHER = DeviceId(b"p" * 16), DeviceId(b"o" * 16)


class Hands:
    """What a worker holds."""

    def __init__(self, database):
        self.held = [SimpleNamespace(device_id=PHONE), SimpleNamespace(device_id=OTHER)]
        self.recalls = Recalls(database, set, self.take_back)

    def take_back(self, unwanted):
        self.held = [push for push in self.held if not unwanted(push)]

    def devices(self):
        return [push.device_id for push in self.held]


@pytest.fixture
def hands(database):
    return Hands(database)


def test_a_device_that_is_gone_is_taken_back_and_the_others_are_not(hands):
    hands.recalls.hear_of_devices(PHONE.hex())
    assert hands.devices() == [OTHER]
    hands.recalls.hear_of_devices(f"{b'x'.hex() * 16},{OTHER.hex()}")
    assert hands.devices() == []


def test_after_not_having_heard_for_a_while_nothing_is_believed(hands):
    read_at = time.monotonic()
    hands.recalls.hear_of_devices("")
    assert hands.devices() == []
    assert hands.recalls.is_stale(PHONE, read_at)
    assert not hands.recalls.is_stale(PHONE, time.monotonic())


def test_what_was_read_before_a_device_was_gone_is_stale_and_what_is_read_after_is_not(hands):
    read_at = time.monotonic()
    hands.recalls.hear_of_devices(PHONE.hex())
    assert hands.recalls.is_stale(PHONE, read_at)
    assert not hands.recalls.is_stale(OTHER, read_at)
    assert not hands.recalls.is_stale(PHONE, time.monotonic())


def test_devices_are_remembered_for_as_long_as_a_claim_may_take_and_not_for_ever(hands, monkeypatch):
    monkeypatch.setattr(cancellations, "_MOST_REMEMBERED", 2)
    read_at = time.monotonic()
    for number in range(5):
        hands.recalls.hear_of_devices(bytes([number]).hex() * 16)
    assert all(hands.recalls.is_stale(DeviceId(bytes([number]) * 16), read_at) for number in range(5))
    monkeypatch.setattr(cancellations, "_REMEMBERED_S", 0.0)
    hands.recalls.hear_of_devices(PHONE.hex())
    assert not hands.recalls.is_stale(DeviceId(bytes(16)), read_at)
