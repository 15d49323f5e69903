"""Keys of a workspace: another one made, listed by what may be shown, and revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import (
    TaskGroup,
    answer,
    as_json,
    confirm,
    in_workspace,
    on_api,
    on_store,
    run,
    table,
    yes_option,
)
from pushkeeper.cli.times import ago
from pushkeeper.cli.use_cases import actor, with_services, with_workspace
from pushkeeper.core import cell

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.api_keys import KeyKind, NewKey
    from pushkeeper.services.services import Services

_KINDS = {"track": "Track API", "app": "App API and native API", "cdp": "Data Pipelines API"}
_NAMES = {"track": "api_key", "app": "app_api_key", "cdp": "write_key"}


@click.group(cls=TaskGroup, short_help="Manage API keys.")
def keys() -> None:
    """Manage API keys.

    To rotate a key, add a new one, switch your clients, then revoke the old one. For FCM and APNs keys, see
    `pushkeeper credentials`.
    """


@keys.command("list")
@on_api
def keys_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List keys by site ID or key prefix."""
    with client_of(options, name) as client:
        found = client.get("/api/v1/keys")
    rows = [
        [one["kind"], one["key_id"], _KINDS[one["kind"]], ago(one["created_at"])] for one in found["keys"]
    ]
    answer(found, table(rows, ["kind", "id", "scope", "created"]), json=json)


@keys.command("add", short_help="Create a key.")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@in_workspace
@on_store
@as_json
def keys_add(*, kind: str, name: str, json: bool, **options: Any) -> None:
    """Create a key of KIND and print it. It is shown only once."""

    async def work(services: Services, workspace: WorkspaceId) -> NewKey:
        return await services.api_keys.make(actor(), workspace, cast("KeyKind", kind))

    made = run(with_workspace(name, options, work))
    shown = {_NAMES[kind]: made.secret}
    if kind == "track":
        shown = {"site_id": made.key_id, **shown}
    lines = [f"{key:<12} {value}" for key, value in shown.items()]
    answer(shown, "\n".join([*lines, "", "Save it now: only its hash is stored."]), json=json)


@keys.command("map", short_help="Print an HAProxy map from key prefixes to cells.")
@click.argument("cells", metavar="[CELL]...", nargs=-1, type=click.IntRange(0, cell.MOST))
@on_store
@as_json
def keys_map(*, cells: tuple[int, ...], json: bool, **options: Any) -> None:
    """Print an HAProxy map from prefixes of keys, delivery IDs and host names to the back ends of these cells.

    Default: the cell of this database. Anything without a prefix belongs to cell 0, the default back end.
    """

    async def own() -> tuple[int, ...]:
        return (await with_services(options, lambda services: services.workspaces.cell()),)

    found = {one: f"cell{number}" for number in cells or run(own()) for one in cell.beginnings(number)}
    lines = [f"{beginning} {backend}" for beginning, backend in found.items()]
    answer({"map": found}, "\n".join(lines), json=json)


@keys.command("revoke", short_help="Revoke a key.")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@click.argument("key_id", metavar="ID")
@yes_option
@in_workspace
@on_store
@as_json
def keys_revoke(*, kind: str, key_id: str, yes: bool, name: str, json: bool, **options: Any) -> None:
    """Revoke the key ID of KIND. The last key of a kind cannot be revoked.

    ID is what `keys list` shows: a site ID or a key prefix.
    """
    confirm(
        f"Revoke the {kind} key {key_id}? Clients that use it stop working within a second.",
        yes=yes,
        json=json,
    )

    async def work(services: Services, workspace: WorkspaceId) -> None:
        await services.api_keys.revoke(actor(), workspace, kind, key_id)

    run(with_workspace(name, options, work))
    answer(
        {"kind": kind, "key_id": key_id},
        "Key revoked. It stops working within a second.",
        json=json,
    )
