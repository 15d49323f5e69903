"""Snippets: texts that many messages share, checked when they are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.messages import personalize
from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.core.messages.snippets import MAX_NAME_CHARACTERS, MAX_VALUE_CHARACTERS
from pushkeeper.core.model import Content
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.services.messages.templates import check_liquid, snippets_of
from pushkeeper.store.messages import snippets, templates
from pushkeeper.store.messages.snippets import Snippet

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database

__all__ = ["MOST", "Snippet", "Snippets"]

MOST = 500  # of a workspace


class Snippets:
    """The snippets of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, workspace: WorkspaceId) -> list[Snippet]:
        """The snippets of a workspace, by name."""
        return await snippets.of_workspace(self._database, workspace)

    @audited("snippet.make", "name")
    async def make(self, entry: AuditEntry, workspace: WorkspaceId, name: str, value: str) -> Snippet:
        """Create a snippet.

        Raises:
            BadRequest: its name or value is malformed, the name is taken, or there are too many.
        """
        name, value = await self._checked(workspace, name, value)
        made = await snippets.insert(self._database, workspace, name, value)
        if made is None:
            raise BadRequest("name", "A snippet with that name already exists", is_sentence=True)
        entry.target = name
        return made

    @audited("snippet.put", "name")
    async def put(self, entry: AuditEntry, workspace: WorkspaceId, name: str, value: str) -> Snippet:
        """Save a snippet, replacing one of the same name; messages that were sent are not affected.

        Raises:
            BadRequest: its name or value is malformed, or there are too many.
        """
        name, value = await self._checked(workspace, name, value)
        entry.target = name
        return await snippets.put(self._database, workspace, name, value)

    @audited("snippet.delete", "name")
    async def delete(self, entry: AuditEntry, workspace: WorkspaceId, name: str) -> None:
        """Delete a snippet that no template uses.

        Raises:
            BadRequest: a template uses it.
            NotFound: it does not exist.
        """
        if name in await self._used(workspace):
            raise BadRequest("name", "unable to delete snippet in use", is_sentence=True)
        entry.target = name
        if not await snippets.delete(self._database, workspace, name):
            raise NotFound("Snippet not found")

    async def _checked(self, workspace: WorkspaceId, name: str, value: str) -> tuple[str, str]:
        name, value = name.strip(), value.strip()
        for field, text, most in (
            ("name", name, MAX_NAME_CHARACTERS),
            ("value", value, MAX_VALUE_CHARACTERS),
        ):
            if not text:
                raise BadRequest(field, f"{field} cannot be blank", "missing", is_sentence=True)
            if len(text) > most:
                raise BadRequest(
                    field, f"{field} cannot exceed {most} characters", "too_large", is_sentence=True
                )
        await _check(value)
        if await snippets.others(self._database, workspace, name) >= MOST:
            raise BadRequest("name", f"a workspace cannot have more than {MOST} snippets", is_sentence=True)
        return name, value

    async def _used(self, workspace: WorkspaceId) -> set[str]:
        """The names of the snippets that templates use."""
        found = await templates.of_workspace(self._database, workspace)
        contents = [content for one in found for content in (one.content, *one.translations.values())]
        return await snippets_of([text for one in contents for text in personalize.liquid_texts(one)])


async def _check(value: str) -> None:
    """Compile a value; a value that uses a snippet is refused, so that no snippet can use itself."""
    try:
        await check_liquid(Content(message=value))
    except BadRequest as error:
        raise error.at("value") from None
    if is_liquid(value) and await snippets_of([value]):
        raise BadRequest(
            "value", "Snippets cannot contain Liquid code referencing other snippets.", is_sentence=True
        )
