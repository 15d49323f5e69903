"""Routes: their status, and an operator's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.routes import Routes


@click.group(short_help="Manage routes (credential + app + environment).")
def routes() -> None:
    """Manage routes. A route is one credential, app and environment, which providers accept or reject as a unit.

    A rejected key pauses its route, and so does a spike in rejections that may be a configuration error; neither changes
    a device. Fix the first with `credentials update`, the second with `apply` or `discard`.
    """


@routes.command("list")
@in_workspace
@on_store
@as_json
def routes_list(*, name: str, json: bool, **options: Any) -> None:
    """List routes with their state, results of the last 24 hours, queue and held rejections."""
    from pushkeeper.services.schemas.routes import RouteListView, RouteView

    found = run(_with_routing(name, options, lambda routing, workspace: routing.all(workspace)))
    rows = [
        [
            facts.route.name,
            facts.state,
            f"{facts.health.accepted:,}",
            f"{facts.health.ambiguous + facts.health.definite:,}",
            f"{facts.health.waiting:,}",
            f"{facts.health.held_verdicts:,}",
            facts.route.pause_reason or (facts.alerts[0].alert if facts.alerts else ""),
        ]
        for facts in found
    ]
    headings = ["route", "state", "accepted", "rejected", "queued", "on hold", "reason or alert"]
    text = table(rows, headings) if rows else "No credentials yet."
    answer(RouteListView(routes=[RouteView.of(facts) for facts in found]), text, json=json)


@routes.command("pause")
@click.argument("route")
@click.option("--reason", metavar="TEXT", default="", help="Reason shown to other users.")
@in_workspace
@on_store
@as_json
def routes_pause(*, route: str, reason: str, name: str, json: bool, **options: Any) -> None:
    """Pause ROUTE on all servers. Its pushes are queued until it is resumed."""
    run(
        _with_routing(
            name, options, lambda routing, workspace: routing.pause(actor(), workspace, route, reason=reason)
        )
    )
    answer({"route": route, "paused": True}, f"Paused {route}. New pushes are queued.", json=json)


@routes.command("resume")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_resume(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Resume ROUTE, including its queued pushes."""
    released = run(
        _with_routing(name, options, lambda routing, workspace: routing.resume(actor(), workspace, route))
    )
    text = f"Resumed {route} ({released:,} queued pushes)."
    answer({"route": route, "released": released}, text, json=json)


@routes.command("apply")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_apply(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Apply the held rejections of ROUTE: mark devices as bounced."""
    applied = run(
        _with_routing(name, options, lambda routing, workspace: routing.apply(actor(), workspace, route))
    )
    answer({"route": route, "applied": applied}, f"Applied {applied:,} held rejections.", json=json)


@routes.command("discard")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_discard(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Discard the held rejections of ROUTE and resend their pushes. No device changes."""
    dropped = run(
        _with_routing(name, options, lambda routing, workspace: routing.discard(actor(), workspace, route))
    )
    text = f"Discarded {dropped:,} held rejections. Their pushes will be resent."
    answer({"route": route, "discarded": dropped}, text, json=json)


async def _with_routing(
    name: str, options: dict[str, Any], ask: Callable[[Routes, WorkspaceId], Awaitable[Any]]
) -> Any:
    return await with_workspace(name, options, lambda services, workspace: ask(services.routes, workspace))
