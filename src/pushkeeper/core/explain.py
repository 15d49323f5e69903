"""Why somebody did, or didn't, get a message: an ordered trace of facts, and the smallest change that would have helped.

Without a message it is asked of a push to that person alone that would be sent now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core import explain_steps, explain_verdict
from pushkeeper.core.explain_facts import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.explain_facts import Facts, OfDevice


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one device. `got`: whether it got the push, or would; None while that is open."""

    device: str
    platform: str | None
    got: bool | None
    said: str
    steps: tuple[Step, ...]
    changes: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why, in a sentence, and by device; `change` is the smallest that would have delivered, None where it was, or will be."""

    got: bool | None
    said: str
    change: str | None
    steps: tuple[Step, ...]
    devices: tuple[Trace, ...]


def explain(facts: Facts) -> Explanation:
    """Why, in order."""
    shared = explain_steps.of_person(facts)
    traces = tuple(_trace(facts, one) for one in facts.devices)
    if facts.person is None and not traces:
        nobody = "nobody here has this name"
        return Explanation(got=False, said=nobody, change="identify the person", steps=shared, devices=())
    if not traces:
        change = "log in on a phone, so that its device is registered"
        return Explanation(
            got=False, said="the person has no device", change=change, steps=shared, devices=()
        )
    best = _best(traces)
    needed = " and ".join(best.changes) if best.got is False else None
    return Explanation(
        got=best.got, said=_sentence(traces, best), change=needed, steps=shared, devices=traces
    )


def _trace(facts: Facts, one: OfDevice) -> Trace:
    steps = explain_steps.of_device(facts, one)
    got, said, obstacles = explain_verdict.verdict(facts, one)
    device = one.device
    return Trace(
        device=one.key if device is None else device.token.masked,
        platform=None if device is None else device.platform.value,
        got=got,
        said=said,
        steps=tuple(steps),
        changes=tuple(dict.fromkeys(obstacle.change for obstacle in obstacles)),
    )


def _best(traces: Sequence[Trace]) -> Trace:
    """The device that got it, or may still, or lacks the least."""

    def distance(trace: Trace) -> tuple[int, int]:
        return {True: 0, None: 1, False: 2}[trace.got], len(trace.changes)

    return min(traces, key=distance)


def _sentence(traces: Sequence[Trace], best: Trace) -> str:
    if len(traces) == 1:
        return best.said
    got = sum(trace.got is True for trace in traces)
    if got:
        return f"{got} of {len(traces)} devices: {best.said}"
    return f"none of {len(traces)} devices; nearest: {best.said}"
