"""A workspace's large bodies: how fast they come, how many are held, and whose turn it is to be read."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.errors import TooManyRequests
from pushkeeper.web.large_bodies import (
    BYTES_PER_S,
    MOST_BYTES,
    MOST_WAITING,
    RESTS,
    RESTS_FROM_VERY_LARGE,
    VERY_LARGE_BYTES,
    LargeBodies,
)
from support.examples import examples

ONE, OTHER = 1, 2


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(st.integers(1, 300_000), st.floats(0, 0.05)), min_size=1, max_size=60))
def test_who_waits_as_long_as_they_are_told_receives_no_more_than_the_rate(chunks: list[tuple[int, float]]):
    shares, now, received = LargeBodies(), 100.0, 0
    for size, pause_s in chunks:
        try:
            wait_s = shares.received(ONE, size, now)
        except TooManyRequests:
            shares.answered(ONE, received)
            received = 0
            continue
        received += size
        now += wait_s + pause_s
        assert shares.received(OTHER, 0, now) == 0, "nobody waits for another workspace's bytes"
    came = sum(size for size, _ in chunks)
    assert came <= BYTES_PER_S * (now - 100.0) + BYTES_PER_S / 10 + 300_000


def test_one_who_holds_too_much_is_refused_alone_until_something_of_it_is_answered():
    shares = LargeBodies()
    shares.received(ONE, MOST_BYTES - 10, 0.0)
    with pytest.raises(TooManyRequests, match=r"33,554,422 bytes") as refused:
        shares.received(ONE, 11, 0.0)
    assert refused.value.retry_after_s > 0
    shares.received(OTHER, MOST_BYTES, 0.0)
    shares.answered(ONE, MOST_BYTES - 10)
    shares.received(ONE, MOST_BYTES, 0.0)


async def test_another_workspaces_body_is_read_while_the_first_rests():
    shares = LargeBodies()
    done: list[str] = []
    with ThreadPoolExecutor(max_workers=1) as thread:

        async def run(work):
            return await asyncio.get_running_loop().run_in_executor(thread, work)

        def work(name: str) -> str:
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            done.append(name)
            return name

        began = time.monotonic()
        asked = [shares.read(ONE, 1, partial(work, f"one's {n}"), run) for n in range(3)]
        asked.append(shares.read(OTHER, 1, partial(work, "the other's"), run))
        found = await asyncio.gather(*asked)
    assert found == ["one's 0", "one's 1", "one's 2", "the other's"]
    assert done == ["one's 0", "the other's", "one's 1", "one's 2"]
    assert time.monotonic() - began >= 0.02 * (3 + 2 * RESTS)


async def test_what_is_very_large_rests_for_longer():
    shares = LargeBodies()

    async def run(work):
        return work()

    def work() -> float:
        began = time.monotonic()
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        return began

    first = await shares.read(ONE, VERY_LARGE_BYTES + 1, work, run)
    assert await shares.read(ONE, 1, work, run) - first >= 0.02 * (1 + RESTS_FROM_VERY_LARGE)


async def test_what_fails_rests_as_well_and_leaves_the_turn_to_the_next():
    shares = LargeBodies()

    async def run(work):
        return work()

    def fail():
        raise ValueError("bad")

    for _ in range(3):
        with pytest.raises(ValueError, match="bad"):
            await shares.read(ONE, 1, fail, run)
    assert await shares.read(ONE, 1, lambda: 7, run) == 7


async def test_more_than_may_wait_are_refused_and_the_others_are_read_in_their_order():
    shares, gate = LargeBodies(), asyncio.Event()
    done: list[int] = []

    async def run(work):
        await gate.wait()
        return work()

    asked = [
        asyncio.create_task(shares.read(ONE, 1, partial(done.append, n), run))
        for n in range(MOST_WAITING + 3)
    ]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    gate.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert done == list(range(MOST_WAITING + 1))
    assert [type(one) for one in found[MOST_WAITING + 1 :]] == [TooManyRequests] * 2
