"""Filters that name saved audiences: the audiences' current filters are inserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.filters.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    And,
    BadFilter,
    InSegment,
    Node,
    Not,
    Or,
    SavedAudience,
    Unit,
    inner_nodes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Definition(msgspec.Struct, frozen=True):
    """What a saved audience is: of what, and its filter."""

    unit: Unit
    node: Node


def named(node: Node) -> frozenset[int]:
    """The segments that a filter names itself."""
    if isinstance(node, InSegment):
        return frozenset((node.segment_id,))
    return frozenset().union(*map(named, inner_nodes(node)))


def expanded(node: Node, saved: Mapping[int, Definition], place: str = "filter") -> Node:
    """The filter with saved audiences put in where it names them; any other segment stays a list of people.

    BadFilter when an audience leads to itself, or when all of it together is too deep or large.
    """
    if not named(node) & saved.keys():
        return node
    return _Expander(saved, place).node(node, 1, ())


class _Expander:
    def __init__(self, saved: Mapping[int, Definition], place: str) -> None:
        self._saved = saved
        self._place = place
        self._nodes = 0

    def node(self, node: Node, depth: int, within: tuple[int, ...]) -> Node:
        self._count(1, depth)
        match node:
            case And(nodes):
                return And(self._all(nodes, depth, within))
            case Or(nodes):
                return Or(self._all(nodes, depth, within))
            case Not(inner):
                return Not(self.node(inner, depth + 1, within))
            case InSegment(segment_id) if segment_id in self._saved:
                return self._put_in(segment_id, depth, within)
        self._count(_size(node) - 1, depth)
        return node

    def _count(self, nodes: int, depth: int) -> None:
        self._nodes += nodes
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise BadFilter(
                self._place,
                f"including the audiences it references, at most {MAX_DEPTH} levels and {MAX_NODES} conditions",
            )

    def _all(self, nodes: tuple[Node, ...], depth: int, within: tuple[int, ...]) -> tuple[Node, ...]:
        return tuple(self.node(inner, depth + 1, within) for inner in nodes)

    def _put_in(self, segment_id: int, depth: int, within: tuple[int, ...]) -> SavedAudience:
        if segment_id in within:
            way = " in ".join(f"segment {one}" for one in (*within[within.index(segment_id) :], segment_id))
            raise BadFilter(self._place, f"an audience cannot reference itself: {way}")
        found = self._saved[segment_id]
        return SavedAudience(segment_id, found.unit, self.node(found.node, depth + 1, (*within, segment_id)))


def _size(node: Node) -> int:
    return 1 + sum(map(_size, inner_nodes(node)))
