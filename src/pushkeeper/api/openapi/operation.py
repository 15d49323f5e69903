"""One operation of the native API, and what paginated operations have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Struct

    from pushkeeper.api.openapi.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it does, its parameters and its responses.

    Attributes:
        id: its name in generated clients.
        query: the struct that its parameters are read into.
        body: the struct that its body is read into.
        answer: the struct that it answers with, or a schema.
        refused: statuses that it may answer beside those that all may.
        body_is_optional: it may be called without a body.
        has_upload: it also takes a multipart form with the fields of `body` and a `file`, in the place of its `url`.
        parts: structs that the schema of its answer names.
        csv: it may answer with a table, if `format=csv` is asked for.
        file: the media types that it answers with in place of JSON.
    """

    id: str
    summary: str
    description: str
    answer: type[Struct] | Schema | None
    status: int = 200
    query: type[Struct] | None = None
    body: type[Struct] | Schema | None = None
    body_is_optional: bool = False
    has_upload: bool = False
    refused: tuple[int, ...] = ()
    csv: bool = False
    file: tuple[str, ...] = ()
    parts: tuple[type[Struct], ...] = ()


Operations = dict[tuple[str, str], Operation]  # by method and path
