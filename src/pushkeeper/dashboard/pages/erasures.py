"""Erasing a person, and the receipts of those who were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import Done, change, look
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import led_to
from pushkeeper.services.people import AskedBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.people import Receipt

_COLUMNS: Sequence[Column[Receipt]] = (
    Column("erasure", lambda one: one.erasure_id),
    Column("asked_at", lambda one: one.asked_at),
    Column("asked_by", lambda one: one.asked_by.value),
    Column("request_id", lambda one: one.request_id),
    Column("done_at", lambda one: one.done_at),
    Column("rows", lambda one: sum(one.counts.values())),
    Column("failure", lambda one: one.failure),
)


def doors(context: Context) -> Sequence[Door]:
    """The doors of erasures."""
    erasures = _Erasures(context)
    all_of_them = "/w/{workspace}/erasures"
    return [
        look(all_of_them, erasures.show_all),
        look(f"{all_of_them}.csv", erasures.csv),
        look(f"{all_of_them}/{{erasure}}", erasures.show),
        change(
            "/w/{workspace}/people/{person}/erase",
            "person.erase",
            erasures.erase,
            erasures.show_all,
            Role.OPERATOR,
        ),
    ]


class _Erasures:
    def __init__(self, context: Context) -> None:
        self._registry = context.services.people
        self._names = context.cookies

    async def show_all(self, visit: Visit) -> Answer:
        """The last hundred receipts."""
        return page(visit, "erasures.html", receipts=await self._registry.receipts(visit.workspace_id))

    async def csv(self, visit: Visit) -> Answer:
        return csv_of("erasures", _COLUMNS, await self._registry.receipts(visit.workspace_id))

    async def show(self, visit: Visit) -> Answer:
        """One receipt."""
        number = visit.number("erasure", "erasure")
        return page(visit, "erasure.html", receipt=await self._registry.receipt(visit.workspace_id, number))

    async def erase(self, visit: Visit) -> Done:
        """Delete a person, have the rest erased, and go to the receipt."""
        who = Identifier(IdentifierKind.CIO_ID, visit.segments["person"])
        receipt = await self._registry.erase(
            visit.actor, visit.workspace_id, who, by=AskedBy.DASHBOARD, request_id=visit.request_id
        )
        notice = self._names.note("The person is deleted; what is left of them is being erased.")
        return Done(answer=led_to(visit.to("erasures", receipt.erasure_id), notice))
