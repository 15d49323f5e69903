"""What a Liquid text must be like before it is given to python-liquid, whose lexer is quadratic over some texts."""

from __future__ import annotations

import re

MAX_SOURCE_CHARACTERS = 20_000
_MAX_SPACES = 100  # in a row, within one output or tag: its lexer tries each of them as the end
_MAX_BRACKETS = 500  # of a text: for each its lexer looks through the rest of the expression
_SPACES = re.compile(rf"\s{{{_MAX_SPACES + 1}}}")
_OPENING = re.compile(r"\{[{%]")
_VERBATIM = {
    "raw": (re.compile(r"\{%-?\s*raw\s*-?%\}"), re.compile(r"\{%-?\s*endraw\s*-?%\}")),
    "doc": (re.compile(r"\{%-?\s*doc\s*-?%\}"), re.compile(r"\{%-?\s*enddoc\s*-?%\}")),
}


class BadTemplate(Exception):
    """What is wrong with a template, and where: line and column, from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {message}")

    @classmethod
    def at(cls, text: str, index: int, message: str) -> BadTemplate:
        """The same, with the place as an index into the text."""
        before = text[:index]
        return cls(message, before.count("\n") + 1, index - before.rfind("\n"))


def check_source(text: str) -> None:
    """Refuse what python-liquid would need more than linear time to compile.

    BadTemplate when it is too long, or an output or a tag is not closed or has too many spaces or brackets.
    """
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise BadTemplate(f"at most {MAX_SOURCE_CHARACTERS} characters")
    brackets = at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        start = opening.start()
        at = _end_of(text, start)
        if (spaces := _SPACES.search(text, start, at)) is not None:
            raise BadTemplate.at(text, spaces.start(), f"at most {_MAX_SPACES} spaces in a row")
        brackets += text.count("(", start, at) + text.count("[", start, at)
        if brackets > _MAX_BRACKETS:
            raise BadTemplate.at(text, start, f"at most {_MAX_BRACKETS} brackets")
        at = _after_verbatim(text, start, at)


def _end_of(text: str, start: int) -> int:
    closing = "}}" if text.startswith("{{", start) else "%}"
    found = text.find(closing, start + 2)
    if found < 0:
        raise BadTemplate.at(text, start, f"expected {closing!r}, found end of file")
    return found + 2


def _after_verbatim(text: str, start: int, at: int) -> int:
    """The position where Liquid continues after a tag: past the end of a raw block."""
    for name, (begins, ends) in _VERBATIM.items():
        if begins.fullmatch(text, start, at):
            if (end := ends.search(text, at)) is None:
                raise BadTemplate.at(text, start, f"{name} tag was never closed")
            return end.end()
    return at
