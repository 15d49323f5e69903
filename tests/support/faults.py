"""Errors at the driver's border: raised in place of what a statement would answer, by the task that makes the statement."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import pytest


def of_state(sqlstate: str) -> Callable[[], Exception]:
    return lambda: asyncpg.PostgresError.new({"S": "ERROR", "C": sqlstate, "M": f"raised as {sqlstate}"})


NOT_NOW: dict[str, Callable[[], Exception]] = {
    **{
        state: of_state(state)
        for state in (
            *("08000", "08003", "08006", "25006", "25P03", "40001", "40P01", "53000", "53100", "53200"),
            *("53300", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030"),
        )
    },
    "OSError": lambda: OSError("the wire is cut"),
    "TimeoutError": TimeoutError,
    "ConnectionResetError": ConnectionResetError,
    "InterfaceError": lambda: asyncpg.InterfaceError("cannot perform operation: connection is closed"),
    "busy": lambda: asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    "InternalClientError": lambda: asyncpg.InternalClientError("got result for unknown protocol state 3"),
}
# Nobody expects these, and no value is at fault: a broken index, a right that was taken away, a table that is missing.
UNEXPECTED = {state: of_state(state) for state in ("XX000", "XX002", "42501", "42P01", "F0000")}
BUGS: dict[str, Callable[[], Exception]] = {
    "KeyError": lambda: KeyError("a bug"),
    "ExceptionGroup": lambda: ExceptionGroup("several", [ValueError("a bug"), OSError()]),
}


ANY_OTHER = "any other"


class Faults:
    """For each of some tasks, by name: the errors that its next statements raise, one after the other.

    Tasks without a name go by that of the function that they run, where that is to meet some; else they are `ANY_OTHER`,
    this very test among them.

    Attributes:
        left: what each task has still to meet.
        passed: the tasks of which a statement has been let through since.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: dict[str, list[Callable[[], Exception]]] = {}
        self.passed: defaultdict[str, int] = defaultdict(int)
        for name in ("_execute", "execute", "prepare"):
            self._precede(monkeypatch, name)

    def meet(self, tasks: Collection[str], errors: Collection[Callable[[], Exception]]) -> None:
        """Let each of these tasks meet each of these errors."""
        for task in tasks:
            self.left[task] = list(errors)
            self.passed[task] = 0

    def met(self, tasks: Collection[str]) -> bool:
        """Whether they met all, and went on."""
        return all(not self.left[task] and self.passed[task] for task in tasks)

    def _precede(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        original = getattr(asyncpg.Connection, name)

        async def asked(connection: asyncpg.Connection, *args: Any, **more: Any) -> Any:
            self._strike()
            return await original(connection, *args, **more)

        monkeypatch.setattr(asyncpg.Connection, name, asked)

    def _named(self) -> str:
        current = asyncio.current_task()
        assert current is not None
        if not current.get_name().startswith("Task-"):
            return current.get_name()
        code = getattr(current.get_coro(), "cr_code", None)
        return code.co_name if code is not None and code.co_name in self.left else ANY_OTHER

    def _strike(self) -> None:
        name = self._named()
        left = self.left.get(name)
        if left:
            error = left.pop(0)
            raise error()
        if left is not None:
            self.passed[name] += 1
