"""A file owns one noun or one decision, and a function fits on a screen."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from support.sources import module

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parents[2] / "src"
FILES = sorted(SRC.rglob("*.py"))
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
SAME_NAMES = """
class One:
    def render(self):
        a = 1
        return a

class Other:
    def render(self):
        def inner(): pass

if True:
    def render(): pass
else:
    def render():
        pass
"""


def name_of(file: Path) -> str:
    return str(file.relative_to(SRC))


def functions(node: ast.AST, within: str = "") -> Iterator[tuple[str, int]]:
    """The qualified name and the number of lines of each function, also of those that share a name."""
    for child in ast.iter_child_nodes(node):
        name = within
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{within}.{child.name}".removeprefix(".")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, (child.end_lineno or 0) - child.lineno + 1
        yield from functions(child, name)


def test_a_file_is_400_lines_at_most() -> None:
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE} == {}


def test_a_function_is_60_lines_at_most() -> None:
    found = [(name_of(file), name, lines) for file in FILES for name, lines in functions(module(file))]
    assert len(found) > len(FILES)
    assert [one for one in found if one[2] > MOST_LINES_OF_A_FUNCTION] == []


def test_functions_of_one_name_are_each_measured() -> None:
    assert list(functions(ast.parse(SAME_NAMES))) == [
        ("One.render", 3),
        ("Other.render", 2),
        ("Other.render.inner", 1),
        ("render", 1),
        ("render", 2),
    ]
