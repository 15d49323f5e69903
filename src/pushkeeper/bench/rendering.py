"""Liquid: a title and a body with two variables, rendered for one person after the other, beside the library alone."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import liquid

from pushkeeper.bench.figures import Beside, Figure
from pushkeeper.core.model import Content, Platform
from pushkeeper.core.wording import Reader, Speaker, Wording

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = 20_000
QUICK_PEOPLE = 200
_RUNS = 5
_TITLE = "{{ person.first_name }}, your {{ person.plan }} plan"
_BODY = "Hello {{ person.first_name }}, it goes on until {{ person.until }}. Thank you for being with us."


def measure(*, people: int = PEOPLE) -> list[Figure]:
    """Texts/s, and CPU for 10,000 texts: what a message says costs two of them."""
    readers = [
        Reader(person={"first_name": f"Ann {n}", "plan": "plus", "until": "May"}, device={})
        for n in range(people)
    ]
    speaker = Speaker(Content(title=_TITLE, message=_BODY), Wording())
    environment = liquid.Environment()
    title, body = environment.from_string(_TITLE), environment.from_string(_BODY)

    def ours() -> None:
        for reader in readers:
            speaker.say(reader, Platform.IOS)

    def alone() -> None:
        for reader in readers:
            title.render(person=reader.person)
            body.render(person=reader.person)

    runs = [(_timed(ours), _timed(alone)) for _ in range(_RUNS)]
    took_s, beside_s = (statistics.median(times) for times in zip(*runs, strict=True))
    texts = 2 * people
    return [
        Figure(
            name="Liquid, a text with two variables",
            requests_per_s=texts / took_s,
            cpu_s_per_10k=took_s / texts * 10_000,
            p50_ms=took_s / texts * 1_000,
            beside=(Beside(name="python-liquid alone", requests_per_s=texts / beside_s),),
            goal="0.025 ms",
        )
    ]


def _timed(does: Callable[[], None]) -> float:
    """CPU-seconds."""
    started = time.process_time()
    does()
    return time.process_time() - started
