"""The texts of the code that people read: each with the place where it is."""

from __future__ import annotations

import ast
import re
import tokenize
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushkeeper import errors
from pushkeeper.api.openapi import document
from pushkeeper.cli import commands_of, main
from pushkeeper.core.delivery import decision_table, reason_codes
from pushkeeper.observability.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parents[2] / "src" / "pushkeeper"
# Where almost every text is one that is shown; elsewhere only messages of errors are.
SHOWN = ("dashboard", "cli", "core/explain", "services/doctor")
ERRORS = {
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.PushkeeperError)
} | {"BadFilter", "BadSchedule", "BadTemplate"}
_IGNORED = {"migrations", "node_modules", ".venv"}
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_CODE = re.compile(r"<(code|pre|svg)\b.*?</\1>", re.DOTALL)
_OF_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ATTRIBUTE = re.compile(r'\b(?:aria-label|data-asks|data-label|title|alt)="([^"]*)"')


def without_code(text: str) -> str:
    """A text without names of the API and commands, which stand between backticks."""
    return re.sub(r"`[^`\n]*`", "`code`", text)


def templates() -> Iterator[tuple[str, str]]:
    """The dashboard's templates: their text, labels that are attributes, and texts that macros are called with."""
    for file in sorted((SRC / "dashboard/templates").glob("*.html")):
        source = _CODE.sub(" ", _COMMENT.sub("", file.read_text(encoding="utf-8")))
        for found in _OF_JINJA.findall(source):
            for literal in _LITERAL.findall(found):
                if " " in literal.strip():
                    yield file.name, literal
        source = _OF_JINJA.sub(" … ", source)
        for label in _ATTRIBUTE.findall(source):
            yield file.name, label
        yield file.name, re.sub(r"<[^>]*>", "\n", source)


def help_texts() -> Iterator[tuple[str, str]]:
    """The help of every command and option."""

    def of(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
        yield name, command.help or ""
        yield name, command.short_help or ""
        for option in command.params:
            yield name, getattr(option, "help", None) or ""
        if isinstance(command, click.Group):
            for below, inner in commands_of(command).items():
                yield from of(inner, f"{name} {below}")

    for name, text in of(main, "pushkeeper"):
        yield name, without_code(text)


def api_reference() -> Iterator[tuple[str, str]]:
    """The summaries and descriptions of the API."""

    def within(value: Any, place: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in {"summary", "description"} and isinstance(inner, str):
                    yield place, without_code(inner)
                else:
                    yield from within(inner, f"{place}.{key}")
        elif isinstance(value, list):
            for inner in value:
                yield from within(inner, place)

    yield from within(document(), "openapi")


def metrics() -> Iterator[tuple[str, str]]:
    """The help of every metric."""
    for metric in Metric:
        yield metric.value.name, without_code(metric.value.help)


def codes() -> Iterator[tuple[str, str]]:
    """What codes of reasons and errors mean, and what is done about them."""
    for row in decision_table.TABLE:
        for field in fields(row):
            if field.name != "code":
                yield row.code, without_code(str(getattr(row, field.name)))
    yield from reason_codes.OWN.items()
    for of in errors.reference():
        for one in of:
            yield one.code, without_code(f"{one.meaning} {one.remedy}")


def shown_texts() -> Iterator[tuple[str, str]]:
    """Texts of the modules whose texts are shown, and the messages of all errors."""
    for file in sorted(SRC.rglob("*.py")):
        name = str(file.relative_to(SRC))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if name.startswith(SHOWN):
            found = _all(tree)
        elif "simulator" not in file.parts:
            found = _raised(tree)
        else:
            continue
        for line, text in found:
            yield f"{name}:{line}", without_code(text)


def _all(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text of more than a word that is no docstring."""
    parts = {id(part) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for part in one.values}
    docstrings = {
        id(one.body[0].value)
        for one in ast.walk(tree)
        if isinstance(one, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and one.body
        and isinstance(one.body[0], ast.Expr)
    }
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant | ast.JoinedStr) and id(one) not in parts | docstrings:
            text = _text(one)
            if " " in text.strip():
                yield one.lineno, text


def _raised(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What errors are made with."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ERRORS:
            for one in call.args:
                if text := _text(one):
                    yield call.lineno, text


def _text(node: ast.AST) -> str:
    """A text as it is written, with what is put into it as `…`; empty for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def comments() -> Iterator[tuple[str, str]]:
    """Docstrings, comments and names of functions and classes, and comments of SQL; what migrations say is fixed."""
    root = SRC.parents[1]
    for folder in ("src", "tests", "benchmarks", "docs"):
        for file in sorted((root / folder).rglob("*.py")):
            if not _IGNORED.isdisjoint(file.parts):
                continue
            place = str(file.relative_to(root))
            with tokenize.open(file) as source:
                for token in tokenize.generate_tokens(source.readline):
                    if token.type == tokenize.COMMENT:
                        yield f"{place}:{token.start[0]}", token.string
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    at = f"{place}:{getattr(node, 'lineno', 1)}"
                    yield at, without_code(ast.get_docstring(node) or "")
                    yield at, getattr(node, "name", "").replace("_", " ")
        for file in sorted((root / folder).rglob("*.sql")):
            if _IGNORED.isdisjoint(file.parts):
                lines = re.findall(r"--(.*)", file.read_text(encoding="utf-8"))
                yield str(file.relative_to(root)), "\n".join(lines)
