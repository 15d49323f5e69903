"""Reverting bounces: a dry run first, then the change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import answer, on_api, table
from pushkeeper.cli.times import Moment


@click.command(short_help="Revert bounces caused by an error on your side.")
@click.option(
    "--since",
    metavar="TIME",
    type=Moment(),
    required=True,
    help="Start of the period, such as 2h or 2026-11-26T14:00Z.",
)
@click.option(
    "--until",
    metavar="TIME",
    type=Moment(),
    help="End of the period (exclusive), such as 30m.  [default: now]",
)
@click.option("--route", metavar="NAME", help="Only bounces on this route, as shown by `routes list`.")
@click.option(
    "--credential", metavar="NAME", help="Only bounces on this credential's routes, such as fcm:my-project."
)
@click.option(
    "--reason",
    metavar="CODE",
    help="Only bounces with this reason, such as apns_bad_device_token or BadDeviceToken.",
)
@click.option(
    "--only",
    type=click.Choice(["all", "suppressed"]),
    default="all",
    show_default=True,
    help="All bounces, or only those that suppressed a device.",
)
@click.option("--why", metavar="TEXT", help="Reason, saved in device history.")
@click.option("--yes", is_flag=True, help="Apply the changes; without this it is a dry run.")
@on_api
def undo(*, yes: bool, why: str | None, name: str | None, json: bool, **options: Any) -> None:
    """Revert the bounces of a period and recalculate the status of each device without them.

    Devices that re-registered since are not changed. Every change is recorded in the device's history. Without --yes this is
    a dry run.

    \b
    Example:
      pushkeeper undo --since 2h --route apns:sandbox:com.example.shop
    """
    asked = {key: options.pop(key) for key in ("since", "until", "route", "credential", "reason", "only")}
    asked["until"] = asked["until"] or datetime.now(UTC).isoformat()
    given = {key: value for key, value in {**asked, "why": why}.items() if value is not None}
    with client_of(options, name) as client:
        found = client.post("/api/v1/undo", {**given, "dry_run": not yes})
    answer(found, _told(found), json=json)


def _told(outcome: dict[str, Any]) -> str:
    lines = [f"Found {outcome['strikes']:,} bounces on {outcome['devices']:,} devices."]
    rows = [
        [one["from"] or "unused", one["to"] or "unused", f"{one['devices']:,}"] for one in outcome["changed"]
    ]
    if rows:
        lines += ["", table(rows, ["from", "to", "devices"]), ""]
    if outcome["unchanged"]:
        lines.append(
            f"{outcome['unchanged']:,} devices unchanged (re-registered since, or bounced for other reasons)."
        )
    if outcome["gone"]:
        lines.append(f"{outcome['gone']:,} devices no longer exist.")
    done = (
        "Dry run. Re-run with --yes to apply." if outcome["dry_run"] else f"Reverted. ID: {outcome['undo']}"
    )
    return "\n".join([*lines, done])
