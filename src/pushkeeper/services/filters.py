"""Parse filters, as trees or text, and insert the saved audiences that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.filters import from_text
from pushkeeper.core.filters import saved as filter_saved
from pushkeeper.core.filters.nodes import BadFilter
from pushkeeper.errors import BadRequest
from pushkeeper.store.people import segments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.filters.saved import Definition
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.people.segments import Fetch


def read_filter(given: object) -> Node:
    """The filter that a tree or a text says.

    Raises:
        BadRequest: it is none.
    """
    try:
        node = from_text.read(given)
        wrong = from_text.misspelled(given) if isinstance(given, str) else None
    except BadFilter as error:
        raise _refused(error) from None
    if wrong is not None:
        name, meant = wrong
        raise BadRequest(
            "filter",
            f'unknown field "{name}": did you mean {meant}? An attribute of that name is written device.{name}',
        )
    return node


async def read_whole(fetch: Fetch, workspace: WorkspaceId, given: object) -> Node:
    """The filter that a tree or a text says, with the saved audiences that it names put in.

    `fetch` is a database's `rows`, or a connection's `fetch`.

    Raises:
        BadRequest: it is none, or names a segment that there is not.
    """
    return await whole(fetch, workspace, read_filter(given))


async def whole(fetch: Fetch, workspace: WorkspaceId, node: Node) -> Node:
    """A filter with the saved audiences that it names put in.

    Raises:
        BadRequest: it names a segment that there is not, or itself, or is too large with them.
    """
    named = filter_saved.named(node)
    if not named:
        return node
    if unknown := named - await segments.ids(fetch, workspace):
        raise BadRequest("filter", f"segment {min(unknown)} does not exist")
    return expanded(node, await segments.saved(fetch, workspace))


def expanded(node: Node, saved: Mapping[int, Definition]) -> Node:
    """A filter with the saved audiences that it names put in.

    Raises:
        BadRequest: it names itself, or is too large with them.
    """
    try:
        return filter_saved.expanded(node, saved)
    except BadFilter as error:
        raise _refused(error) from None


def _refused(error: BadFilter) -> BadRequest:
    return BadRequest(error.place, error.message)
