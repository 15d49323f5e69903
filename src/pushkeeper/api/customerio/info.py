"""Customer.io's API about an account: its workspaces, and the addresses that it calls from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.api.customerio.app_api import render
from pushkeeper.api.style import MAX_KEYLESS_BYTES, ApiStyle, no_auth
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this information."""
    info = _Info(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    # Customer.io's call needs no key either.
    public = ApiStyle(name="app_api", authenticate=no_auth, render=render, max_body_bytes=MAX_KEYLESS_BYTES)
    return [
        surface.route("/v1/workspaces", GET=info.workspaces),
        public.route("/v1/info/ip_addresses", GET=info.addresses),
    ]


class _Info:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def workspaces(self, call: Call) -> Response:
        """The key's own workspace, as no key can access another, with this month's accepted pushes (UTC) and the last count of people."""
        workspace = call.workspace
        standing = await self._context.services.reach.now(workspace.workspace_id)
        this_month = await self._context.services.insights.pushes(
            workspace.workspace_id, datetime.now(UTC).day
        )
        return response.of_json(
            {
                "workspaces": [
                    {
                        "id": workspace.workspace_id,
                        "name": workspace.name,
                        "messages_sent": sum(row.pushes for row in this_month if row.ending == "accepted"),
                        "billable_messages_sent": 0,
                        "people": standing.reach.people,
                        "object_types": 0,
                        "objects": 0,
                    }
                ]
            }
        )

    async def addresses(self, call: Call) -> Response:
        del call
        return response.of_json({"ip_addresses": self._context.outbound_addresses})
