"""One operation of our own API, as it is described; and what those have in common that answer page by page."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushkeeper.api.openapi_schemas import Schema, whole

START: Schema = {"type": "string", "description": "the `next` of the page before"}
LIMIT = {"limit": whole(1, 1_000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it does, takes and answers.

    Attributes:
        query: parameters by name.
        refused: statuses that it may answer beside those that all may.
        csv: it may answer with a table, if `format=csv` is asked for.
    """

    summary: str
    answer: Schema | None
    status: int = 200
    query: dict[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    refused: tuple[int, ...] = ()
    csv: bool = False
