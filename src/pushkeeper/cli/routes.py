"""Routes: how they do, and what an operator decides about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import client_of, segment
from pushkeeper.cli.common import TaskGroup, answer, confirm, fields, on_api, table, yes_option
from pushkeeper.cli.times import exactly
from pushkeeper.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable


@click.group(cls=TaskGroup, short_help="Manage routes (credential + app + environment).")
def routes() -> None:
    """Manage routes. A route is one credential, app and environment, which providers accept or reject as a unit.

    A rejected key pauses its route, and so does a spike in rejections that may be a configuration error; neither changes
    a device. Fix the first with `credentials update`, the second with `apply` or `discard`.
    """


def _of_route(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("route")(on_api(command))


@routes.command("list", short_help="List routes and their state.")
@on_api
def routes_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List routes with their state, results of the last 24 hours, queue and held rejections."""
    with client_of(options, name) as client:
        found = client.get("/api/v1/routes")
    rows = [
        [
            one["route"],
            one["state"],
            f"{one['last_24_hours']['accepted']:,}",
            f"{_rejected(one):,}",
            f"{one['waiting']:,}",
            f"{one['held']:,}",
            one["pause_reason"] or (one["alerts"][0]["alert"] if one["alerts"] else ""),
        ]
        for one in found["routes"]
    ]
    headings = ["route", "state", "accepted", "rejected", "queued", "on hold", "reason or alert"]
    answer(found, table(rows, headings) if rows else "No credentials yet.", json=json)


@routes.command("show", short_help="Show a route and its alerts.")
@_of_route
def routes_show(*, route: str, name: str | None, json: bool, **options: Any) -> None:
    """Show ROUTE: its state, results of the last 24 hours, and alerts."""
    with client_of(options, name) as client:
        found = next((one for one in client.get("/api/v1/routes")["routes"] if one["route"] == route), None)
    if found is None:
        raise NotFound(f"There is no route {route!r}. `pushkeeper routes list` shows them")
    last = found["last_24_hours"]
    shown = {
        "route": found["route"],
        "state": found["state"],
        "pause reason": found["pause_reason"],
        "paused": exactly(found["paused_at"]),
        "first accepted": exactly(found["accepted_at"]),
        "throttled until": exactly(found["throttled_until"]),
        "accepted (24 h)": f"{last['accepted']:,}",
        "rejected (24 h)": f"{_rejected(found):,}",
        "other (24 h)": f"{last['other']:,}",
        "queued": f"{found['waiting']:,}",
        "on hold": f"{found['held']:,}",
    }
    alerts = [
        f"{one['alert']} ({one['times']:,} times, last {exactly(one['last_at'])})" for one in found["alerts"]
    ]
    answer({"route": found}, "\n".join([fields(shown), *([""] if alerts else []), *alerts]), json=json)


@routes.command("pause")
@click.option("--reason", metavar="TEXT", default="", help="Reason shown to other users.")
@_of_route
def routes_pause(*, route: str, reason: str, name: str | None, json: bool, **options: Any) -> None:
    """Pause ROUTE on all servers. Its pushes are queued until it is resumed."""
    found = _decide(route, "pause", name, options, {"reason": reason})
    answer(found, f"Paused {route}. New pushes are queued.", json=json)


@routes.command("resume")
@_of_route
def routes_resume(*, route: str, name: str | None, json: bool, **options: Any) -> None:
    """Resume ROUTE, including its queued pushes."""
    found = _decide(route, "resume", name, options)
    answer(found, f"Resumed {route} ({found['released']:,} queued pushes).", json=json)


@routes.command("apply", short_help="Mark devices of held rejections as bounced.")
@yes_option
@_of_route
def routes_apply(*, route: str, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Apply the held rejections of ROUTE: mark devices as bounced."""
    confirm(f"Mark the devices of all held rejections of {route} as bounced?", yes=yes, json=json)
    found = _decide(route, "apply", name, options)
    answer(found, f"Applied {found['applied']:,} held rejections.", json=json)


@routes.command("discard", short_help="Discard held rejections and resend.")
@yes_option
@_of_route
def routes_discard(*, route: str, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Discard the held rejections of ROUTE and resend their pushes. No device changes."""
    confirm(f"Discard the held rejections of {route} and resend their pushes?", yes=yes, json=json)
    found = _decide(route, "discard", name, options)
    text = f"Discarded {found['discarded']:,} held rejections. Their pushes will be resent."
    answer(found, text, json=json)


def _decide(
    route: str, what: str, name: str | None, options: dict[str, Any], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    with client_of(options, name) as client:
        found: dict[str, Any] = client.post(f"/api/v1/routes/{segment(route)}/{what}", body)
        return found


def _rejected(route: dict[str, Any]) -> int:
    last: dict[str, int] = route["last_24_hours"]
    return last["ambiguous"] + last["definite"]
