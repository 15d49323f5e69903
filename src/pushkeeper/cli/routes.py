"""Routes: how they do, and what an operator says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.routes import Routes


@click.group(short_help="See the routes; pause and resume them; decide on what is held.")
def routes() -> None:
    """See what a provider can refuse as a whole, and say what is to become of it.

    A refused key pauses its route, and a wave of refusals that may be a setting's fault does: no device changes for
    either. `credentials update` mends the first; `apply` or `discard` answers the second.
    """


@routes.command("list")
@in_workspace
@on_store
@as_json
def routes_list(*, name: str, json: bool, **options: Any) -> None:
    """List a workspace's routes: how each stands, what it did in 24 hours, and what waits or is held on it."""
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
    headings = ["route", "state", "accepted", "refused", "waiting", "held", "why, or what to look at"]
    text = table(rows, headings) if rows else "No credentials yet."
    answer(RouteListView(routes=[RouteView.of(facts) for facts in found]), text, json=json)


@routes.command("pause")
@click.argument("route")
@click.option("--reason", metavar="TEXT", default="", help="Why, for whoever asks.")
@in_workspace
@on_store
@as_json
def routes_pause(*, route: str, reason: str, name: str, json: bool, **options: Any) -> None:
    """Send nothing more on ROUTE, on any machine, until it is resumed; what is for it waits."""
    run(
        _with_routing(
            name, options, lambda routing, workspace: routing.pause(actor(), workspace, route, reason=reason)
        )
    )
    answer({"route": route, "paused": True}, f"{route} is paused.", json=json)


@routes.command("resume")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_resume(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Let ROUTE go on, with what waits on it."""
    released = run(
        _with_routing(name, options, lambda routing, workspace: routing.resume(actor(), workspace, route))
    )
    text = f"{route} goes on; {released:,} pushes that waited are due."
    answer({"route": route, "released": released}, text, json=json)


@routes.command("apply")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_apply(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Believe the refusals that are held on ROUTE: each is a strike of its device."""
    applied = run(
        _with_routing(name, options, lambda routing, workspace: routing.apply(actor(), workspace, route))
    )
    answer(
        {"route": route, "applied": applied}, f"{applied:,} refusals count against their devices.", json=json
    )


@routes.command("discard")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_discard(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Drop the refusals that are held on ROUTE: no device changes, and their pushes are sent again."""
    dropped = run(
        _with_routing(name, options, lambda routing, workspace: routing.discard(actor(), workspace, route))
    )
    text = f"{dropped:,} refusals are dropped; their pushes are due again."
    answer({"route": route, "discarded": dropped}, text, json=json)


async def _with_routing(
    name: str, options: dict[str, Any], ask: Callable[[Routes, WorkspaceId], Awaitable[Any]]
) -> Any:
    return await with_workspace(name, options, lambda services, workspace: ask(services.routes, workspace))
