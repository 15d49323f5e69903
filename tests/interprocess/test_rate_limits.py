"""Rate limits that several processes count together."""

import fcntl
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.delivery.rate_limit import Bucket
from pushkeeper.interprocess.memory import PLACES, SharedMemory
from pushkeeper.interprocess.rate_limits import RateLimits
from support.examples import examples

# Takes as much as it can get for a while, beginning when it is told to.
GREEDY = """
import sys, time
from pushkeeper.interprocess.memory import SharedMemory
from pushkeeper.interprocess.rate_limits import RateLimits
limits = RateLimits(SharedMemory(int(sys.argv[1]), 2))
print("ready", flush=True)
sys.stdin.readline()
ends_at, taken = time.monotonic() + 1.0, 0
while time.monotonic() < ends_at:
    taken += limits.take("track", 7, 3_000) == 0
print(taken, flush=True)
"""

HOLDING = """
import fcntl, sys
fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def child(memory, code):
    """A process that inherits the memory."""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(memory.fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[memory.fd],
    )


def line_of(process):
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.fixture
def memory():
    with SharedMemory.made(2) as made:
        yield made


def test_several_processes_together_get_the_limit_and_no_more(memory):
    greedy = [child(memory, GREEDY) for _ in range(3)]
    assert [line_of(one) for one in greedy] == ["ready\n"] * 3
    began = time.monotonic()
    taken = [int(one.communicate("go\n", timeout=60)[0]) for one in greedy]
    took_s = time.monotonic() - began
    # A new bucket has a tenth of a second's worth.
    assert 0.9 * 3_000 < sum(taken) <= 3_000 * took_s + 300 + 1


def test_one_process_may_take_it_all(memory):
    limits = RateLimits(memory)
    taken = 0
    began = time.monotonic()
    while limits.take("app", 1, 1) == 0:
        taken += 1
    assert taken == 1 + int(time.monotonic() - began)
    assert 0 < limits.take("app", 1, 1) <= 1.0
    # Another kind, and another workspace, have their own.
    assert limits.take("track", 1, 1) == 0
    assert limits.take("app", 2, 1) == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(["track", "app", "cdp"]),
            st.integers(1, 3) | st.integers(1 << 40, (1 << 40) + 2),
            st.integers(0, 40),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=examples(60))
def test_two_processes_count_as_one_bucket_would(calls):
    """Each call by one of two processes, of a kind and a workspace, that owes as much as is said."""
    now = 1_000.0
    models: dict[tuple[str, int], Bucket] = {}
    with SharedMemory.made(2) as memory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        two = [RateLimits(memory), RateLimits(memory)]
        for process, kind, workspace, owed in calls:
            now += 0.03
            model = models.setdefault((kind, workspace), Bucket())
            model.fill(20, now)
            expected = 0.0 if model.take() else model.empty_for_s(20)
            assert two[process].take(kind, workspace, 20) == expected
            model.owe(owed)
            two[1 - process].owe(kind, workspace, owed)


def test_where_there_are_more_buckets_than_places_those_in_use_are_kept(memory):
    limits = RateLimits(memory)
    limits.take("track", 1, 10)
    limits.owe("track", 1, 10_000)
    for workspace in range(2, PLACES * 2):
        limits.take("track", workspace, 10)
        if workspace % 1_000 == 0:
            assert limits.take("track", 1, 10) > 100


def test_one_that_is_stopped_with_the_lock_stops_nobody(memory):
    held = child(memory, HOLDING)
    assert line_of(held) == "held\n"
    try:
        with pytest.raises(BlockingIOError):
            fcntl.lockf(memory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert RateLimits(memory).take("track", 1, 10) == 0
    finally:
        held.kill()
        held.communicate()
    # The kernel gave its lock back.
    fcntl.lockf(memory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
