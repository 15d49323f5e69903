"""Erasing a person, and the receipts of those who were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.people import RequestedBy
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.people import Receipt
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[Receipt]] = (
    Column("erasure", lambda one: one.erasure_id),
    Column("asked_at", lambda one: one.asked_at),
    Column("asked_by", lambda one: one.asked_by.value),
    Column("request_id", lambda one: one.request_id),
    Column("done_at", lambda one: one.done_at),
    Column("rows", lambda one: sum(one.counts.values())),
    Column("failure", lambda one: one.failure),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of erasures."""
    erasures = _Erasures(context)
    all_of_them = "/w/{workspace}/erasures"
    return [
        view(all_of_them, erasures.show_all),
        view(f"{all_of_them}.csv", erasures.csv),
        view(f"{all_of_them}/{{erasure}}", erasures.show),
        action(
            "/w/{workspace}/people/{person}/erase",
            "person.erase",
            erasures.erase,
            erasures.show_all,
            Role.OPERATOR,
        ),
    ]


class _Erasures:
    def __init__(self, context: Context) -> None:
        self._people = context.services.people
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        """The last hundred receipts."""
        return page(request, "erasures.html", receipts=await self._people.receipts(request.workspace_id))

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("erasures", _COLUMNS, await self._people.receipts(request.workspace_id))

    async def show(self, request: PageRequest) -> Response:
        """One receipt."""
        number = request.number("erasure", "erasure")
        return page(request, "erasure.html", receipt=await self._people.receipt(request.workspace_id, number))

    async def erase(self, request: PageRequest) -> ActionResult:
        """Delete a person, have the rest erased, and go to the receipt."""
        who = Identifier(IdentifierKind.CIO_ID, request.segments["person"])
        receipt = await self._people.erase(
            request.actor, request.workspace_id, who, by=RequestedBy.DASHBOARD, request_id=request.request_id
        )
        notice = self._names.note("Person deleted. Remaining data is being erased.")
        return ActionResult(answer=see_other(request.to("erasures", receipt.erasure_id), notice))
