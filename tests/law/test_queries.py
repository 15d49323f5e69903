"""SQL lives in named queries, each with a sentence, each asked by the module of its name."""

from __future__ import annotations

import ast
import re
from itertools import takewhile
from typing import TYPE_CHECKING

import pytest

from support.queries import FILES, STORE, loaded_by, name_of, queries_of
from support.sources import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATALOG = re.compile(
    r"information_schema|pg_(class|constraint|indexes|inherits|index|policy|tables|trigger)\b"
)
SENTENCE = re.compile(r"[A-Z].*[.]( |$)")


def opening_comment(text: str) -> str:
    lines = takewhile(lambda line: line.startswith("-- "), text.splitlines())
    return " ".join(line.removeprefix("-- ") for line in lines)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_says_what_it_is_about_and_every_query_what_it_does(file: Path) -> None:
    assert SENTENCE.match(opening_comment(file.read_text()))
    queries = queries_of(file)
    assert queries
    assert [name for name, query in queries.items() if not SENTENCE.match(opening_comment(query))] == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_name_is_given_twice(file: Path) -> None:
    names = re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_query_is_asked_and_every_query_asked_is_there(file: Path) -> None:
    askers = [module.read_text() for module in STORE.rglob("*.py") if loaded_by(module) == name_of(file)]
    asked = {name for text in askers for name in re.findall(r'SQL(?:\.bind\(\s*|\[)"(\w+)"', text)}
    assert asked == set(queries_of(file))


def statements() -> Iterator[tuple[str, str]]:
    """All SQL of the store: named queries, and texts in its modules."""
    for file in FILES:
        for name, query in queries_of(file).items():
            yield f"{name_of(file)}.{name}", query
    for module in sorted(STORE.rglob("*.py")):
        for node in nodes(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "select" in node.value:
                yield f"{name_of(module)}:{node.lineno}", node.value


def test_whatever_looks_for_a_relation_by_its_name_says_of_which_schema() -> None:
    """Another installation in the same database has relations of the same names."""
    looking = {place: text for place, text in statements() if CATALOG.search(text)}
    assert len(looking) > 5
    assert [place for place, text in looking.items() if "regclass" not in text] == []


def test_locks_are_those_of_a_schema() -> None:
    """Another installation in the same database has workspaces of the same numbers; only migrations wait for each other."""
    locks = {
        place: text for place, text in statements() if "pg_advisory" in text or "pg_try_advisory" in text
    }
    assert len(locks) > 5
    common = [place.partition(":")[0] for place, text in locks.items() if "current_schema()" not in text]
    assert common == ["db.migrate", "db.migrate"]
