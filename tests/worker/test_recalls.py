"""Recalls: what a worker hears is gone is taken back, and what was read before it was heard is not believed."""

import time
from types import SimpleNamespace

import pytest

from pushkeeper.core.model import DeviceId
from pushkeeper.worker import cancellations
from pushkeeper.worker.cancellations import Cancellations

PHONE, OTHER = DeviceId(b"p" * 16), DeviceId(b"o" * 16)


class Hands:
    """What a worker holds."""

    def __init__(self):
        self.held = [SimpleNamespace(device_id=PHONE), SimpleNamespace(device_id=OTHER)]
        self.cancellations = Cancellations()
        self.is_stale = self.cancellations.is_stale

    def hear(self, keys):
        gone = self.cancellations.hear_of_devices(keys)
        self.held = [push for push in self.held if gone is not None and push.device_id not in gone]

    def devices(self):
        return [push.device_id for push in self.held]


@pytest.fixture
def hands():
    return Hands()


def test_a_device_that_is_gone_is_taken_back_and_the_others_are_not(hands):
    hands.hear(PHONE.hex())
    assert hands.devices() == [OTHER]
    hands.hear(f"{b'x'.hex() * 16},{OTHER.hex()}")
    assert hands.devices() == []


def test_after_not_having_heard_for_a_while_nothing_is_believed(hands):
    read_at = time.monotonic()
    hands.hear("")
    assert hands.devices() == []
    assert hands.is_stale(PHONE, read_at)
    assert not hands.is_stale(PHONE, time.monotonic())


def test_what_was_read_before_a_device_was_gone_is_stale_and_what_is_read_after_is_not(hands):
    read_at = time.monotonic()
    hands.hear(PHONE.hex())
    assert hands.is_stale(PHONE, read_at)
    assert not hands.is_stale(OTHER, read_at)
    assert not hands.is_stale(PHONE, time.monotonic())


def test_devices_are_remembered_for_as_long_as_a_claim_may_take_and_not_for_ever(hands, monkeypatch):
    monkeypatch.setattr(cancellations, "_MOST_REMEMBERED", 2)
    read_at = time.monotonic()
    for number in range(5):
        hands.hear(bytes([number]).hex() * 16)
    assert all(hands.is_stale(DeviceId(bytes([number]) * 16), read_at) for number in range(5))
    monkeypatch.setattr(cancellations, "_REMEMBERED_S", 0.0)
    hands.hear(PHONE.hex())
    assert not hands.is_stale(DeviceId(bytes(16)), read_at)
