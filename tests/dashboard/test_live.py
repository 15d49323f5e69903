"""What changes while somebody looks at it, as server-sent events: asked for once, bounded, and over when the process ends."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING

import pytest

from pushkeeper.dashboard.ui import live
from pushkeeper.dashboard.ui.live import Frame, LiveStreams
from pushkeeper.errors import NotFound, TooManyRequests, Unreachable
from pushkeeper.web.request import Request
from tests.dashboard.test_broadcast_pages import kept, number_of

if TYPE_CHECKING:
    from pushkeeper.web.response import Response
    from support.dashboard import Browser, Place, Site


def stream(told: LiveStreams, state: str, *frames: Frame) -> Response:
    coming = iter(frames)

    async def look() -> Frame:
        return next(coming, frames[-1])

    return told.answer(state, look)


async def test_each_frame_is_sent_once_until_it_stands_otherwise() -> None:
    answer = stream(
        LiveStreams(asyncio.Event()),
        "sending",
        Frame("<p>1</p>\n<p>2</p>", "sending"),
        Frame("<p>1</p>\n<p>2</p>", "sending"),
        Frame("<p>3</p>", "sending"),
        Frame("<p>3</p>", "sent"),
    )
    assert answer.parts is not None
    assert [part async for part in answer.parts if part] == [
        b"retry: 1000\n\n",
        b"event: shown\ndata: <p>1</p>\ndata: <p>2</p>\n\n",
        b"event: shown\ndata: <p>3</p>\n\n",
        b"event: turned\ndata: sent\n\n",
    ]


async def test_whatever_is_in_a_frame_it_stays_one_event() -> None:
    answer = stream(LiveStreams(asyncio.Event()), "a", Frame("\u2028x\r\n\r\nevent: turned\rdata: y", "a"))
    assert answer.parts is not None
    await anext(answer.parts)
    event = (await anext(answer.parts)).decode()
    assert event.endswith("\n\n")
    assert all(line.startswith("data: ") for line in event[:-2].split("\n")[1:])
    assert "\r" not in event
    await answer.parts.aclose()


async def test_it_ends_when_the_process_does() -> None:
    ending = asyncio.Event()
    answer = stream(LiveStreams(ending), "a", Frame("x", "a"))
    assert answer.parts is not None
    parts = answer.parts
    assert [await anext(parts), await anext(parts)][1].startswith(b"event: shown")
    ending.set()
    assert [part async for part in parts if part] == []


async def test_it_ends_when_what_is_shown_cannot_be_had() -> None:
    told = LiveStreams(asyncio.Event())

    for error in (NotFound("the broadcast is gone"), KeyError("a bug")):

        async def look(error: Exception = error) -> Frame:
            raise error

        answer = told.answer("a", look)
        assert answer.parts is not None
        assert [part async for part in answer.parts if part] == [b"retry: 1000\n\n"]
    assert told._open == 0


async def test_while_the_database_cannot_answer_a_stream_stays_open_and_then_goes_on() -> None:
    """A browser that came again meanwhile would be refused, and come no more."""
    away = [Unreachable("the database is gone", retry_after_s=0) for _ in range(3)]

    async def look() -> Frame:
        if away:
            raise away.pop()
        return Frame("x", "b")

    answer = LiveStreams(asyncio.Event()).answer("a", look)
    assert answer.parts is not None
    assert [part async for part in answer.parts if part] == [
        b"retry: 1000\n\n",
        b"event: turned\ndata: b\n\n",
    ]


async def test_who_comes_when_too_many_watch_is_sent_away_and_who_leaves_makes_room() -> None:
    told = LiveStreams(asyncio.Event())
    parts = []
    for _ in range(live.MOST_STREAMS):
        answer = stream(told, "a", Frame("x", "a"))
        assert answer.parts is not None
        await anext(answer.parts)
        parts.append(answer.parts)
    with pytest.raises(TooManyRequests):
        stream(told, "a", Frame("x", "a"))
    await parts.pop().aclose()
    stream(told, "a", Frame("x", "a"))
    for one in parts:
        await one.aclose()


async def test_what_many_watch_is_asked_for_once() -> None:
    told, asked = LiveStreams(asyncio.Event()), []
    both, going = asyncio.Event(), asyncio.Event()

    async def ask() -> int:
        asked.append(1)
        if len(asked) == 2:
            both.set()
        await going.wait()
        return len(asked)

    watching = [asyncio.create_task(told.shared("same", ask)) for _ in range(5)]
    other = asyncio.create_task(told.shared("other", ask))
    await both.wait()
    watching.pop().cancel()
    going.set()
    assert set(await asyncio.gather(*watching)) == {2}
    await other
    assert len(asked) == 2


async def test_a_browser_follows_a_broadcast_until_it_is_paused(
    site: Site, operator: Browser, place: Place
) -> None:
    await place.device("ann")
    number = number_of(await kept(operator, place))
    path = place.path(f"/broadcasts/{number}")
    await operator.post(f"{path}/start")
    page = await operator.get(path)
    [standing] = [one for one in page.page.all("div") if one.get("id") == "standing"]
    followed = standing["data-live"]
    assert followed is not None
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    cookie = "; ".join(f"{name}={value}" for name, value in operator.cookies.items())
    connection.request("GET", followed, headers={"cookie": cookie})
    response = await asyncio.to_thread(connection.getresponse)
    assert response.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert response.getheader("cache-control") == "no-store"
    lines = [await asyncio.to_thread(response.readline) for _ in range(3)]
    assert lines == [b"retry: 1000\n", b"\n", b"event: shown\n"]
    await operator.post(f"{path}/pause")
    rest = await asyncio.to_thread(response.read)
    assert rest.endswith(b"event: turned\ndata: paused\n\n")
    connection.close()
    assert (await operator.get(place.path("/broadcasts/999999/live?state=sending"))).status == 404


async def test_what_nobody_reads_any_more_is_not_sent_to_its_end() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def sending() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def receive() -> dict[str, str]:
        await began.wait()
        return {"type": "http.disconnect"}

    assert await Request({"headers": []}, receive).unless_gone(sending()) is False
    assert ended.is_set()


async def test_what_is_sent_to_its_end_is_and_its_failures_are_told() -> None:
    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def broken() -> None:
        raise ValueError("broken")

    async def whole() -> None:
        pass

    assert await Request({"headers": []}, receive).unless_gone(whole()) is True
    with pytest.raises(ValueError, match="broken"):
        await Request({"headers": []}, receive).unless_gone(broken())
