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


@click.command(short_help="Take strikes back that were nobody's fault.")
@click.option("--since", metavar="TIME", required=True, help="From when on: 2026-11-26T14:00Z.")
@click.option("--until", metavar="TIME", required=True, help="Until before when.")
@click.option("--route", metavar="NAME", help="Only of this route, as `routes list` names it.")
@click.option("--credential", metavar="NAME", help="Only of this credential's routes: fcm:my-project.")
@click.option(
    "--reason", metavar="CODE", help="Only for this reason: apns_bad_device_token, or BadDeviceToken."
)
@click.option(
    "--only",
    type=click.Choice(["all", "suppressed"]),
    default="all",
    show_default=True,
    help="All strikes, or those by which a device was suppressed.",
)
@click.option("--why", metavar="TEXT", help="For whoever reads the history.")
@click.option("--yes", is_flag=True, help="Do it; without, nothing is changed.")
@in_workspace
@on_store
@as_json
def undo(*, yes: bool, why: str | None, name: str, json: bool, **options: Any) -> None:
    """Take back the strikes of a time, so that each device stands as its history comes to without them.

    A device that came back since stays as it is. Each that changes has a line in its history that says so. Without --yes
    it is only told what would change.
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
                return await services.strikes.foresee(workspace, meant, told)
            return await services.strikes.undo(actor(), workspace, meant, why=why, told=told)

    return await with_workspace(name, options, work)


def _told(outcome: UndoResult) -> str:
    done = outcome.undo_id is not None
    lines = [f"{outcome.strikes:,} strikes of {outcome.devices:,} devices are meant."]
    rows = [
        [before or "unused", after or "unused", f"{count:,}"]
        for (before, after), count in outcome.changed.most_common()
    ]
    if rows:
        lines += ["", table(rows, ["from", "to", "devices"]), ""]
    if outcome.unchanged:
        lines.append(f"{outcome.unchanged:,} stay as they are: they came back since, or have other strikes.")
    if outcome.gone:
        lines.append(f"{outcome.gone:,} are gone.")
    lines.append(f"Done, as undo {outcome.undo_id}." if done else "Nothing is changed yet; --yes does it.")
    return "\n".join(lines)
