"""Templates: read here, written by the native API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import look
from pushkeeper.dashboard.ui.render import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.messages.templates import Template

_COLUMNS: Sequence[Column[Template]] = (
    Column("template", lambda one: one.template_id),
    Column("name", lambda one: one.name),
    Column("kind", lambda one: one.kind),
    Column("trigger_name", lambda one: one.trigger_name),
    Column("title", lambda one: one.content.title),
    Column("message", lambda one: one.content.message),
    Column("languages", lambda one: " ".join(sorted(one.translations))),
    Column("updated_at", lambda one: one.updated_at),
)


def doors(context: Context) -> Sequence[Door]:
    """The doors of templates."""
    templates = _Templates(context)
    return [
        look("/w/{workspace}/templates", templates.show_all),
        look("/w/{workspace}/templates.csv", templates.csv),
        look("/w/{workspace}/templates/{template}", templates.show),
    ]


class _Templates:
    def __init__(self, context: Context) -> None:
        self._templates = context.services.templates
        self._url = context.url

    async def show_all(self, visit: Visit) -> Answer:
        found = await self._templates.all(visit.workspace_id)
        return page(visit, "templates.html", templates=found, url=self._url)

    async def csv(self, visit: Visit) -> Answer:
        return csv_of("templates", _COLUMNS, await self._templates.all(visit.workspace_id))

    async def show(self, visit: Visit) -> Answer:
        found = await self._templates.one(visit.workspace_id, visit.number("template", "template"))
        contents = {"": found.content, **found.translations}
        return page(visit, "template.html", template=found, contents=contents)
