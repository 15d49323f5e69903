"""What requests share: strictness about names, pages, and types that OpenAPI describes by a schema of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import Meta, Struct, structs

if TYPE_CHECKING:
    from typing import Self

MAX_NAME_BYTES = 255
MAX_DESCRIPTION_BYTES = 2_000
LARGEST_PAGE = 1_000


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: a field that is none of the struct's is refused, and null is the same as absent."""


class View(Struct, frozen=True, kw_only=True, gc=False):
    """What a client is answered; in the OpenAPI document without the `View` of its name."""

    @classmethod
    def from_attributes(cls, found: object, **computed: Any) -> Self:  # noqa: ANN401 - the rest of its fields
        """The view of an object: its attributes by the names of the required fields, but for those that are computed."""
        copied = {name: getattr(found, name) for name in _required(cls) if name not in computed}
        return cls(**copied, **computed)


@cache
def _required(view: type[View]) -> tuple[str, ...]:
    return tuple(field.name for field in structs.fields(view) if field.required)


Time: TypeAlias = Annotated[
    int | float | str,
    Meta(description="Unix seconds or an ISO 8601 time with a zone, such as 2026-12-24T18:00:00Z."),
]
Filter: TypeAlias = Annotated[dict[str, Any] | str, Meta(extra_json_schema={"x-schema": "Filter"})]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_BYTES)]
Id: TypeAlias = Annotated[int, Meta(ge=1, le=2**62)]
Start: TypeAlias = Annotated[str, Meta(description="The `next` value of the previous page.")]
Limit: TypeAlias = Annotated[
    int, Meta(ge=1, le=LARGEST_PAGE, description="Maximum number of items per page.")
]


class PageQuery(Request, frozen=True, kw_only=True):
    """A page of a list."""

    start: Start | None = None
    limit: Limit | None = None
