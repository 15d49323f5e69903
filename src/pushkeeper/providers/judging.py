"""Judging answers, each by itself: one that cannot be read fails its push alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from pushkeeper.core.delivery.outcome import our_fault
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import Push
    from pushkeeper.providers.transport.response import Answer


log = logger("providers")


class Sent(Protocol):
    """A push that was sent, with what its sender knows of that."""

    @property
    def push(self) -> Push: ...


S = TypeVar("S", bound=Sent)


def judged(
    answers: Sequence[tuple[S, Answer]], verdict: Callable[[S, Answer], Verdict]
) -> list[tuple[Push, Verdict]]:
    """The verdict on each push that was answered; where `verdict` raises, the fault is ours."""
    found = []
    for sent, answer in answers:
        try:
            one = verdict(sent, answer)
        except Exception as error:
            log.exception("answer_not_understood", delivery_id=sent.push.delivery_id)
            one = our_fault("not_understood", error)
        found.append((sent.push, one))
    return found
