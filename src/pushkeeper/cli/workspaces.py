"""Workspaces: made, listed, and what each chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from pushkeeper.cli.common import answer, as_json, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_services, with_workspace

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.services import Services
    from pushkeeper.services.workspaces import Options


@click.group()
def workspace() -> None:
    """Manage workspaces."""


@workspace.command("create")
@click.argument("name")
@on_store
@as_json
def workspace_create(*, name: str, json: bool, **options: Any) -> None:
    """Create the workspace NAME and print its API keys. They are shown only once."""
    _, keys = run(
        with_services(options, lambda services: services.workspaces.create(actor(), name), creates=True)
    )
    shown = {
        "workspace": name,
        "site_id": keys.site_id,
        "api_key": keys.api_key,
        "app_api_key": keys.app_api_key,
        "write_key": keys.write_key,
    }
    lines = [f"{key:<12} {value}" for key, value in shown.items()]
    answer(shown, "\n".join([*lines, "", "Save these keys now: only their hashes are stored."]), json=json)


@workspace.command("list")
@on_store
@as_json
def workspace_list(*, json: bool, **options: Any) -> None:
    """List workspaces with their size. Large workspaces are counted periodically."""
    found = run(with_services(options, lambda services: services.workspaces.all()))
    shown = [
        {
            "workspace": w.name,
            "site_id": w.site_id,
            "people": w.people,
            "devices": w.devices,
            "counted_at": w.counted_at,
            "created_at": w.created_at,
        }
        for w in found
    ]
    rows = [[w.name, w.site_id, f"{w.people:,}", f"{w.devices:,}", f"{w.created_at:%Y-%m-%d}"] for w in found]
    text = (
        table(rows, ["workspace", "site_id", "people", "devices", "created"])
        if rows
        else "No workspaces yet."
    )
    answer({"workspaces": shown}, text, json=json)


@workspace.command("options")
@click.argument("name")
@click.option(
    "--suppress-after", type=int, metavar="N", help="Suppress a device after N consecutive bounces."
)
@click.option(
    "--min-strike-gap-s", type=int, metavar="S", help="Minimum time between counted bounces (seconds)."
)
@click.option(
    "--suppress-on-definitive/--no-suppress-on-definitive",
    default=None,
    help='Suppress on the first "unregistered" response.',
)
@click.option(
    "--delete-unregistered/--no-delete-unregistered",
    default=None,
    help="Delete unregistered devices instead.",
)
@click.option(
    "--max-pushes-per-s",
    type=int,
    metavar="N",
    help="Rate limit per route (pushes/s); 0 = no limit.",
)
@click.option("--ramp-s", type=int, metavar="S", help="Ramp-up time (seconds).")
@click.option(
    "--token-ownership",
    type=click.Choice(["move", "share"]),
    help="When another person registers the same token: move it to them, or share it.",
)
@click.option(
    "--allow-placeholder-ids/--no-allow-placeholder-ids",
    default=None,
    help="Allow IDs such as undefined, null or 0 to create a person.",
)
@on_store
@as_json
def workspace_options(*, name: str, json: bool, **options: Any) -> None:
    """Show or change the options of the workspace NAME (device lifecycle, rate limits, IDs)."""
    from pushkeeper.services.workspaces import Options

    given = {option: options.pop(option) for option in Options.__struct_fields__}
    changes = {option: value for option, value in given.items() if value is not None}
    if changes.get("max_pushes_per_s") == 0:
        changes["max_pushes_per_s"] = None

    async def work(services: Services, workspace: WorkspaceId) -> Options:
        if changes:
            return await services.workspaces.choose(actor(), workspace, changes)
        return await services.workspaces.options(workspace)

    chosen = structs.asdict(run(with_workspace(name, options, work)))
    shown = {option: "none" if value is None else str(value).lower() for option, value in chosen.items()}
    answer(
        {"workspace": name, "options": chosen},
        table([list(row) for row in shown.items()], ["option", "value"]),
        json=json,
    )
