"""The import law of pyproject.toml."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.sources import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pushkeeper"
TOP = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" and not path.stem.startswith("__")) or (path / "__init__.py").exists()
}
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
STATEMENT = re.compile(
    r"\s*(select\s|insert\s+into|update\s+\w+\s+set|delete\s+from|with\s+\w+\s+as\b|(un)?listen\s|notify\s|truncate\s|"
    r"(create|alter|drop)\s+(unique\s+)?(table|index|function|trigger|policy|role|database|extension|sequence)\b)",
    re.IGNORECASE,
)


def test_the_import_law_is_kept() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("contract", "key", "others"),
    [
        ("The store alone speaks to the driver", "source_modules", {"store"}),
        ("The simulator is a stranger", "forbidden_modules", {"certificates", "simulator"}),
    ],
)
def test_a_contract_names_every_package_but_those_that_it_is_about(
    contract: str, key: str, others: set[str]
) -> None:
    named = {name.removeprefix("pushkeeper.") for name in CONTRACTS[contract][key]}
    assert named == TOP - others


def test_no_surface_asks_the_store_past_the_services() -> None:
    contract = CONTRACTS["Surfaces call services"]
    assert set(contract["source_modules"]) == {f"pushkeeper.{name}" for name in ("api", "cli", "dashboard")}
    assert "ignore_imports" not in contract


def sql_in(module: Iterable[ast.AST]) -> list[int]:
    """The lines at which texts begin as statements do."""
    return [
        node.lineno
        for node in module
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value)
    ]


def test_statements_are_written_in_the_store_alone() -> None:
    found = {
        f"{name}:{line}"
        for file in PACKAGE.rglob("*.py")
        if not (name := file.relative_to(PACKAGE).as_posix()).startswith("store/")
        for line in sql_in(nodes(file))
    }
    assert found == set()


@pytest.mark.parametrize("text", ["select 1", "\n  with a as (select 1)", "notify jobs", "CREATE INDEX i"])
def test_what_begins_as_a_statement_is_found(text: str) -> None:
    assert sql_in(ast.walk(ast.parse(repr(text)))) == [1]


def imports() -> dict[str, set[str]]:
    """Which modules of ours each imports, for types too."""
    files = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, file in files.items():
        named = [
            (node.module or "", alias.name)
            for node in nodes(file)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        both = {f"{package}.{name}" if f"{package}.{name}" in files else package for package, name in named}
        found[module] = both & files.keys() - {module}
    return found


def in_a_circle(imported: dict[str, set[str]]) -> set[str]:
    """Those that remain when all are taken away, again and again, that import nothing or that nothing imports."""
    left = dict(imported)
    while True:
        wanted = set().union(*left.values()) if left else set()
        loose = {
            module for module, others in left.items() if not others & left.keys() or module not in wanted
        }
        if not loose:
            return set(left)
        left = {module: others for module, others in left.items() if module not in loose}


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    assert in_a_circle(imports()) == set()


def test_a_circle_is_found() -> None:
    assert in_a_circle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}
