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
    """Make workspaces, and list them."""


@workspace.command("create")
@click.argument("name")
@on_store
@as_json
def workspace_create(*, name: str, json: bool, **options: Any) -> None:
    """Make the workspace NAME and print its keys, which are shown this once."""
    _, keys = run(with_services(options, lambda services: services.workspaces.create(actor(), name)))
    shown = {
        "workspace": name,
        "site_id": keys.site_id,
        "api_key": keys.api_key,
        "app_api_key": keys.app_api_key,
        "write_key": keys.write_key,
    }
    lines = [f"{key:<12} {value}" for key, value in shown.items()]
    answer(shown, "\n".join([*lines, "", "Keep the keys: only their hashes are stored."]), json=json)


@workspace.command("list")
@on_store
@as_json
def workspace_list(*, json: bool, **options: Any) -> None:
    """List the workspaces with how much each holds; the size of a large one is as workers last counted it."""
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
        table(rows, ["workspace", "site_id", "people", "devices", "created"]) if rows else "No workspace yet."
    )
    answer({"workspaces": shown}, text, json=json)


@workspace.command("options")
@click.argument("name")
@click.option("--suppress-after", type=int, metavar="N", help="Strikes in a row that suppress a device.")
@click.option(
    "--min-strike-gap-s", type=int, metavar="S", help="A strike sooner after the last does not count."
)
@click.option(
    "--suppress-on-definitive/--no-suppress-on-definitive",
    default=None,
    help="Suppress at the first refusal that names the device as gone.",
)
@click.option(
    "--delete-unregistered/--no-delete-unregistered", default=None, help="Delete such a device instead."
)
@click.option(
    "--max-pushes-per-s",
    type=int,
    metavar="N",
    help="What each route may send in a second; 0 for no bound of ours.",
)
@click.option("--ramp-s", type=int, metavar="S", help="From a cold start to the full rate.")
@click.option(
    "--token-ownership",
    type=click.Choice(["move", "share"]),
    help="Whether a token that a second person registers is theirs alone, or both people's.",
)
@click.option(
    "--allow-placeholder-ids/--no-allow-placeholder-ids",
    default=None,
    help="Allow ids like undefined, null or 0 to create a person.",
)
@on_store
@as_json
def workspace_options(*, name: str, json: bool, **options: Any) -> None:
    """Show the options of the workspace NAME (lifecycle of devices, pace of routes, ids), and change those that are given."""
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
