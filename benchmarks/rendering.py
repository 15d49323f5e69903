"""Liquid: texts with variables, a condition and a loop, rendered for one person after the other."""

from __future__ import annotations

import statistics
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import liquid

from benchmarks.figures import Beside, Figure
from pushkeeper.core.messages.personalize import MessageRenderer, PersonalizedContent, RenderContext
from pushkeeper.core.model import Content, Platform, WorkspaceId
from pushkeeper.rendering.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PEOPLE = 20_000
QUICK_PEOPLE = 200
_RUNS = 5
_BATCH = 500
_WORKSPACE = WorkspaceId(1)
_TITLE = "{{ person.first_name }}, your {{ person.plan }} plan"
_CONDITION = "{% if person.plan == 'plus' %}Thank you, {{ person.first_name }}{% else %}Until {{ person.until }}{% endif %}"
_LOOP = "{% for offer in person.offers %}{{ offer.name }} {{ offer.price }}{% unless forloop.last %}, {% endunless %}{% endfor %}"
_OFFERS = [{"name": "Tea", "price": 4}, {"name": "Milk", "price": 2}, {"name": "Honey", "price": 7}]
_BODY = "Hello {{ person.first_name }}, it goes on until {{ person.until }}. Thank you for being with us."


async def measure(*, people: int = PEOPLE) -> list[Figure]:
    """Texts/s, and CPU for 10,000 texts: what a message says costs two of them."""
    readers = [
        RenderContext(
            person={"first_name": f"Ann {n}", "plan": "plus", "until": "May", "offers": _OFFERS}, device={}
        )
        for n in range(people)
    ]
    return [
        _variables(readers),
        await _rendered("Liquid, a text with a condition", _CONDITION, readers),
        await _rendered("Liquid, a text with a loop, in the rendering process", _LOOP, readers),
    ]


async def _rendered(name: str, text: str, readers: Sequence[RenderContext]) -> Figure:
    """A text by the renderer, as a worker has it render a batch; seconds of the clock, beside the same text here."""
    speaker = MessageRenderer(Content(title=text), PersonalizedContent())
    batches = [
        [(reader, Platform.IOS) for reader in readers[at : at + _BATCH]]
        for at in range(0, len(readers), _BATCH)
    ]
    took, here = [], []
    async with aclosing(Renderer()) as renderer:
        await renderer.say(_WORKSPACE, speaker, batches[0])
        for _ in range(_RUNS):
            started = time.perf_counter()
            for batch in batches:
                await renderer.say(_WORKSPACE, speaker, batch)
            took.append(time.perf_counter() - started)
            started = time.perf_counter()
            for batch in batches:
                for reader, platform in batch:
                    speaker.say(reader, platform)
            here.append(time.perf_counter() - started)
    took_s, here_s = statistics.median(took), statistics.median(here)
    return Figure(
        name=name,
        requests_per_s=len(readers) / took_s,
        p50_ms=took_s / len(readers) * 1_000,
        beside=(Beside(name="in this process", requests_per_s=len(readers) / here_s),),
    )


def _variables(readers: Sequence[RenderContext]) -> Figure:
    speaker = MessageRenderer(Content(title=_TITLE, message=_BODY), PersonalizedContent())
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
    texts = 2 * len(readers)
    return Figure(
        name="Liquid, a text with two variables",
        requests_per_s=texts / took_s,
        cpu_s_per_10k=took_s / texts * 10_000,
        p50_ms=took_s / texts * 1_000,
        beside=(Beside(name="python-liquid alone", requests_per_s=texts / beside_s),),
        goal="0.025 ms",
    )


def _timed(does: Callable[[], None]) -> float:
    """CPU-seconds."""
    started = time.process_time()
    does()
    return time.process_time() - started
