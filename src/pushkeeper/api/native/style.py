"""The style of our own API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.style import MAX_BODY_BYTES, ApiStyle
from pushkeeper.errors import BadRequest, PushkeeperError

if TYPE_CHECKING:
    from pushkeeper.api.context import Context


def native(context: Context, max_body_bytes: int = MAX_BODY_BYTES) -> ApiStyle:
    """Our own API: it takes App API keys."""
    return ApiStyle(
        name="native", authenticate=context.keys.app, render=_render, max_body_bytes=max_body_bytes
    )


def _render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """A stable code for machines, a sentence for people, and the field where there is one: as text, and as its path."""
    del status
    field = {"field": error.field, "path": error.path} if isinstance(error, BadRequest) else {}
    return {"error": {"code": error.code, **field, "message": error.message}}
