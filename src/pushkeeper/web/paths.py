"""Paths with extra slashes: `//v1/b` from a base URL that ends in a slash, `/v1/b/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Tree: TypeAlias = "dict[str, Tree]"

_PARAMETER = "{}"


def tree(templates: Iterable[str]) -> Tree:
    """The segments of routes' paths, each below those before it."""
    root: Tree = {}
    for template in templates:
        node = root
        for segment in template.split("/")[1:]:
            node = node.setdefault(_PARAMETER if segment.startswith("{") else segment, {})
    return root


def without_extra_slashes(path: str, known: Tree) -> str:
    """The path of a route without empty segments between its words and at its end.

    An empty segment at a parameter is an empty parameter: such a path is returned unchanged, as is an unknown one.
    """
    if "//" not in path and not path.endswith("/"):
        return path
    kept = []
    nodes = [known]
    for segment in path.rstrip("/").split("/")[1:]:
        if segment:
            nodes = [node[name] for node in nodes for name in (segment, _PARAMETER) if name in node]
            kept.append(segment)
        elif any(_PARAMETER in node for node in nodes):
            return path
    return "/" + "/".join(kept) if nodes else path
