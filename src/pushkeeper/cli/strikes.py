"""Taking strikes back: looked at first, then done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, progress, run, table
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.services import Services
    from pushkeeper.services.strikes import StrikeSelector, UndoResult


@click.command(short_help="Revert bounces caused by an error on your side.")
@click.option(
    "--since", metavar="TIME", required=True, help="Start of the period, such as 2026-11-26T14:00Z."
)
@click.option("--until", metavar="TIME", required=True, help="End of the period (exclusive).")
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
@in_workspace
@on_store
@as_json
def undo(*, yes: bool, why: str | None, name: str, json: bool, **options: Any) -> None:
    """Revert the bounces of a period and recalculate the status of each device without them.

    Devices that re-registered since are not changed. Every change is recorded in the device's history. Without --yes this is
    a dry run.
    """
    from pushkeeper.services import typed
    from pushkeeper.services.schemas.strikes import UndoOutcome, UndoRequest

    asked = {key: options.pop(key) for key in ("since", "until", "route", "credential", "reason", "only")}
    wanted = typed.read({**asked, "why": why, "dry_run": not yes}, UndoRequest)
    outcome = run(_undo(name, options, wanted.meant(), why=why or "", dry_run=not yes, quiet=json))
    answer(UndoOutcome.of(outcome), _told(outcome), json=json)


async def _undo(
    name: str, options: dict[str, Any], meant: StrikeSelector, *, why: str, dry_run: bool, quiet: bool
) -> UndoResult:
    async def work(services: Services, workspace: WorkspaceId) -> UndoResult:
        with progress("devices", quiet=quiet) as told:
            if dry_run:
                return await services.strikes.preview(workspace, meant, told)
            return await services.strikes.undo(actor(), workspace, meant, why=why, progress=told)

    return await with_workspace(name, options, work)


def _told(outcome: UndoResult) -> str:
    done = outcome.undo_id is not None
    lines = [f"Found {outcome.strikes:,} bounces on {outcome.devices:,} devices."]
    rows = [
        [before or "unused", after or "unused", f"{count:,}"]
        for (before, after), count in outcome.changed.most_common()
    ]
    if rows:
        lines += ["", table(rows, ["from", "to", "devices"]), ""]
    if outcome.unchanged:
        lines.append(
            f"{outcome.unchanged:,} devices unchanged (re-registered since, or bounced for other reasons)."
        )
    if outcome.gone:
        lines.append(f"{outcome.gone:,} devices no longer exist.")
    lines.append(f"Reverted. ID: {outcome.undo_id}" if done else "Dry run. Re-run with --yes to apply.")
    return "\n".join(lines)
