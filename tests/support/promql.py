"""A reader of PromQL as simple as the tests need: is it whole, and which series does it ask for?"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+(?:\.\d+)?(?:ms|[smhdwy])?)|(?P<name>[a-zA-Z_:][\w:]*)"
    r"|(?P<variable>\$\w+)|(?P<op>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],]))"
)
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {*_LISTS, "and", "or", "unless", "bool", "offset"}


@dataclass(frozen=True)
class Read:
    """The series that an expression asks for, each with the labels it is matched by; and the labels grouped by."""

    asked: tuple[tuple[str, tuple[str, ...]], ...]
    grouped: tuple[str, ...]
    functions: frozenset[str]


def read(expression):
    """Raises ValueError where it is not whole."""
    tokens = _tokens(expression)
    _balanced(tokens)
    asked, grouped, functions = [], [], set()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text in _LISTS:
            if following == "(":
                end = next(n for n in range(at, len(tokens)) if tokens[n][1] == ")")
                grouped += [word for of, word in tokens[at + 2 : end] if of == "name"]
                at = end
        elif kind == "name" and text not in _WORDS:
            if following == "(" or (text in AGGREGATIONS and following in {"by", "without"}):
                functions.add(text)
            else:
                labels, at = _matchers(tokens, at)
                asked.append((text, labels))
        at += 1
    return Read(tuple(asked), tuple(grouped), frozenset(functions))


def _tokens(expression):
    found, at = [], 0
    text = expression.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not PromQL from here: {text[at : at + 20]!r}")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def _balanced(tokens):
    open_ = []
    for _, text in tokens:
        if text in _CLOSES:
            open_.append(_CLOSES[text])
        elif text in _CLOSES.values() and (not open_ or open_.pop() != text):
            raise ValueError(f"{text} closes nothing")
    if open_:
        raise ValueError(f"{open_[-1]} is missing")


AGGREGATIONS = {"sum", "max", "min", "avg", "count", "topk", "bottomk", "quantile"}
FUNCTIONS = AGGREGATIONS | {
    *(
        "rate",
        "irate",
        "increase",
        "changes",
        "histogram_quantile",
        "absent",
        "vector",
        "clamp_max",
        "clamp_min",
        "time",
    ),
}


def _matchers(tokens, at):
    """The labels between the braces behind a name, and where they end."""
    if at + 1 >= len(tokens) or tokens[at + 1][1] != "{":
        return (), at
    end = next(n for n in range(at, len(tokens)) if tokens[n][1] == "}")
    inside = tokens[at + 2 : end]
    labels = []
    while inside:
        (kind, label), (_, operator), (of, _), *inside = inside
        if kind != "name" or operator not in {"=", "!=", "=~", "!~"} or of != "string":
            raise ValueError(f"no matcher: {label}{operator}")
        labels.append(label)
        if inside:
            (_, comma), *inside = inside
            if comma != "," or not inside:
                raise ValueError(f"no comma behind {label}")
    return tuple(labels), end
