"""The audit log."""

from __future__ import annotations

from typing import Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, on_api, table
from pushkeeper.cli.times import ago


@click.group(cls=TaskGroup, short_help="Show who changed what.")
def audit() -> None:
    """Show who changed what."""


@audit.command("list")
@click.option("--actor", metavar="KIND", help="Only changes by a user, key, command_line or job.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    default=50,
    show_default=True,
    help="Number of changes, newest first.",
)
@on_api
def audit_list(*, actor: str | None, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """List changes in the workspace, newest first."""
    with client_of(options, name) as client:
        found = client.all("/api/v1/audit", "audit", limit=limit, actor=actor)
    rows = [
        [
            ago(one["at"]),
            " ".join(filter(None, (one["actor"]["kind"], one["actor"]["name"] or str(one["user_id"] or "")))),
            one["action"],
            one["target"],
            one["outcome"],
            one["detail"],
        ]
        for one in found
    ]
    text = table(rows, ["when", "by", "action", "target", "outcome", "detail"]) if rows else "No changes yet."
    answer({"audit": found}, text, json=json)
