"""Workspaces: made, listed, and what each chooses."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import (
    TaskGroup,
    answer,
    as_json,
    fields,
    on_api,
    on_store,
    run,
    settings_of,
    table,
)
from pushkeeper.cli.use_cases import actor, with_services, with_workspace

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.services import Services
    from pushkeeper.services.workspaces import Options


@click.group(cls=TaskGroup)
def workspace() -> None:
    """Manage workspaces."""


@workspace.command("create")
@click.argument("name")
@click.option("--env", "as_env", is_flag=True, help="Print the keys as export lines for a shell.")
@on_store
@as_json
def workspace_create(*, name: str, as_env: bool, json: bool, **options: Any) -> None:
    """Create the workspace NAME and print its API keys. They are shown only once."""
    url = _url(dict(options))
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
    if as_env:
        answer(shown, _exports(shown | url), json=json)
        return
    lines = [f"{key:<12} {value}" for key, value in shown.items()]
    answer(shown, "\n".join([*lines, "", "Save these keys now: only their hashes are stored."]), json=json)


@workspace.command("env", short_help="Create keys and print export lines for a shell.")
@click.argument("name", envvar="PUSHKEEPER_WORKSPACE")
@on_store
@as_json
def workspace_env(*, name: str, json: bool, **options: Any) -> None:
    """Create API keys for the workspace NAME and print them as export lines for a shell.

    Only hashes of keys are stored, so each call creates new ones; `keys revoke` removes those that you don't need.

    \b
    Example:
      eval "$(pushkeeper workspace env shop)"
    """
    url = _url(dict(options))

    async def work(services: Services, workspace: WorkspaceId) -> dict[str, str]:
        track, app, cdp = [
            await services.api_keys.make(actor(), workspace, kind) for kind in ("track", "app", "cdp")
        ]
        return {
            **url,
            "workspace": name,
            "site_id": track.key_id,
            "api_key": track.secret,
            "app_api_key": app.secret,
            "write_key": cdp.secret,
        }

    shown = run(with_workspace(name, options, work))
    answer(shown, _exports(shown), json=json)


def _url(options: dict[str, Any]) -> dict[str, str]:
    """The address of the service, where the settings have it."""
    url = settings_of(options).public_url
    return {} if url is None else {"url": url.rstrip("/")}


def _exports(shown: dict[str, str]) -> str:
    return "\n".join(f"export PUSHKEEPER_{key.upper()}={shlex.quote(value)}" for key, value in shown.items())


@workspace.command("show")
@on_api
def workspace_show(*, name: str | None, json: bool, **options: Any) -> None:
    """Show a workspace: its size, pushes of this month, and options."""
    with client_of(options, name) as client:
        [found] = client.get("/v1/workspaces")["workspaces"]
        devices = client.get("/api/v1/stats/devices")
        chosen = client.get("/api/v1/options")["options"]
    shown = {
        "workspace": found["name"],
        "people": f"{found['people']:,}",
        "devices": f"{devices['devices']:,}",
        **{f"  {status or 'unused'}": f"{count:,}" for status, count in devices["totals"].items()},
        "pushes this month": f"{found['messages_sent']:,}",
        **_shown_options(chosen),
    }
    answer({"workspace": found, "devices": devices, "options": chosen}, fields(shown), json=json)


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


@workspace.command("options", short_help="Show or change options.")
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
    shown = _shown_options(chosen)
    answer(
        {"workspace": name, "options": chosen},
        table([list(row) for row in shown.items()], ["option", "value"]),
        json=json,
    )


def _shown_options(chosen: dict[str, Any]) -> dict[str, str]:
    return {option: "none" if value is None else str(value).lower() for option, value in chosen.items()}
