"""The description of one operation of our own API, and what paginated operations have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushkeeper.api.openapi.schema import Schema, whole

START: Schema = {"type": "string", "description": "The `next` of the page before."}
LIMIT: dict[str, Schema] = {"limit": {**whole(1, 1_000), "description": "The most items of a page."}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it does, takes and answers.

    Attributes:
        id: what generated clients call it.
        query: parameters by name.
        refused: statuses that it may answer beside those that all may.
        body_is_optional: it may be called without a body.
        csv: it may answer with a table, if `format=csv` is asked for.
    """

    id: str
    summary: str
    description: str
    answer: Schema | None
    status: int = 200
    query: dict[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    body_is_optional: bool = False
    refused: tuple[int, ...] = ()
    csv: bool = False


Operations = dict[tuple[str, str], Operation]  # by method and path
