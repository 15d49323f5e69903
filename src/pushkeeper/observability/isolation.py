"""The only place that catches any exception: one item, one attempt or one turn of a loop, each by itself.

It sees two kinds of error, which the driver's border separates (`store/db/driver_errors.py`). `Unreachable` is
temporary: it says all there is to know, and a retry may succeed. Any other is a defect, or unexpected data, which is
worth its traceback.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

from pushkeeper.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from structlog.stdlib import BoundLogger

T = TypeVar("T")
R = TypeVar("R")


class isolated:  # noqa: N801 - it is used as contextlib.suppress is
    """Catch what is raised inside, so that what follows continues; log it once.

        with isolated(log, "route_not_probed", route=route.name) as tried:
            await probe(route)
        if tried.error is None:
            ...

    Without a logger, the reader of `error` logs it. What is `passing` is raised on, as is whatever ends a task or a
    process; a task that was cancelled inside ends so too, whatever its cleaning up raised instead.

    Attributes:
        error: what was raised; None while nothing was.
    """

    __slots__ = ("_cancels", "_event", "_fields", "_log", "_passing", "error")

    def __init__(
        self,
        log: BoundLogger | None = None,
        event: str = "",
        *,
        passing: type[Exception] | tuple[type[Exception], ...] = (),
        **fields: object,
    ) -> None:
        self.error: Exception | None = None
        self._log = log
        self._event = event
        self._passing = passing
        self._fields = fields
        self._cancels = 0

    def __enter__(self) -> Self:
        self._cancels = cancels()
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._passing):
            return False
        if cancels() > self._cancels:
            raise asyncio.CancelledError from error
        self.error = error
        if self._log is not None and isinstance(error, Unreachable):
            self._log.warning(self._event, **self._fields, error=error.message)
        elif self._log is not None:
            self._log.error(self._event, **self._fields, exc_info=error)
        return True


def cancels() -> int:
    """How often this task was asked to end.

    Where that grew, an error is of the cleaning up, such as a rollback on a connection that is lost, and took the place of
    the `CancelledError`: caught as any other, it would let the task run for ever.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return 0
    return 0 if task is None else task.cancelling()


def each(items: Iterable[T], work: Callable[[T], R], failed: Callable[[T, Exception], R]) -> list[R]:
    """What `work` makes of each item, or `failed` where that raises, which logs it: for many items, as a try costs nothing."""
    made = []
    for item in items:
        try:
            made.append(work(item))
        except Exception as error:  # noqa: BLE001 - here it is isolated to its item
            made.append(failed(item, error))
    return made
