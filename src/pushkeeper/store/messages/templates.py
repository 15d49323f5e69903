"""Templates: what transactional messages and broadcasts say, by number or by trigger name."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.messages.personalize import WhenUndefined
from pushkeeper.core.model import Content
from pushkeeper.errors import Conflict
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)


class TemplateKind(StrEnum):
    TRANSACTIONAL = "transactional"  # sent to one person, by POST /v1/send/push
    BROADCAST = "broadcast"  # sent to many, by POST /v1/campaigns/{id}/triggers


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The template to save.

    Attributes:
        trigger_name: by which it may be named beside its number, in any case.
        translations: contents by language.
        audience: a broadcast's own, as a filter; None: everybody.
    """

    kind: TemplateKind
    name: str
    trigger_name: str | None = None
    description: str = ""
    content: Content = field(default_factory=Content)
    translations: dict[str, Content] = field(default_factory=dict)
    when_undefined: WhenUndefined = WhenUndefined.FAIL
    send_to_unsubscribed: bool = True
    audience: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template(Draft):
    """A stored template."""

    template_id: int
    created_at: datetime
    updated_at: datetime


async def insert(database: Database, workspace: WorkspaceId, draft: Draft) -> int:
    """Keep a new template, and return its number.

    Raises:
        Conflict: another has its trigger name.
    """
    made: int | None = await database.of(workspace).value(
        SQL["insert"], workspace, draft.kind, *_columns(draft)
    )
    if made is None:
        raise _taken(draft)
    return made


async def change(database: Database, workspace: WorkspaceId, template_id: int, draft: Draft) -> bool:
    """Let a template of this kind be so, and say whether there is one.

    Raises:
        Conflict: another has its trigger name.
    """
    if draft.trigger_name is not None and await database.of(workspace).value(
        SQL["taken"], workspace, draft.kind, draft.trigger_name, template_id
    ):
        raise _taken(draft)
    return (
        await database.of(workspace).value(
            SQL["change"], workspace, draft.kind, template_id, *_columns(draft)
        )
        is not None
    )


async def delete(database: Database, workspace: WorkspaceId, template_id: int) -> bool:
    """Forget a template, and say whether there was one."""
    return await database.of(workspace).value(SQL["delete"], workspace, template_id) is not None


async def of_workspace(
    database: Database, workspace: WorkspaceId, kind: TemplateKind | None = None, only: int | None = None
) -> list[Template]:
    """The templates of a workspace, the oldest first; of one kind, or only one of them."""
    rows = await database.of(workspace).rows(SQL["all"], workspace, kind, only)
    return database.readable(rows, _template, table="templates", key="template_id", workspace=workspace)


async def triggered(
    database: Database, workspace: WorkspaceId, kind: TemplateKind, trigger_name: str
) -> Template | None:
    """The template of this trigger name."""
    row = await database.of(workspace).row(SQL["triggered"], workspace, kind, trigger_name)
    return None if row is None else _template(row)


def _columns(draft: Draft) -> tuple[object, ...]:
    return (
        draft.name,
        draft.trigger_name,
        draft.description,
        msgspec.to_builtins(draft.content),
        msgspec.to_builtins(draft.translations),
        draft.when_undefined,
        draft.send_to_unsubscribed,
        draft.audience,
    )


def _template(row: Row) -> Template:
    known = {
        **row,
        "kind": TemplateKind(row["kind"]),
        "content": msgspec.convert(row["content"], Content),
        "translations": msgspec.convert(row["translations"], dict[str, Content]),
        "when_undefined": WhenUndefined(row["when_undefined"]),
    }
    return Template(**known)


def _taken(draft: Draft) -> Conflict:
    return Conflict(f"A template with trigger_name {draft.trigger_name!r} already exists")
