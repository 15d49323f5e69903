"""The named queries of the `.sql` files, each beside its module."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries(module: str) -> Mapping[str, str]:
    """The queries of the `.sql` file beside a module, by name; a query runs to the next `-- name:` line."""
    package, _, name = module.rpartition(".")
    return read_queries(resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8"))


def read_queries(text: str) -> Mapping[str, str]:
    """The queries of a text by name."""
    parts = _NAME.split(text)
    return {parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)}
