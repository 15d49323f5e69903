"""What guards us against what others send exists once, and nothing goes past it."""

from __future__ import annotations

import ast
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "pushkeeper"


def modules() -> dict[str, ast.Module]:
    """Every module of ours, by its path."""
    return {
        str(file.relative_to(SRC)): ast.parse(file.read_text(encoding="utf-8")) for file in SRC.rglob("*.py")
    }


def importers_of(name: str) -> set[str]:
    """The modules that import a module or anything of it, wherever in them."""
    found = set()
    for path, module in modules().items():
        for node in ast.walk(module):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(one == name or one.startswith(f"{name}.") for one in names):
                found.add(path)
    return found


def test_csv_is_written_by_one_module() -> None:
    assert importers_of("csv") == {"core/spreadsheet.py"}
