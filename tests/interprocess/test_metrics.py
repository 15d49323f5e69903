"""The figures of several processes, added up by whichever is asked."""

import os

import pytest

from pushkeeper.interprocess.memory import REGION_BYTES, SharedMemory
from pushkeeper.interprocess.metrics import SharedMetrics
from pushkeeper.observability.meters import Meters, Series
from pushkeeper.observability.metrics import Kind, Merge, Metric, Scope

OURS = [metric for metric in Metric if metric.value.scope is Scope.PROCESS]


@pytest.fixture
def memory():
    with SharedMemory.made(3) as made:
        yield made


def said(metric, number):
    """What a process says of a metric: a number, or as many observations of it."""
    labels = tuple(f"a {label}" for label in metric.value.labels)
    if metric.value.kind is not Kind.HISTOGRAM:
        return Series(metric, labels, float(number))
    spread = Meters().spread(metric, *labels)
    for _ in range(number):
        spread.observe(float(number))
    return Series(metric, labels, spread)


def plain(value):
    return value if isinstance(value, float) else (value.counts, value.total)


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_whichever_process_is_asked_answers_for_all_by_what_the_figure_means(memory, metric):
    numbers = {0: 2, 1: 3, 2: 7}  # the supervisor, and two that answer; of three, one has not started
    by_slot = {slot: SharedMetrics(memory, slot) for slot in numbers}
    for slot, shared in by_slot.items():
        shared.begin([said(metric, numbers[slot])])
    for slot, shared in by_slot.items():
        (whole,) = shared.of_all([said(metric, numbers[slot])])
        if metric.value.kind is Kind.INFO or metric.value.merge is Merge.OWN:
            assert whole.value == numbers[slot]
        elif metric.value.merge is Merge.LEAST:
            assert whole.value == 2
        elif metric.value.kind is Kind.HISTOGRAM:
            expected = [
                sum(counts) for counts in zip(*(said(metric, n).value.counts for n in (2, 3, 7)), strict=True)
            ]
            assert plain(whole.value) == (expected, float(2 * 2 + 3 * 3 + 7 * 7))
        else:
            assert whole.value == 12
        assert shared.processes == 2


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_a_process_that_ends_takes_its_gauges_with_it_and_leaves_what_it_counted(memory, metric):
    asked = SharedMetrics(memory, 1)
    asked.begin([said(metric, 3)])
    ended = SharedMetrics(memory, 2)
    ended.begin([said(metric, 7)])
    memory.occupy(2, 0)
    counts = metric.value.kind in {Kind.COUNTER, Kind.HISTOGRAM}
    (whole,) = asked.of_all([said(metric, 3)])
    assert plain(whole.value) == plain(added(metric, 7, 3) if counts else said(metric, 3).value)
    # The next in its place goes on from there, and is counted once.
    again = SharedMetrics(memory, 2)
    for number in (0, 1):
        again.begin([said(metric, number)])
        if counts:
            (whole,) = asked.of_all([said(metric, 3)])
            assert plain(whole.value) == plain(added(metric, 7, 3, number))
            (whole,) = again.of_all([said(metric, number)])
            assert plain(whole.value) == plain(added(metric, 7, 3, number))
    assert memory.pid(2) == os.getpid()


def added(metric, *numbers):
    if metric.value.kind is not Kind.HISTOGRAM:
        return float(sum(numbers))
    spread = Meters().spread(metric, *(f"a {label}" for label in metric.value.labels))
    for number in numbers:
        for _ in range(number):
            spread.observe(float(number))
    return spread


def test_what_is_published_is_read_whole_and_the_last(memory):
    assert memory.published(2) == b""
    for size in (1, 100_000, 0, 5):
        memory.publish(2, b"x" * size)
        assert memory.published(2) == b"x" * size
    with pytest.raises(ValueError, match="too many"):
        memory.publish(2, bytes(REGION_BYTES))
    assert memory.published(2) == b"x" * 5
    assert memory.published(1) == memory.published(3) == b""


def test_who_dies_while_it_publishes_has_published_what_it_did_before(memory, monkeypatch):
    memory.publish(1, b"before")

    def die(fd, content, at):
        written(fd, content[: len(content) // 2], at)
        raise SystemExit

    written = os.pwrite
    monkeypatch.setattr(os, "pwrite", die)
    with pytest.raises(SystemExit):
        memory.publish(1, b"half of it" * 100)
    assert memory.published(1) == b"before"
