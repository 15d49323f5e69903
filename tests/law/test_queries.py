"""SQL lives in named queries, each with a sentence, each asked by the module of its name."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from pushkeeper.store.database import load_queries

STORE = Path(__file__).parents[2] / "src" / "pushkeeper" / "store"
FILES = sorted(STORE.glob("sql/*.sql"))
SENTENCE = re.compile(r"[A-Z].*[.]( |$)")


def opening_comment(text: str) -> str:
    lines = takewhile(lambda line: line.startswith("-- "), text.splitlines())
    return " ".join(line.removeprefix("-- ") for line in lines)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_says_what_it_is_about_and_every_query_what_it_does(file: Path) -> None:
    assert SENTENCE.match(opening_comment(file.read_text()))
    queries = load_queries(file.stem)
    assert queries
    assert [name for name, query in queries.items() if not SENTENCE.match(opening_comment(query))] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_name_is_given_twice(file: Path) -> None:
    names = re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_query_is_asked_and_every_query_asked_is_there(file: Path) -> None:
    askers = [
        module.read_text()
        for module in STORE.glob("*.py")
        if f'load_queries("{file.stem}")' in module.read_text()
    ]
    asked = {name for text in askers for name in re.findall(r'SQL\["(\w+)"\]', text)}
    assert asked == set(load_queries(file.stem))
