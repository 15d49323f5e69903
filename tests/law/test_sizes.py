"""A file owns one noun or one decision, and a function fits on a screen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
FILES = sorted(SRC.rglob("*.py"))
MOST_LINES_OF_A_FILE = 440  # about 400 is the aim
MOST_LINES_OF_A_FUNCTION = 60


def name_of(file: Path) -> str:
    return str(file.relative_to(SRC))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_is_about_400_lines_at_most(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_function_is_60_lines_at_most(file: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION} == {}
