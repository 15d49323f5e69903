"""Whatever is raised is caught in one place, which logs it: `observability/isolation.py`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from support.started import modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHATEVER = {"Exception", "BaseException", "CancelledError"}
# Who else goes on after catching whatever is raised, or a cancellation, and why.
CATCHING = {
    "observability/isolation.py each": "the place itself",
    "observability/logs.py __call__": "of logging itself: a line that cannot be shown is shown without its fields",
    "observability/logs.py emit": "of logging itself: a library's line whose words do not fit is logged as it is",
    "web/endpoint.py respond": "the last handler of a request: it answers that the fault is ours, and logs with the request's number",
    "providers/judging.py judged": "for each answer of a push service, on the path whose speed is measured",
    "providers/transport/link.py flush": "for each packet, on the path whose speed is measured: the connection is given up",
    "providers/transport/link.py sweep": "as above",
    "providers/transport/link.py received": "as above",
    "rendering/renderer.py _here": "for each person, on the path whose speed is measured",
}


def catching(module: Iterable[ast.AST]) -> Iterator[str]:
    """The functions that catch whatever is raised and go on; who ends by raising only tidies up, or names it otherwise."""
    for function in module:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in own_nodes(function):
            if isinstance(node, ast.ExceptHandler) and catches_whatever(node.type):
                if not isinstance(node.body[-1], ast.Raise):
                    yield function.name
            elif isinstance(node, ast.Call) and suppresses_whatever(node):
                yield function.name


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """All that is in a function, but for the functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from own_nodes(node)


def suppresses_whatever(call: ast.Call) -> bool:
    return ast.unparse(call.func).endswith("suppress") and any(map(catches_whatever, call.args))


def catches_whatever(caught: ast.expr | None) -> bool:
    return caught is None or any(
        getattr(node, "id", None) in WHATEVER or getattr(node, "attr", None) in WHATEVER
        for node in ast.walk(caught)
    )


def test_whatever_is_raised_is_caught_in_one_place() -> None:
    found = {f"{path} {name}" for path, module in modules().items() for name in catching(module)}
    assert found == set(CATCHING)


def test_it_is_seen_in_whichever_form() -> None:
    forms = {
        "try:\n  a()\n except Exception: pass": True,
        "try:\n  a()\n except (OSError, Exception) as error: log(error)": True,
        "try:\n  a()\n except: pass": True,
        "try:\n  a()\n except BaseException:\n  b()\n  raise": False,
        "try:\n  a()\n except Exception as error:\n  raise Ours from error": False,
        "try:\n  a()\n except OSError: pass": False,
        "with suppress(Exception): a()": True,
        "with contextlib.suppress(OSError, BaseException): a()": True,
        "with suppress(OSError): a()": False,
        "with suppress(asyncio.CancelledError): a()": True,
    }
    for form, caught in forms.items():
        assert bool([*catching(ast.walk(ast.parse(f"def f():\n {form}")))]) == caught, form


def test_what_is_waited_for_does_not_take_a_cancellation() -> None:
    """Until Python 3.12 `asyncio.wait_for` returns, and the task goes on, where it is cancelled as the result comes."""
    for path, module in modules().items():
        assert not [
            node
            for node in module
            if isinstance(node, ast.Attribute)
            and node.attr == "wait_for"
            and ast.unparse(node) == "asyncio.wait_for"
        ], path
