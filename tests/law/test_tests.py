"""A test can fail: each asserts something, by itself or by what it calls; and each property follows Hypothesis's profile."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from support.sources import module, nodes

TESTS = Path(__file__).parents[1]
FOREIGN = {"node_modules", ".venv"}
FILES = [file for file in sorted(TESTS.rglob("*.py")) if FOREIGN.isdisjoint(file.parts)]
# What fails by itself: of pytest, of Playwright, of asyncio, and of what tests talk to (an unexpected status, or no end).
FAILING = {
    "raises",
    "fail",
    "expect",
    "timeout",
    "timeout_at",
    "wait_for",
    "call",
    "until",
    "ended",
    "refusal",
}
# Their subject raises when it is wrong, and says nothing when it is right.
NOT_RAISING = {
    "test_a_priority_of_a_custom_payload_is_taken_in_either_case_as_by_google",
    "test_what_liquid_will_make_of_a_header_is_not_judged_beforehand",
    "test_wherever_and_is_offered_what_was_taken_so_far_is_a_filter",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(file: Path) -> str:
    return str(file.relative_to(TESTS))


@cache
def functions(file: Path) -> list[Function]:
    return [node for node in nodes(file) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def asserts(function: Function) -> bool:
    for node in ast.walk(function):
        match node:
            case ast.Assert():
                return True
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in FAILING:
                return True
    return False


def calls(function: Function) -> set[str]:
    """What a function calls by its bare name."""
    return {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def asserting(file: Path) -> set[str]:
    """The functions of a file, and those that it imports from others of the tests, that assert something or call one that does."""
    if file not in _asserting:
        _asserting[file] = set()
        calling = [(function.name, calls(function)) for function in functions(file)]
        found = {function.name for function in functions(file) if asserts(function)}
        for node in module(file).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("support."):
                theirs = asserting(TESTS / f"{(node.module or '').replace('.', '/')}.py")
                found |= {alias.asname or alias.name for alias in node.names if alias.name in theirs}
        while more := {name for name, called in calling if name not in found and called & found}:
            found |= more
        _asserting[file] = found
    return _asserting[file]


_asserting: dict[Path, set[str]] = {}


def test_each_test_asserts_something() -> None:
    tests = {
        file: {function.name for function in functions(file) if function.name.startswith("test_")}
        for file in FILES
    }
    assert sum(map(len, tests.values())) > 1_000
    idle = {name_of(file): names - asserting(file) - NOT_RAISING for file, names in tests.items()}
    assert {file: names for file, names in idle.items() if names} == {}


def test_no_property_has_a_number_of_examples_that_no_profile_changes() -> None:
    fixed = [
        f"{name_of(file)}:{node.value.lineno}"
        for file in FILES
        for node in nodes(file)
        if isinstance(node, ast.keyword)
        and node.arg == "max_examples"
        and isinstance(node.value, ast.Constant)
    ]
    assert [place for place in fixed if not place.startswith("conftest.py:")] == [], (
        "take it from support/examples.py"
    )
