"""Why a person did, or didn't, get a message: an ordered trace, and the smallest change that would have helped.

Without a message, it explains a push that would be sent to that person now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.explain import obstacles as explain_verdict
from pushkeeper.core.explain import trace as explain_steps
from pushkeeper.core.explain.facts import TraceStep
from pushkeeper.core.identity import cio_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.explain.facts import DeviceEvidence, Evidence


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one device, which `key` is of. `got`: whether it got the push, or would; None while that is open."""

    key: str
    device: str
    platform: str | None
    got: bool | None
    said: str
    steps: tuple[TraceStep, ...]
    changes: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The explanation, and one per device; `change` is the smallest that would have delivered it, None if it was or will be.

    Attributes:
        person: their cio_id; None if there is nobody.
        message: the message's UUID, if there is one.
    """

    person: str | None
    message: str | None
    got: bool | None
    said: str
    change: str | None
    steps: tuple[TraceStep, ...]
    devices: tuple[Trace, ...]


def explain(facts: Evidence) -> Explanation:
    """Why, in order."""
    traces = tuple(_trace(facts, one) for one in facts.devices)
    got, said, change = _sum(facts, traces)
    return Explanation(
        person=None if facts.person is None else cio_id(facts.person.person_id),
        message=None if facts.message is None else facts.message.message_id,
        got=got,
        said=said,
        change=change,
        steps=explain_steps.of_person(facts),
        devices=traces,
    )


def _sum(facts: Evidence, traces: Sequence[Trace]) -> tuple[bool | None, str, str | None]:
    """Whether it came to any device, in a sentence, and the smallest change that would have helped."""
    if facts.person is None and not traces:
        return False, "no person with this identifier", "identify the person first"
    if not traces:
        return False, "the person has no device", "log in on a device so that it is registered"
    best = _best(traces)
    needed = "; ".join(best.changes) if best.got is False else None
    return best.got, _sentence(traces, best), needed


def _trace(facts: Evidence, one: DeviceEvidence) -> Trace:
    steps = explain_steps.of_device(facts, one)
    got, said, obstacles = explain_verdict.verdict(facts, one)
    device = one.device
    return Trace(
        key=one.key,
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
    return f"not delivered to any of {len(traces)} devices. Closest: {best.said}"
