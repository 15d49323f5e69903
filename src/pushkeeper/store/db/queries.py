"""The named queries of the `.sql` files, each beside its module."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)


class Queries(dict[str, str]):
    """Queries by name, as PostgreSQL takes them; those with named parameters (`:name`) are called through `bind`."""

    def __init__(self, texts: dict[str, str]) -> None:
        numbered = {name: _numbered(name, text) for name, text in texts.items()}
        super().__init__({name: text for name, (text, _) in numbered.items()})
        self._parameters = {name: parameters for name, (_, parameters) in numbered.items() if parameters}

    def bind(self, name: str, /, **values: object) -> tuple[str, *tuple[object, ...]]:
        """A query and its arguments in the order of their numbers; TypeError unless exactly its parameters are given."""
        parameters = self._parameters[name]
        if values.keys() != set(parameters):
            raise TypeError(f"query {name}: parameters differ in {sorted(values.keys() ^ set(parameters))}")
        return self[name], *(values[parameter] for parameter in parameters)


def load_queries(module: str) -> Queries:
    """The queries of the `.sql` file beside a module, by name; a query runs to the next `-- name:` line."""
    package, _, name = module.rpartition(".")
    return read_queries(resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8"))


def read_queries(text: str) -> Queries:
    """The queries of a text by name; ValueError where one has both named and numbered parameters."""
    parts = _NAME.split(text)
    return Queries({parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)})


def _numbered(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """A query with numbers in place of names, and the names in the order of the numbers."""
    names = dict.fromkeys(_PARAMETER.findall(_COMMENT.sub("", text)))
    if not names:
        return text, ()
    if re.search(r"\$\d", text):
        raise ValueError(f"query {name}: has both named and numbered parameters")
    numbers = {parameter: n for n, parameter in enumerate(names, 1)}
    lines = (
        line if line.startswith("--") else _PARAMETER.sub(lambda match: f"${numbers[match[1]]}", line)
        for line in text.splitlines()
    )
    return "\n".join(lines), tuple(names)
