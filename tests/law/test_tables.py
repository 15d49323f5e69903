"""Every table of the documentation renders: it has a head, and each row has as many cells as the head."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
RULE = re.compile(r"\|(\s*:?-{3,}:?\s*\|)+")


def prose(text):
    """The lines of a page outside its fenced code, each with its number."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def tables(text):
    """The tables of a page: consecutive lines that begin with a pipe."""
    table = []
    for number, line in prose(text):
        if line.lstrip().startswith("|"):
            table.append((number, line.strip()))
        elif table:
            yield table
            table = []
    if table:
        yield table


def cells(row):
    """The cells of a row, by the pipes that separate them: one in code or after a backslash does separate only unescaped."""
    return re.split(r"(?<!\\)\|", row.strip("|"))


def faults(text):
    """What would not render as a table, with its line."""
    for table in tables(text):
        (first, head), *rows = table
        if not rows or not RULE.fullmatch(rows[0][1]):
            yield first, "a table needs a line of dashes below its head"
            continue
        for number, row in rows:
            if not row.endswith("|"):
                yield number, "a row ends with a pipe; a cell is one line"
            elif len(cells(row)) != len(cells(head)):
                yield number, f"{len(cells(row))} cells below a head of {len(cells(head))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page):
    assert list(faults(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_at_most_100_characters(page):
    text = page.read_text(encoding="utf-8")
    if "decisions" in page.parts or text.startswith("<!-- Generated"):
        return
    long = [
        number
        for number, line in prose(text)
        # A table, a picture and a line without a space cannot be wrapped.
        if len(line) > 100 and not re.match(r"\s*[|!<]", line) and " " in line.strip()[:100]
    ]
    assert long == []


def test_a_table_that_does_not_render_is_found():
    assert [number for number, _ in faults("| a | b |\n|---|---|\n| 1 |\n| 1 | 2 |")] == [3]
    assert [number for number, _ in faults("| a | b |\n|---|---|\n| 1 | x\n  y |")] == [3]
    assert [number for number, _ in faults("| a | b |\n| 1 | 2 |")] == [1]
    assert [number for number, _ in faults("| a |\n|---|\n| `x|y` |\n| `x\\|y` |")] == [3]
    assert list(faults("```\n| a |\n```")) == []


def test_tables_are_found_at_all():
    assert sum(len(list(tables(page.read_text(encoding="utf-8")))) for page in PAGES) > 100
