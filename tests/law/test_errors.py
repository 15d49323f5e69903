"""The error tree that is drawn is the one that is there, and docstrings promise nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from pushkeeper import errors
from pushkeeper.errors import PushkeeperError
from support.sources import nodes

SRC = Path(__file__).parents[2] / "src" / "pushkeeper"
# The simulator is a stranger: it has errors of its own.
FILES = sorted(file for file in SRC.rglob("*.py") if "simulator" not in file.parts)
CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, PushkeeperError)]
DRAWN = re.compile(r"^    (?P<lines>[│ ]*[├└]── )?(?P<name>\w+)", re.MULTILINE)


def drawn_tree() -> list[tuple[int, str]]:
    """Each name with its depth."""
    assert errors.__doc__ is not None
    return [(len(match["lines"] or "") // 4, match["name"]) for match in DRAWN.finditer(errors.__doc__)]


def real_tree(cls: type[PushkeeperError] = PushkeeperError, depth: int = 0) -> list[tuple[int, str]]:
    below = [line for sub in cls.__subclasses__() if sub in CLASSES for line in real_tree(sub, depth + 1)]
    return [(depth, cls.__name__), *below]


def raised_by_docstrings(file: Path) -> set[str]:
    found = set()
    for node in nodes(file):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            _, _, raises = (ast.get_docstring(node) or "").partition("Raises:\n")
            section = re.split(r"^\S", raises, maxsplit=1, flags=re.MULTILINE)[0]
            found |= set(re.findall(r"^    (\w+):", section, re.MULTILINE))
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn_tree() == real_tree()


def test_codes_are_stable_words_that_no_two_classes_share() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_what_a_docstring_raises_is_in_the_tree() -> None:
    ours = {cls.__name__ for cls in CLASSES}
    # What a socket says is an OSError to those who hold one; above them it is an outcome.
    unknown = {
        file: raised_by_docstrings(file) - ours - ({"OSError"} if "providers" in file.parts else set())
        for file in FILES
    }
    assert {file: names for file, names in unknown.items() if names} == {}


def test_docstrings_do_name_errors() -> None:
    assert {"BadRequest", "NotFound"} <= raised_by_docstrings(SRC / "services/people.py")


def _start(text: ast.expr) -> str:
    """A text as it begins, with what is put into it as `{…}`."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part)}}}" for part in parts
    )


def test_the_name_of_a_field_is_not_written_into_the_sentence_about_it() -> None:
    glued = [
        f"{file}: {ast.unparse(call)}"
        for file in FILES
        for call in nodes(file)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"BadRequest", "TooLarge"}
        and len(call.args) > 1
        and _start(call.args[1]).startswith(f"{_start(call.args[0])}:")
    ]
    assert glued == []
