"""What one item raises is caught with it, logged once, and holds up nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushkeeper.errors import NotFound, Unreachable
from pushkeeper.observability.isolation import each, isolated
from pushkeeper.observability.logs import logger

log = logger("test")


def logged(error: Exception, **fields: Any) -> list[Any]:
    with capture_logs() as lines, isolated(log, "item_failed", **fields):
        raise error
    return lines


def test_what_nobody_foresaw_is_logged_once_with_its_traceback() -> None:
    error = KeyError("a bug")
    [line] = logged(error, item=7)
    assert (line["event"], line["log_level"], line["item"]) == ("item_failed", "error", 7)
    assert line["exc_info"] is error


def test_a_server_that_does_not_answer_now_is_worth_a_line_and_no_traceback() -> None:
    [line] = logged(Unreachable("the database does not answer"))
    assert (line["log_level"], line["error"]) == ("warning", "the database does not answer")
    assert "exc_info" not in line


def test_without_a_logger_the_error_is_available() -> None:
    error = KeyError()
    with capture_logs() as lines, isolated() as tried:
        raise error
    assert (tried.error, lines) == (error, [])
    with isolated() as fine:
        pass
    assert fine.error is None


@pytest.mark.parametrize(
    "raised", [NotFound("it"), Unreachable("now"), asyncio.CancelledError(), SystemExit()]
)
def test_what_is_to_pass_and_what_ends_a_task_or_a_process_is_raised_on(raised: BaseException) -> None:
    tried = isolated(log, "item_failed", passing=(NotFound, Unreachable))
    with capture_logs() as lines, pytest.raises(type(raised)), tried:
        raise raised
    assert (tried.error, lines) == (None, [])


def test_of_many_items_one_that_fails_becomes_what_is_made_of_its_error() -> None:
    def halved(number: int) -> float:
        return 1 / number

    def failed(number: int, error: Exception) -> float:
        assert (number, type(error)) == (0, ZeroDivisionError)
        return -1.0

    assert each([1, 0, 2], halved, failed) == [1.0, -1.0, 0.5]


async def test_a_task_that_is_cancelled_ends_though_its_cleaning_up_fails() -> None:
    began = asyncio.Event()

    async def work() -> None:
        while True:
            with isolated(log, "item_failed"):
                try:
                    began.set()
                    await asyncio.Event().wait()
                finally:
                    raise Unreachable("the database does not answer")

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_timeout_inside_is_no_cancellation() -> None:
    with isolated() as tried:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    assert isinstance(tried.error, TimeoutError)
