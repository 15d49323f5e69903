"""Where tasks are started, read from the source: a task that is added is found by itself."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from support.sources import nodes

SRC = Path(__file__).parents[2] / "src" / "pushkeeper"
STARTING = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe"}
# A stranger to us.
OTHERS = ("simulator",)


@cache
def modules() -> dict[str, tuple[ast.AST, ...]]:
    """What we wrote, all its nodes, by path."""
    files = [file for file in SRC.rglob("*.py") if file.relative_to(SRC).parts[0] not in OTHERS]
    return {str(file.relative_to(SRC)): nodes(file) for file in files}


def calls(module: tuple[ast.AST, ...], names: set[str]) -> list[ast.Call]:
    """The calls of methods of these names."""
    found = [node for node in module if isinstance(node, ast.Call)]
    return [call for call in found if isinstance(call.func, ast.Attribute) and call.func.attr in names]


def started() -> set[tuple[str, str]]:
    """Each task that is started: the module that does, and the name of the function that it runs."""
    return {
        (path, _name(call.args[0]))
        for path, module in modules().items()
        for call in calls(module, STARTING - {"TaskGroup"})
    }


def _name(what: ast.expr) -> str:
    if isinstance(what, ast.Call):
        what = what.func
    return what.attr if isinstance(what, ast.Attribute) else ast.unparse(what)
