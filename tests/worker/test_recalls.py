"""Cancellations: pushes to deleted devices are withdrawn, and reads from before the notification are not trusted."""

import time
from types import SimpleNamespace

import pytest

from pushkeeper.core.model import DeviceId
from pushkeeper.worker.cancellations import Cancellations

PHONE, OTHER = DeviceId(b"p" * 16), DeviceId(b"o" * 16)


class Hands:
    """What a worker holds."""

    def __init__(self):
        self.held = [SimpleNamespace(device_id=PHONE), SimpleNamespace(device_id=OTHER)]
        self.cancellations = Cancellations()
        self.is_stale = self.cancellations.is_stale

    def on_gone(self, keys):
        gone = self.cancellations.on_devices_gone(keys)
        self.held = [push for push in self.held if gone is not None and push.device_id not in gone]

    def devices(self):
        return [push.device_id for push in self.held]


@pytest.fixture
def hands():
    return Hands()


def test_pushes_to_a_deleted_device_are_withdrawn_and_the_others_are_not(hands):
    hands.on_gone(PHONE.hex())
    assert hands.devices() == [OTHER]
    hands.on_gone(f"{b'x'.hex() * 16},{OTHER.hex()}")
    assert hands.devices() == []


def test_after_not_having_heard_for_a_while_nothing_is_believed(hands):
    read_at = time.monotonic()
    hands.on_gone("")
    assert hands.devices() == []
    assert hands.is_stale(PHONE, read_at)
    assert not hands.is_stale(PHONE, time.monotonic())


def test_what_was_read_before_a_device_was_gone_is_stale_and_what_is_read_after_is_not(hands):
    read_at = time.monotonic()
    hands.on_gone(PHONE.hex())
    assert hands.is_stale(PHONE, read_at)
    assert not hands.is_stale(OTHER, read_at)
    assert not hands.is_stale(PHONE, time.monotonic())


@pytest.mark.parametrize(("remembered_s", "is_stale"), [(60.0, True), (0.0, False)])
def test_devices_are_remembered_for_as_long_as_a_claim_may_take_and_not_for_ever(remembered_s, is_stale):
    cancellations = Cancellations(most=2, remembered_s=remembered_s)
    read_at = time.monotonic()
    devices = [DeviceId(bytes([number]) * 16) for number in range(3)]
    for device in devices[:2]:
        cancellations.on_devices_gone(device.hex())
    assert all(cancellations.is_stale(device, read_at) for device in devices[:2])
    cancellations.on_devices_gone(devices[2].hex())
    assert cancellations.is_stale(devices[0], read_at) is is_stale
