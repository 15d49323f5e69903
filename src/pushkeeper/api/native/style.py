"""The style of the native API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.style import MAX_BODY_BYTES, ApiStyle
from pushkeeper.errors import BadRequest, PushkeeperError, docs_url

if TYPE_CHECKING:
    from pushkeeper.api.context import Context


def native(context: Context, max_body_bytes: int = MAX_BODY_BYTES, *, reads_body: bool = True) -> ApiStyle:
    """Our own API: it takes App API keys."""
    return ApiStyle(
        name="native",
        authenticate=context.keys.app,
        render=_render,
        max_body_bytes=max_body_bytes,
        reads_body=reads_body,
        with_request_id=True,
    )


def _render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """A stable code, a sentence, a link to the code's explanation, and for a bad field its name and path."""
    del status
    field = {"field": error.field, "path": error.path} if isinstance(error, BadRequest) else {}
    return {
        "error": {"code": error.code, **field, "message": error.sentence, "docs_url": docs_url(error.code)}
    }
