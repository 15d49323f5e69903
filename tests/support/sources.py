"""Python files as the laws look at them: each is read, parsed and walked once for all tests of a process."""

from __future__ import annotations

import ast
import gc
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file, its module first.

    They are kept until the end: the garbage collector would look at all of them again for each file that is added.
    """
    gc.disable()
    try:
        return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    finally:
        gc.freeze()
        gc.enable()


def module(file: Path) -> ast.Module:
    """What is parsed of a file."""
    whole = nodes(file)[0]
    assert isinstance(whole, ast.Module)
    return whole
