"""One push at a time to a device."""

from dataclasses import dataclass

import pytest

from pushkeeper.worker.device_order import DeviceOrder


@dataclass(frozen=True)
class Note:
    """Of a push, what its turn depends on."""

    device_id: str
    number: int


@pytest.fixture
def turns():
    return DeviceOrder()


def test_a_push_waits_for_the_one_before_it_to_the_same_device(turns):
    first, second, third, other = Note("a", 1), Note("a", 2), Note("a", 3), Note("b", 4)
    assert [turns.take(push) for push in (first, second, third, other)] == [True, False, False, True]
    assert turns.end([first, other]) == [second]
    assert turns.end([second]) == [third]
    assert turns.end([third]) == []
    assert turns.take(first)


def test_what_is_withdrawn_is_nobodys_turn_any_more_and_what_is_under_way_stays(turns):
    first, second, third, other = Note("a", 1), Note("a", 2), Note("a", 3), Note("b", 4)
    for push in (first, second, third, other):
        turns.take(push)
    assert turns.withdraw(lambda push: push.number in {1, 2, 4}) == [second]
    assert turns.end([first]) == [third]


def test_a_device_whose_waiting_pushes_are_all_withdrawn_is_free_after_what_is_under_way(turns):
    for push in (first := Note("a", 1), Note("a", 2)):
        turns.take(push)
    turns.withdraw(lambda _: True)
    assert not turns.take(third := Note("a", 3))
    assert turns.end([first]) == [third]
    assert turns.end([third]) == []
    assert turns.take(first)
