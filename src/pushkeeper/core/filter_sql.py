"""A filter as a condition in SQL over `people p`, equal to `filter.matches`; values go as parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.filter import And, Attribute, InSegment, Not, Or, is_identifier, meanings

if TYPE_CHECKING:
    from pushkeeper.core.filter import Node


def condition(node: Node, *, first: int) -> tuple[str, list[object]]:
    """The condition and its parameters, the first of which is `$first`."""
    writer = _Writer(first)
    return writer.write(node), writer.parameters


class _Writer:
    def __init__(self, first: int) -> None:
        self._first = first
        self.parameters: list[object] = []

    def write(self, node: Node) -> str:
        match node:
            case And(nodes):
                return self._joined(nodes, " and ", "true")
            case Or(nodes):
                return self._joined(nodes, " or ", "false")
            case Not(inner):
                return f"not {self.write(inner)}"
            case InSegment(segment_id):
                number = self._parameter(segment_id, "bigint")
                return (
                    "exists (select from segment_members m join segments s using (segment_id) where "
                    f"m.person_id = p.person_id and s.workspace_id = p.workspace_id and m.segment_id = {number})"
                )
            case Attribute(field, value):
                return self._attribute(field, value)

    def _attribute(self, field: str, value: str | None) -> str:
        if is_identifier(field):
            return self._identifier(field, value)
        name = self._parameter(field, "text")
        if value is None:
            return f"(p.attributes ? {name})"
        among = self._parameter(list(meanings(value)), "jsonb[]")
        return f"coalesce(p.attributes -> {name} = any ({among}), false)"

    def _identifier(self, field: str, value: str | None) -> str:
        if field == "cio_id":
            shown = "lpad(to_hex(p.person_id), 12, '0')"
            return "true" if value is None else f"({shown} = {self._parameter(value, 'text')})"
        kind = self._parameter(field, "text")
        found = f"exists (select from identifiers i where i.person_id = p.person_id and i.kind = {kind}"
        if value is None:
            return f"{found})"
        # What an email is looked for by has no case.
        column, wanted = ("key", value.lower()) if field == "email" else ("value", value)
        return f"{found} and i.{column} = {self._parameter(wanted, 'text')})"

    def _joined(self, nodes: tuple[Node, ...], word: str, of_none: str) -> str:
        return f"({word.join(map(self.write, nodes))})" if nodes else of_none

    def _parameter(self, value: object, kind: str) -> str:
        self.parameters.append(value)
        return f"${self._first + len(self.parameters) - 1}::{kind}"
