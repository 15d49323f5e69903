"""Setting up: workspaces, credentials and their routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, on_store, run, settings_of, table
from pushkeeper.core.model import Environment, Provider
from pushkeeper.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from pushkeeper.store.credentials import NewCredential

READABLE = click.Path(path_type=Path, dir_okay=False)
in_workspace = click.option(
    "--workspace", "name", metavar="NAME", required=True, help="The workspace's name."
)


@click.group()
def workspace() -> None:
    """Make workspaces, and list them."""


@workspace.command("create")
@click.argument("name")
@on_store
@as_json
def workspace_create(*, name: str, json: bool, **options: Any) -> None:
    """Make the workspace NAME and print its keys, which are shown this once."""
    from pushkeeper import wiring
    from pushkeeper.store import workspaces

    async def work() -> workspaces.NewKeys:
        async with wiring.store(settings_of(options)) as store:
            _, keys = await workspaces.create(store.database, name)
        return keys

    keys = run(work())
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
    """List the workspaces with how much each holds."""
    from pushkeeper import wiring
    from pushkeeper.store import workspaces

    async def work() -> list[workspaces.WorkspaceFacts]:
        async with wiring.store(settings_of(options)) as store:
            return await workspaces.list_all(store.database)

    found = run(work())
    shown = [
        {
            "workspace": w.name,
            "site_id": w.site_id,
            "people": w.people,
            "devices": w.devices,
            "created_at": w.created_at,
        }
        for w in found
    ]
    rows = [[w.name, w.site_id, f"{w.people:,}", f"{w.devices:,}", f"{w.created_at:%Y-%m-%d}"] for w in found]
    text = (
        table(rows, ["workspace", "site_id", "people", "devices", "created"]) if rows else "No workspace yet."
    )
    answer({"workspaces": shown}, text, json=json)


@click.group()
def credentials() -> None:
    """Say with which keys a workspace sends."""


@credentials.group("add")
def credentials_add() -> None:
    """Add a provider's credentials; the same app and environment again replaces them."""


@credentials_add.command("fcm")
@in_workspace
@click.option(
    "--service-account", metavar="FILE", type=READABLE, required=True, help="The service account's JSON."
)
@click.option("--endpoint", metavar="URL", help="Send there instead of to Google.")
@click.option("--ca", metavar="FILE", type=READABLE, help="Trust this CA alone, in PEM.")
@on_store
@as_json
def add_fcm(
    *, name: str, service_account: Path, endpoint: str | None, ca: Path | None, json: bool, **options: Any
) -> None:
    """Send to Android, and to iPhones that use Firebase, through FCM."""
    from pushkeeper import wiring

    new = wiring.fcm_credential(
        _bytes(service_account, "--service-account"), endpoint_url=endpoint, ca_pem=_text(ca, "--ca")
    )
    _put(name, new, json=json, options=options)


@credentials_add.command("apns")
@in_workspace
@click.option("--key", metavar="FILE", type=READABLE, help="The .p8 signing key.")
@click.option("--key-id", metavar="ID", help="The key's id, ten characters.")
@click.option("--team-id", metavar="ID", help="The team's id, ten characters.")
@click.option(
    "--certificate", metavar="FILE", type=READABLE, help="A certificate with its key, in PEM, instead."
)
@click.option("--topic", metavar="TOPIC", required=True, help="The app's bundle id.")
@click.option("--environment", type=click.Choice([e.value for e in Environment]), required=True)
@click.option("--endpoint", metavar="URL", help="Send there instead of to Apple.")
@click.option("--ca", metavar="FILE", type=READABLE, help="Trust this CA alone, in PEM.")
@on_store
@as_json
def add_apns(
    *,
    name: str,
    key: Path | None,
    key_id: str | None,
    team_id: str | None,
    certificate: Path | None,
    topic: str,
    environment: str,
    endpoint: str | None,
    ca: Path | None,
    json: bool,
    **options: Any,
) -> None:
    """Send to iPhones through APNs, with a signing key or a certificate."""
    from pushkeeper import wiring

    app = wiring.AppleApp(
        topic=topic, environment=Environment(environment), endpoint_url=endpoint, ca_pem=_text(ca, "--ca")
    )
    if (key is None) == (certificate is None):
        raise BadRequest("key", "--key, --certificate: one of the two is needed")
    if certificate is not None:
        new = wiring.apns_certificate(_bytes(certificate, "--certificate"), app)
    else:
        assert key is not None  # noqa: S101 - one of the two is there
        new = wiring.apns_key(_bytes(key, "--key"), key_id=key_id or "", team_id=team_id or "", app=app)
    _put(name, new, json=json, options=options)


def _put(name: str, new: NewCredential, *, json: bool, options: dict[str, Any]) -> None:
    from pushkeeper import wiring
    from pushkeeper.store import credentials as stored
    from pushkeeper.store import workspaces

    async def work() -> int:
        async with wiring.store(settings_of(options)) as store:
            found = await workspaces.by_name(store.database, name)
            return await stored.put(store.database, store.vault, found.workspace_id, new)

    credential_id = run(work())
    shown = {
        "credential_id": credential_id,
        "workspace": name,
        "provider": new.provider,
        "kind": new.kind,
        "app": new.app,
        **({"environment": new.environment} if new.provider is Provider.APNS else {}),
        **new.facts,
    }
    answer(shown, f"{new.provider.value} credentials for {new.app} are in {name!r}, sealed.", json=json)


@click.group(short_help="See the routes, and what is held on them.")
def routes() -> None:
    """See what a provider can refuse as a whole, and what is held on it."""


@routes.command("list")
@in_workspace
@on_store
@as_json
def routes_list(*, name: str, json: bool, **options: Any) -> None:
    """List a workspace's routes: whether each has proved itself, is paused, and how many pushes it holds."""
    from pushkeeper import wiring
    from pushkeeper.store import credentials as stored
    from pushkeeper.store import workspaces

    async def work() -> tuple[list[stored.Route], list[stored.Held]]:
        async with wiring.store(settings_of(options)) as store:
            found = await workspaces.by_name(store.database, name)
            all_routes = await stored.routes(store.database, [found.workspace_id])
            return all_routes, await stored.held(store.database, found.workspace_id)

    found, held = run(work())
    shown = [
        {
            "route": route.name,
            "accepted_at": route.accepted_at,
            "paused_at": route.paused_at,
            "pause_reason": route.pause_reason,
            "held": [
                {"reason": h.reason, "devices": h.devices, "batches": h.batches}
                for h in held
                if h.route_id == route.route_id
            ],
        }
        for route in found
    ]
    rows = [
        [
            route.name,
            "paused" if route.paused_at else "proved" if route.accepted_at else "not proved yet",
            f"{sum(h.devices or 0 for h in held if h.route_id == route.route_id):,}",
            "; ".join(dict.fromkeys(h.reason for h in held if h.route_id == route.route_id)),
        ]
        for route in found
    ]
    text = table(rows, ["route", "state", "held", "why"]) if rows else "No credentials yet."
    answer({"routes": shown}, text, json=json)


@routes.command("resume")
@click.argument("route")
@in_workspace
@on_store
@as_json
def routes_resume(*, route: str, name: str, json: bool, **options: Any) -> None:
    """Let ROUTE go on, and send what is held on it."""
    from pushkeeper import wiring
    from pushkeeper.store import credentials as stored
    from pushkeeper.store import workspaces

    async def work() -> int:
        async with wiring.store(settings_of(options)) as store:
            found = await workspaces.by_name(store.database, name)
            chosen = [
                r.route_id
                for r in await stored.routes(store.database, [found.workspace_id])
                if r.name == route
            ]
            if not chosen:
                raise NotFound(
                    f"route: {name!r} has none named {route!r}; `pushkeeper routes list` shows them"
                )
            return await stored.resume(store.database, found.workspace_id, chosen)

    released = run(work())
    answer(
        {"route": route, "released": released},
        f"{route} goes on; {released:,} held pushes are due.",
        json=json,
    )


def _bytes(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadRequest(option, f"{option}: {file} cannot be read ({error.strerror})") from error


def _text(file: Path | None, option: str) -> str | None:
    if file is None:
        return None
    try:
        return _bytes(file, option).decode("ascii")
    except UnicodeDecodeError as error:
        raise BadRequest(option, f"{option}: {file} is not PEM") from error
