"""What our own API takes and answers, as schemas of OpenAPI."""

from __future__ import annotations

from pushkeeper.api.openapi.filters import FILTERS
from pushkeeper.api.openapi.schema import Schema, list_of, record
from pushkeeper.core.times import TOO_LATE

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer"}
UNIX: Schema = {"type": "integer", "minimum": 0, "maximum": int(TOO_LATE.timestamp()) - 1}


SCHEMAS: dict[str, Schema] = {
    **FILTERS,
    "UnixTime": UNIX,
    "ApiError": record(
        {
            "error": record(
                {"code": TEXT, "message": TEXT, "docs_url": TEXT, "request_id": TEXT},
                field=TEXT,
                path=list_of({"type": ["string", "integer"]}),
            )
        }
    ),
}
