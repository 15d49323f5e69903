"""Keys of a workspace: another one made, listed by what may be shown, and revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_services, with_workspace
from pushkeeper.core import cell

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.api_keys import KeyKind, NewKey
    from pushkeeper.services.services import Services

_KINDS = {"track": "the Track API", "app": "the App API and our own", "cdp": "the Pipelines API"}
_NAMES = {"track": "api_key", "app": "app_api_key", "cdp": "write_key"}


@click.group(short_help="Make more keys to call a workspace by, and revoke them.")
def keys() -> None:
    """Make more keys to call a workspace by, and revoke them.

    To change a key: add one, let your clients use it, and revoke the former. With which keys a workspace sends is said by
    `pushkeeper credentials`.
    """


@keys.command("list")
@in_workspace
@on_store
@as_json
def keys_list(*, name: str, json: bool, **options: Any) -> None:
    """List the keys by the site id, or the beginning of the key."""
    found = run(
        with_workspace(name, options, lambda services, workspace: services.api_keys.of_workspace(workspace))
    )
    rows = [[one.kind, one.key_id, _KINDS[one.kind], f"{one.created_at:%Y-%m-%d}"] for one in found]
    answer({"keys": found}, table(rows, ["kind", "id", "opens", "made"]), json=json)


@keys.command("add", short_help="Make another key, beside those that there are.")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@in_workspace
@on_store
@as_json
def keys_add(*, kind: str, name: str, json: bool, **options: Any) -> None:
    """Make another key of KIND, beside those that there are, and print it, which is shown this once."""

    async def work(services: Services, workspace: WorkspaceId) -> NewKey:
        return await services.api_keys.make(actor(), workspace, cast("KeyKind", kind))

    made = run(with_workspace(name, options, work))
    shown = {_NAMES[kind]: made.secret}
    if kind == "track":
        shown = {"site_id": made.key_id, **shown}
    lines = [f"{key:<12} {value}" for key, value in shown.items()]
    answer(shown, "\n".join([*lines, "", "Keep it: only its hash is stored."]), json=json)


@keys.command("map", short_help="Print HAProxy's map from the beginnings of keys to cells.")
@click.argument("cells", metavar="[CELL]...", nargs=-1, type=click.IntRange(0, cell.MOST))
@on_store
@as_json
def keys_map(*, cells: tuple[int, ...], json: bool, **options: Any) -> None:
    """Print HAProxy's map from the beginnings of keys, delivery ids and host names to the back ends of these cells.

    Without a CELL, of the cell that the database is. What begins with none of them belongs to cell 0, the default back end.
    """

    async def own() -> tuple[int, ...]:
        return (await with_services(options, lambda services: services.workspaces.cell()),)

    found = {one: f"cell{number}" for number in cells or run(own()) for one in cell.beginnings(number)}
    lines = [f"{beginning} {backend}" for beginning, backend in found.items()]
    answer({"map": found}, "\n".join(lines), json=json)


@keys.command("revoke", short_help="Let a key open nothing any more.")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@click.argument("key_id", metavar="ID")
@in_workspace
@on_store
@as_json
def keys_revoke(*, kind: str, key_id: str, name: str, json: bool, **options: Any) -> None:
    """Let the key ID of KIND open nothing any more; never the last of its kind.

    ID is what `keys list` shows: a site id, or the beginning of a key.
    """

    async def work(services: Services, workspace: WorkspaceId) -> None:
        await services.api_keys.revoke(actor(), workspace, kind, key_id)

    run(with_workspace(name, options, work))
    answer(
        {"kind": kind, "key_id": key_id},
        "The key is revoked; all processes refuse it within a second.",
        json=json,
    )
