"""The rendering process: the same texts as here, and nothing in it outlives its limits."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.messages.liquid import BadTemplate, RenderError, compile_text
from pushkeeper.core.messages.personalize import (
    BadContent,
    MessageRenderer,
    PersonalizedContent,
    RenderContext,
    WhenUndefined,
)
from pushkeeper.core.model import Content, Platform, WorkspaceId
from pushkeeper.rendering.frames import NotRendered, Rendered, Said
from pushkeeper.rendering.renderer import Renderer
from support.engine import eventually
from support.examples import examples

ONE, OTHER = WorkspaceId(1), WorkspaceId(2)
QUICK = Content(
    title="Hello {{ customer.name }}", message="{% if customer.n > 1 %}many{% else %}one{% endif %}"
)
LOOP = Content(title="{% for tag in customer.tags %}{{ tag }}{% endfor %} {{ customer.name }}")
HEAVY = Content(title="{% for i in (1..5000) %}{% assign y = trigger.a | where: 'x', 1 %}{% endfor %}")
DATA = {"a": [{"x": 1}] * 2_000}


def people(many: int, **more: object) -> list[tuple[RenderContext, Platform]]:
    return [
        (
            RenderContext(person={"name": f"Ann {n}", "n": n, "tags": ["a", "b"], **more}, device={}),
            Platform.IOS,
        )
        for n in range(many)
    ]


@pytest_asyncio.fixture
async def renderer():
    made = Renderer()
    yield made
    await made.aclose()


def pid_of(renderer: Renderer) -> int:
    assert renderer.pid is not None
    return renderer.pid


def titles(said):
    return [one.content.title if isinstance(one, Rendered) else one for one in said]


async def test_what_is_quick_needs_no_process(renderer: Renderer) -> None:
    said = await renderer.say(ONE, MessageRenderer(QUICK, PersonalizedContent()), people(3))
    assert titles(said) == ["Hello Ann 0", "Hello Ann 1", "Hello Ann 2"]
    assert renderer.pid is None


async def test_a_loop_is_rendered_in_the_process_which_stays(renderer: Renderer) -> None:
    speaker = MessageRenderer(LOOP, PersonalizedContent())
    said = await renderer.say(ONE, speaker, people(200))
    assert titles(said) == [f"ab Ann {n}" for n in range(200)]
    pid = renderer.pid
    assert pid is not None
    await renderer.say(OTHER, speaker, people(1))
    assert renderer.pid == pid
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0), "others come first"


async def test_what_is_quick_to_write_and_much_to_do_is_rendered_in_the_process(renderer: Renderer) -> None:
    speaker = MessageRenderer(Content(title="{{ customer.long | size }}"), PersonalizedContent())
    assert titles(await renderer.say(ONE, speaker, people(1, long="x" * 30_000))) == ["30000"]
    assert renderer.pid is not None


async def test_others_have_their_turn_on_the_loop_while_much_that_is_quick_is_rendered(
    renderer: Renderer,
) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    speaker = MessageRenderer(Content(title="{{ customer.long | upcase | size }}"), PersonalizedContent())
    said = await renderer.say(ONE, speaker, people(3_000, long="x" * 4_000))
    counting.cancel()
    assert titles(said) == ["4000"] * 3_000
    assert turns > 5


async def test_what_is_quick_has_no_more_time_either(renderer: Renderer) -> None:
    speaker = MessageRenderer(QUICK, PersonalizedContent())
    said = await renderer.say(ONE, speaker, people(50_000), within_s=0.05)
    assert said[0] is not None
    assert said[-1] is None


async def test_too_much_work_is_the_reason_for_that_person_alone(renderer: Renderer) -> None:
    speaker = MessageRenderer(
        Content(
            title="{% for a in customer.list %}{% assign y = customer.list | sum %}{% endfor %}{{ customer.n }}"
        ),
        PersonalizedContent(),
    )
    readers = people(3, list=[1])
    readers[1] = people(1, list=[1] * 4_000)[0]
    assert titles(await renderer.say(ONE, speaker, readers)) == [
        "0",
        NotRendered("Liquid: too much work"),
        "2",
    ]


async def test_a_missing_value_is_the_same_reason_as_here(renderer: Renderer) -> None:
    speaker = MessageRenderer(
        Content(title="{% for i in (1..2) %}{{ customer.plan }}{% endfor %}"), PersonalizedContent()
    )
    [said] = await renderer.say(ONE, speaker, people(1))
    with pytest.raises(RenderError) as here:
        speaker.say(*people(1)[0])
    assert said == NotRendered(str(here.value))


async def test_a_process_that_is_killed_in_the_middle_loses_nobody(renderer: Renderer) -> None:
    speaker = MessageRenderer(LOOP, PersonalizedContent())
    await renderer.say(ONE, speaker, people(1))
    pid = pid_of(renderer)
    saying = asyncio.create_task(renderer.say(ONE, speaker, people(2_000)))
    for _ in range(3):
        await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert titles(await saying) == [f"ab Ann {n}" for n in range(2_000)]
    assert renderer.pid not in {None, pid}


async def test_a_process_that_is_stopped_is_replaced() -> None:
    renderer = Renderer(answers_within_s=0.5)
    speaker = MessageRenderer(LOOP, PersonalizedContent())
    await renderer.say(ONE, speaker, people(1))
    os.kill(pid_of(renderer), signal.SIGSTOP)
    assert titles(await renderer.say(ONE, speaker, people(2))) == ["ab Ann 0", "ab Ann 1"]
    await renderer.aclose()


async def test_who_takes_longer_than_the_deadline_is_told_nothing_and_the_others_are() -> None:
    renderer = Renderer(deadline_s=0.03)
    speaker = MessageRenderer(
        Content(
            title="{% for a in customer.list %}{% assign y = customer.list | sum %}{% endfor %}{{ customer.n }}"
        ),
        PersonalizedContent(),
    )
    readers = people(3, list=[1])
    readers[1] = people(1, list=[1] * 4_000)[0]
    assert titles(await renderer.say(ONE, speaker, readers)) == [
        "0",
        NotRendered("Liquid: too much work"),
        "2",
    ]
    await renderer.aclose()


async def test_who_takes_more_memory_than_there_may_be_is_told_nothing_and_the_next_is() -> None:
    renderer = Renderer(memory_bytes=64 * 2**20)
    speaker = MessageRenderer(LOOP, PersonalizedContent())
    [said] = await renderer.say(ONE, speaker, people(1, blob="x" * 64 * 2**20))
    assert isinstance(said, NotRendered)
    assert titles(await renderer.say(ONE, speaker, people(1))) == ["ab Ann 0"]
    await renderer.aclose()


async def test_one_workspace_waits_for_no_more_than_a_turn_of_another(renderer: Renderer) -> None:
    heavy = asyncio.create_task(
        renderer.say(ONE, MessageRenderer(HEAVY, PersonalizedContent(data=DATA)), people(300))
    )
    done = asyncio.create_task(renderer.say(OTHER, MessageRenderer(LOOP, PersonalizedContent()), people(1)))
    assert titles(await done) == ["ab Ann 0"]
    assert not heavy.done()
    heavy.cancel()


async def test_several_messages_of_a_workspace_are_rendered_side_by_side(renderer: Renderer) -> None:
    speaker = MessageRenderer(LOOP, PersonalizedContent())
    many = await asyncio.gather(*(renderer.say(ONE, speaker, people(n)) for n in range(1, 200, 20)))
    assert [titles(said) for said in many] == [
        [f"ab Ann {each}" for each in range(n)] for n in range(1, 200, 20)
    ]


async def test_what_is_not_rendered_in_time_is_filled_in_later(renderer: Renderer) -> None:
    await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))
    said = await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(2_000), within_s=0.05)
    assert None in said

    async def filled_in() -> bool:
        return None not in said

    await eventually(filled_in)
    assert titles(said) == [f"ab Ann {each}" for each in range(2_000)]


async def test_whose_turn_does_not_come_in_time_keeps_nobody_else(renderer: Renderer) -> None:
    speaker = MessageRenderer(HEAVY, PersonalizedContent(data=DATA))
    await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))
    said = await renderer.say(ONE, speaker, people(1_000), within_s=0.3)
    assert None in said
    assert titles(await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))) == [
        "ab Ann 0"
    ]


async def test_the_process_has_limits_and_none_of_our_environment(renderer: Renderer, monkeypatch) -> None:
    monkeypatch.setenv("PUSHKEEPER_SECRET_KEY", "not for everybody")
    await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))
    process = Path(f"/proc/{renderer.pid}")
    assert b"PUSHKEEPER" not in (process / "environ").read_bytes()
    limits = (process / "limits").read_text().splitlines()
    [row] = [line for line in limits if line.startswith("Max data size")]
    assert int(row.split()[3]) == 384 * 2**20


async def test_a_process_that_cannot_be_started_is_nobodys_fault(renderer: Renderer, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        assert await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(2)) == [
            None,
            None,
        ]
    assert titles(await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))) == [
        "ab Ann 0"
    ]


async def test_a_process_that_ends_as_it_starts_is_nobodys_fault(renderer: Renderer, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", shutil.which("true"))
        assert await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(2)) == [
            None,
            None,
        ]
    assert titles(await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))) == [
        "ab Ann 0"
    ]


async def test_closing_ends_the_process() -> None:
    renderer = Renderer()
    await renderer.say(ONE, MessageRenderer(LOOP, PersonalizedContent()), people(1))
    pid = pid_of(renderer)
    await renderer.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
    import asyncio, sys
    from pushkeeper.core.model import Content, Platform
    from pushkeeper.core.messages.personalize import MessageRenderer, PersonalizedContent, RenderContext
    from pushkeeper.rendering.renderer import Renderer

    async def main():
        renderer = Renderer()
        loop = MessageRenderer(Content(title="{% for i in (1..2) %}{{ i }}{% endfor %}"), PersonalizedContent())
        await renderer.say(1, loop, [(RenderContext(person={}, device={}), Platform.IOS)])
        print("pid", renderer.pid, flush=True)
        sys.stdin.read()

    asyncio.run(main())
"""


def test_the_death_of_who_started_it_ends_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = next(int(line[4:]) for line in parent.stdout if line.startswith(b"pid "))
        handle = os.pidfd_open(pid)
        parent.kill()
        ended, _, _ = select.select([handle], [], [], 10.0)
        assert ended
        os.close(handle)


texts = st.lists(
    st.sampled_from(
        [
            *("{% for i in customer.tags %}", "{% endfor %}", "{{ i }}", "{{ customer.name | upcase }}", "x"),
            *(
                "{% for i in (1..3) %}",
                "{{ customer.tags | join: ', ' }}",
                "{{ customer.none }}",
                "ü",
                "{% break %}",
            ),
            *("{% assign x = customer.tags | sort | uniq %}", "{{ x | size }}", "{{ 'now' | date: '%Y' }}"),
            *("{% if i == 'a' %}", "{% endif %}", "{{ customer.n | times: 99999999999999999999 }}"),
        ]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as made:
        shared = Renderer()
        yield made, shared
        made.run(shared.aclose())


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60)
)
@given(texts)
def test_the_process_says_what_is_said_here(runner, text: str) -> None:
    loop, shared = runner
    speaker = MessageRenderer(
        Content(title="{% for z in (1..1) %}{% endfor %}" + text), PersonalizedContent()
    )
    reader = people(1)[0]
    try:
        here: Said = Rendered(speaker.say(*reader))
    except (BadContent, RenderError) as error:
        here = NotRendered(str(error))
    [there] = loop.run(shared.say(ONE, speaker, [reader]))
    assert there == here


@pytest.mark.parametrize("when", WhenUndefined)
def test_only_loops_and_filters_that_do_much_make_a_text_slow(when: WhenUndefined) -> None:
    assert compile_text("{{ a | default: 'x' | upcase }}{% case a %}{% when 1 %}{% endcase %}", when).is_quick
    for slow in ("{% for i in a %}{% endfor %}", "{% tablerow i in a %}{% endtablerow %}", "{{ a | sort }}"):
        assert not compile_text(slow, when).is_quick
    with pytest.raises(BadTemplate):
        compile_text("{% for i in a %}", when)
