"""Group commit: what callers of one thing may rely on while many things are written together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.errors import BadRequest, TooManyRequests, Unreachable
from pushkeeper.store.db.group_commit import Combiner
from pushkeeper.store.db.turns import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Call:
    number: int
    keys: frozenset[str] = frozenset()
    bad: bool = False
    serial: bool = False


@dataclass
class Recorder:
    """A store that writes a group or, when one call of it is bad, nothing; each commit takes a few turns of the loop."""

    turns: Sequence[int] = (1,)
    written: list[Call] = field(default_factory=list)
    groups: list[list[Call]] = field(default_factory=list)
    under_way: list[Call] = field(default_factory=list)
    most_at_once: int = 0
    clashes: list[tuple[Call, Call]] = field(default_factory=list)
    _at_once: int = 0

    async def commit(self, calls: Sequence[Call]) -> list[str]:
        turns = self.turns[len(self.groups) % len(self.turns)]
        self.groups.append(list(calls))
        for n, call in enumerate(calls):
            others = [*self.under_way, *calls[:n]]
            self.clashes.extend((other, call) for other in others if other.keys & call.keys)
        self.under_way.extend(calls)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        for _ in range(turns):
            await asyncio.sleep(0)
        self._at_once -= 1
        for call in calls:
            self.under_way.remove(call)
        if bad := [call.number for call in calls if call.bad]:
            raise BadRequest("call", f"{bad} cannot be written")
        self.written.extend(calls)
        return [f"written {call.number}" for call in calls]


def keys(call: Call) -> Keys:
    return Keys(alone=tuple(call.keys))


some_keys = st.frozensets(st.sampled_from("abcd"), max_size=3)
# Each call with the turns of the loop that pass before it is made.
histories = st.lists(
    st.tuples(st.integers(0, 3), some_keys, st.sampled_from([False, False, True])), max_size=25
)
paces = st.lists(st.integers(0, 5), min_size=1, max_size=5)


@given(histories, paces, st.integers(1, 6), st.integers(1, 3))
async def test_every_call_is_written_once_in_order_for_its_keys_and_answered_for_itself(
    history: list[tuple[int, frozenset[str], bool]], pace: list[int], most: int, lanes: int
) -> None:
    recorder = Recorder(turns=pace)
    combine = Combiner(recorder.commit, keys, most=most, lanes=lanes, name="test")
    calls = [Call(number, wanted, bad) for number, (_, wanted, bad) in enumerate(history)]
    waiting = []
    for (turns, _, _), call in zip(history, calls, strict=True):
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.append(asyncio.create_task(combine(call)))
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    good = [call for call in calls if not call.bad]
    assert sorted(recorder.written, key=lambda call: call.number) == good
    for key in "abcd":
        assert [call for call in recorder.written if key in call.keys] == [
            call for call in good if key in call.keys
        ]
    for call, answer in zip(calls, answers, strict=True):
        if call.bad:
            assert isinstance(answer, BadRequest)
            assert answer.message == f"call: [{call.number}] cannot be written"
        else:
            assert answer == f"written {call.number}"
    assert recorder.clashes == []
    assert all(len(group) <= most for group in recorder.groups)
    assert recorder.most_at_once <= lanes


@given(histories, paces)
async def test_drained_means_that_every_caller_has_an_answer(
    history: list[tuple[int, frozenset[str], bool]], pace: list[int]
) -> None:
    recorder = Recorder(turns=pace)
    combine = Combiner(recorder.commit, keys, most=3, name="test")
    waiting = [
        asyncio.create_task(combine(Call(number, wanted, bad)))
        for number, (_, wanted, bad) in enumerate(history)
    ]
    await asyncio.sleep(0)  # the calls are made
    await combine.drain()
    assert not recorder.under_way
    assert len(recorder.written) == sum(not bad for _, _, bad in history)
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_drained_combiner_that_was_never_called_is_drained() -> None:
    recorder = Recorder()
    await Combiner(recorder.commit, keys, name="test").drain()
    assert recorder.groups == []


async def test_what_is_called_while_a_commit_is_under_way_is_written_together_by_the_next() -> None:
    recorder = Recorder(turns=[3])
    combine = Combiner(recorder.commit, keys, lanes=1, name="test")
    await asyncio.gather(*(combine(Call(number)) for number in range(10)))
    assert [len(group) for group in recorder.groups] == [1, 9]


def owned(call: Call) -> Keys:
    """The owner of a call is the letter that its keys begin with; what they have in common is their owner's alone."""
    owner = min(call.keys)[0]
    return Keys(alone=tuple(call.keys), owner=owner, serial=call.serial)


@dataclass
class Gated:
    """A store whose commits wait until they are let go."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[int]] = field(default_factory=list)

    async def commit(self, calls: Sequence[Call]) -> list[int]:
        self.groups.append([call.number for call in calls])
        await self.gate.wait()
        return [call.number for call in calls]


def mine(owner: str, count: int) -> list[Call]:
    return [Call(number, frozenset({f"{owner}{number}"})) for number in range(count)]


async def turns_of_the_loop() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_when_many_wait_a_second_commit_starts_beside_the_first_and_takes_them_all() -> None:
    store = Gated()
    combine = Combiner(store.commit, keys, lanes=3, name="test")
    calls = [asyncio.create_task(combine(Call(number))) for number in range(60)]
    await turns_of_the_loop()
    assert [len(group) for group in store.groups] == [1, 32], "the rest gathers for the next"
    store.gate.set()
    assert await asyncio.gather(*calls) == list(range(60))
    assert [len(group) for group in store.groups] == [1, 32, 27]


async def test_one_lane_is_never_an_owners_who_is_in_all_others() -> None:
    store = Gated()
    combine = Combiner(store.commit, owned, lanes=2, name="test")
    many = combine.submit(mine("a", 60))
    other = combine.submit(mine("b", 40))
    await turns_of_the_loop()
    assert [len(group) for group in store.groups] == [60, 40]
    store.gate.set()
    await asyncio.gather(*many, *other)


async def test_a_call_behind_ten_thousand_of_another_owner_is_in_the_next_commit() -> None:
    recorder = Recorder()
    combine = Combiner(recorder.commit, owned, name="test")
    many = combine.submit(mine("a", 10_000))
    await asyncio.sleep(0)
    under_way = len(recorder.groups)
    [one] = combine.submit([Call(10_000, frozenset("b"))])
    await asyncio.gather(*many, one)
    assert 10_000 in {call.number for call in recorder.groups[under_way]}


async def test_serial_calls_of_an_owner_are_written_in_their_order_and_hold_up_nobody_else() -> None:
    store = Gated()
    combine = Combiner(store.commit, owned, name="test")
    serial = combine.submit([Call(number, frozenset("a"), serial=True) for number in range(50)])
    await turns_of_the_loop()
    assert store.groups == [list(range(20))]
    behind = combine.submit([Call(50, frozenset({"a"}))])
    others = combine.submit([Call(60, frozenset({"b"})), Call(61, frozenset("c"), serial=True)])
    await turns_of_the_loop()
    assert sorted(store.groups[1:]) == [[60], [61]]
    store.gate.set()
    assert await asyncio.gather(*serial, *behind, *others) == [*range(51), 60, 61]
    assert store.groups[3:] == [list(range(20, 40)), list(range(40, 50)), [50]]


async def test_an_owner_who_has_too_many_waiting_is_refused_alone_and_nothing_is_taken_in_part() -> None:
    store = Gated()
    combine = Combiner(store.commit, owned, most_unfinished=10, name="test")
    taken = combine.submit(mine("a", 12))  # at once is not too many, however many there are
    with pytest.raises(TooManyRequests, match="12 calls"):
        combine.submit([Call(99, frozenset({"a99"}))])
    others = combine.submit(mine("b", 8))
    with pytest.raises(TooManyRequests):
        combine.submit(mine("b", 3))
    others += combine.submit(mine("b", 2))
    await turns_of_the_loop()
    store.gate.set()
    await asyncio.gather(*taken, *others)
    assert len(await asyncio.gather(*combine.submit(mine("a", 10)))) == 10


async def test_many_calls_of_an_owner_are_taken_in_parts_in_their_order_and_others_come_between() -> None:
    recorder = Recorder()
    combine = Combiner(recorder.commit, owned, lanes=1, name="test")
    calls = [Call(number, frozenset({"a"})) for number in range(1_000)]
    many = asyncio.create_task(combine.all(calls))
    await asyncio.sleep(0)
    [one] = combine.submit([Call(5_000, frozenset("b"))])
    assert await one == "written 5000"
    assert not many.done()
    assert await many == [f"written {number}" for number in range(1_000)]
    assert [call.number for group in recorder.groups for call in group if call.number < 5_000] == list(
        range(1_000)
    )


async def test_who_has_too_many_waiting_is_refused_before_the_first_part_is_taken() -> None:
    store = Gated()
    combine = Combiner(store.commit, owned, most_unfinished=300, name="test")
    taken = combine.submit(mine("a", 12))
    with pytest.raises(TooManyRequests, match="12 calls"):
        await combine.all(mine("a", 300))
    await turns_of_the_loop()
    store.gate.set()
    await asyncio.gather(*taken)
    assert await combine.all([]) == []
    assert sum(map(len, store.groups)) == 12


async def test_a_bad_call_costs_its_neighbours_one_more_commit_and_its_owner_few() -> None:
    recorder = Recorder()
    combine = Combiner(recorder.commit, owned, lanes=1, name="test")
    first = combine.submit([Call(-1, frozenset("c"))])
    await asyncio.sleep(0)
    calls = [Call(number, frozenset({f"a{number}"}), bad=number == 77) for number in range(200)]
    answers = combine.submit(calls)
    others = combine.submit(mine("b", 200))
    await asyncio.gather(*first, *others)
    assert [len(group) for group in recorder.groups[:4]] == [1, 400, 200, 200]
    assert recorder.groups[3][0].keys == {"b0"}
    await asyncio.gather(*answers, return_exceptions=True)
    assert [number for number, answer in enumerate(answers) if answer.exception()] == [77]
    assert len(recorder.groups) < 4 + 2 * 9
    assert [call.number for call in recorder.written if call in calls] == [
        call.number for call in calls if not call.bad
    ]


async def test_calls_for_one_key_wait_for_each_other_however_many_there_are() -> None:
    recorder = Recorder(turns=[2])
    combine = Combiner(recorder.commit, keys, name="test")
    calls = [combine(Call(number, frozenset("a"))) for number in range(100)]
    await asyncio.gather(*calls)
    assert [call.number for call in recorder.written] == list(range(100))
    assert recorder.clashes == []


async def test_a_call_is_not_held_up_by_a_stranger_that_waits_for_its_key() -> None:
    gate = asyncio.Event()

    async def commit(calls: Sequence[Call]) -> list[int]:
        if any("slow" in call.keys for call in calls):
            await gate.wait()
        return [call.number for call in calls]

    combine = Combiner(commit, keys, name="test")
    slow = [asyncio.create_task(combine(Call(n, frozenset({"slow"})))) for n in range(3)]
    await asyncio.sleep(0)
    assert await combine(Call(99, frozenset({"quick"}))) == 99
    gate.set()
    assert await asyncio.gather(*slow) == [0, 1, 2]


async def test_a_slow_commit_is_noticed_whatever_the_clock_says() -> None:
    """A stranger is let by when a timer goes off: at which fraction of a second that is decides how the times are rounded."""

    async def commit(calls: Sequence[Call]) -> list[int]:
        if any("slow" in call.keys for call in calls):
            await gate.wait()
        return [call.number for call in calls]

    for _ in range(30):
        gate = asyncio.Event()
        combine = Combiner(commit, keys, name="test")
        slow = asyncio.create_task(combine(Call(1, frozenset({"slow"}))))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await combine(Call(99, frozenset({"quick"}))) == 99
        gate.set()
        assert await slow == 1


async def test_a_caller_who_gives_up_takes_nobody_along() -> None:
    recorder = Recorder(turns=[2])
    combine = Combiner(recorder.commit, keys, lanes=1, name="test")
    impatient = asyncio.create_task(combine(Call(1, frozenset("a"))))
    patient = asyncio.create_task(combine(Call(2, frozenset("a"))))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "written 2"
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await combine.drain()


async def test_an_unreachable_server_is_told_to_every_caller_of_the_group_and_not_asked_again_for_each() -> (
    None
):
    asked = []

    async def commit(calls: Sequence[Call]) -> list[int]:
        asked.append(len(calls))
        await asyncio.sleep(0)
        raise Unreachable("the database does not answer")

    combine = Combiner(commit, keys, lanes=1, name="test")
    answers = await asyncio.gather(*(combine(Call(n)) for n in range(5)), return_exceptions=True)
    assert asked == [1, 4]
    assert {type(answer) for answer in answers} == {Unreachable}
    assert len({id(answer) for answer in answers}) == 5


async def test_a_server_lost_while_calls_are_tried_in_parts_is_not_asked_again_for_each() -> None:
    asked = []

    async def commit(calls: Sequence[Call]) -> list[int]:
        asked.append(len(calls))
        await asyncio.sleep(0)
        if len(calls) > 1:
            raise BadRequest("call", "one of them is bad")
        raise Unreachable("the database does not answer")

    combine = Combiner(commit, keys, lanes=1, name="test")
    answers = await asyncio.gather(*(combine(Call(n)) for n in range(5)), return_exceptions=True)
    assert asked == [1, 4, 2, 1]
    assert {type(answer) for answer in answers} == {Unreachable}
