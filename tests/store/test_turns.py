"""Turns: in order for each key, nothing lost, owners alike, and few steps for each call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.store.db.turns import Keys, Turns, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOME = st.lists(st.sampled_from("xyz"), max_size=2, unique=True).map(tuple)


@st.composite
def some_keys(draw: st.DrawFn) -> Keys:
    """Keys of an owner, none of which another has."""
    owner = draw(st.sampled_from("ab"))
    alone, shared, within = (tuple(f"{owner}{key}" for key in draw(SOME)) for _ in range(3))
    return Keys(alone=alone, shared=shared, within=within, owner=owner, serial=draw(st.booleans()))


def may_be_together(first: Keys, second: Keys, *, in_one_group: bool) -> bool:
    """Whether two calls may be under way at once, the first before the second: the rule in other words."""
    if in_one_group and first.serial and second.serial:
        return True
    one, two = _modes(first), _modes(second)
    return all(
        one[key] == two[key] == "within" or (in_one_group and one[key] == two[key] == "shared")
        for key in one.keys() & two.keys()
    )


def _modes(keys: Keys) -> dict[object, str]:
    return {
        **dict.fromkeys(keys.within, "within"),
        **dict.fromkeys(keys.shared, "shared"),
        **dict.fromkeys(keys.alone, "alone"),
    }


@dataclass
class Group:
    calls: list[Waiting[int]]
    left: list[Waiting[int]]


class Course:
    """Calls of a history, added, taken and finished in any order that is allowed; each group is looked at as it is taken."""

    def __init__(self, history: Sequence[Keys]) -> None:
        self.history = history
        self.turns: Turns[int] = Turns(most=4, most_serial=3, most_groups_of_one=2)
        self.to_come = list(enumerate(history))
        self.under_way: list[Group] = []
        self.written: list[int] = []

    def steps(self) -> list[Callable[[], None]]:
        """What can be done next; nothing when all is written."""
        steps = [self._add] if self.to_come else []
        steps += [partial(self._finish, running) for running in self.under_way]
        if steps or self.turns.ready or self.turns.serial_ready:
            steps += [partial(self._take, self.turns.next_group, 4)]
            steps += [partial(self._take, self.turns.next_serial_group, 3)]
        return steps

    def _add(self) -> None:
        number, keys = self.to_come.pop(0)
        self.turns.add(Waiting(number, keys))

    def _finish(self, running: Group) -> None:
        one = running.left.pop(0)
        self.written.append(one.item)
        self.turns.finished(one)
        if not running.left:
            self.under_way.remove(running)
            self.turns.ended(running.calls)

    def _take(self, next_group: Callable[[], list[Waiting[int]]], most: int) -> None:
        group = next_group()
        assert len(group) <= most
        assert len({one.serial for one in group}) <= 1
        elsewhere = [one for running in self.under_way for one in running.left]
        for place, one in enumerate(group):
            keys = self.history[one.item]
            assert all(
                may_be_together(self.history[other.item], keys, in_one_group=True) for other in group[:place]
            )
            assert all(
                may_be_together(self.history[other.item], keys, in_one_group=False) for other in elsewhere
            )
        if group:
            self.under_way.append(Group(group, list(group)))


@given(st.lists(some_keys(), max_size=30), st.data())
def test_each_call_is_in_one_group_and_what_shares_a_key_is_in_its_order(
    history: Sequence[Keys], data: st.DataObject
) -> None:
    course = Course(history)
    while steps := course.steps():
        data.draw(st.sampled_from(steps))()
    assert sorted(course.written) == list(range(len(history)))
    place = {number: at for at, number in enumerate(course.written)}
    for second, keys in enumerate(history):
        for first in range(second):
            if not may_be_together(history[first], keys, in_one_group=False):
                assert place[first] < place[second]
    assert course.turns.unfinished("a") == course.turns.unfinished("b") == 0


class Counted(str):
    """A key that counts how often anything is looked up by it."""

    looked_up = 0
    __slots__ = ()

    def __hash__(self) -> int:
        Counted.looked_up += 1
        return super().__hash__()

    __eq__ = str.__eq__


ADVERSE: dict[str, Callable[[int], Keys]] = {
    "one key alone": lambda _: Keys(alone=(Counted("k"),), owner=1),
    "one key, serial": lambda _: Keys(alone=(Counted("k"),), owner=1, serial=True),
    "one key shared": lambda _: Keys(shared=(Counted("k"),), owner=1),
    "one key, alone and shared by turns": lambda n: (
        Keys(alone=(Counted("k"),), owner=1) if n % 2 else Keys(shared=(Counted("k"),), owner=1)
    ),
    "all different": lambda n: Keys(alone=(Counted(f"k{n}"),), within=(Counted("w"),), owner=1),
    "an owner for each": lambda n: Keys(alone=(Counted(f"k{n}"),), owner=Counted(f"o{n}")),
    "chains": lambda n: Keys(alone=(Counted(f"k{n}"), Counted(f"k{n + 1}")), owner=1),
    "two shared, one in common": lambda n: Keys(shared=(Counted(f"k{n % 2}"), Counted("k")), owner=1),
}


def steps_of(shape: Callable[[int], Keys], count: int) -> int:
    """How many look-ups it takes to write so many calls, all of which wait at once."""
    turns: Turns[int] = Turns(most=500, most_serial=20, most_groups_of_one=3)
    Counted.looked_up = 0
    for number in range(count):
        turns.add(Waiting(number, shape(number)))
    seen = 0
    while group := turns.next_group() or turns.next_serial_group():
        seen += len(group)
        for one in group:
            turns.finished(one)
        turns.ended(group)
    assert seen == count
    return Counted.looked_up


@pytest.mark.parametrize("shape", ADVERSE.values(), ids=ADVERSE)
def test_twice_as_many_calls_take_twice_as_many_steps(shape: Callable[[int], Keys]) -> None:
    counts = [steps_of(shape, count) for count in (1_000, 2_000, 4_000)]
    assert all(twice <= 2.1 * once for once, twice in pairwise(counts))
    assert counts[-1] <= 4_000 * 40


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_each_owner_has_their_share_of_a_group_and_what_one_leaves_is_for_the_rest(
    waiting: list[int],
) -> None:
    turns: Turns[int] = Turns(most=40, most_serial=1, most_groups_of_one=3)
    for owner, count in enumerate(waiting):
        for number in range(count):
            turns.add(Waiting(number, Keys(alone=(f"{owner}-{number}",), owner=owner)))
    group = turns.next_group()
    assert len(group) == min(40, sum(waiting))
    shares = Counter(one.owner for one in group)
    share = 40 // len(waiting)
    assert all(shares[owner] >= min(count, share) for owner, count in enumerate(waiting))
