"""Looking at devices, and sending one push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core import identity
from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.model import Content

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.messages.transactional import Queued
    from pushkeeper.services.people import Device, HistoryLine
    from pushkeeper.services.routes import DeviceRoute
    from pushkeeper.services.services import Services


@click.group()
def device() -> None:
    """Show a device and its history."""


@device.command("show")
@click.argument("token")
@in_workspace
@on_store
@as_json
def device_show(*, token: str, name: str, json: bool, **options: Any) -> None:
    """Show the device with TOKEN: its owner, last status and route."""

    async def work(services: Services, workspace: WorkspaceId) -> tuple[Device, DeviceRoute]:
        device = await services.people.device(workspace, token_of(token))
        [way] = await services.routes.of_devices(workspace, [device])
        return device, way

    found, way = run(with_workspace(name, options, work))
    shown = {
        "token": found.token.value,
        "platform": found.platform,
        "last_status": found.status,
        "person": identity.cio_id(found.person_id),
        "app": found.app,
        "environment": found.environment,
        "strikes": found.strikes,
        "generation": found.generation,
        "last_used": found.last_used,
        "registered_at": found.registered_at,
        "attributes": found.attributes,
        "dropped_attributes": found.dropped_attributes,
        "route": way.route and way.route.name,
        "no_route_reason": way.reason or None,
    }
    told = {**shown, "token": found.token.masked, "last_status": _status(found.status)}
    del told["no_route_reason"]
    if way.reason:
        told["route"] = f"none: {way.reason}"
    lines = [
        f"{key.replace('_', ' '):<18} {'-' if value in ('', {}) else value}" for key, value in told.items()
    ]
    answer(shown, "\n".join(lines), json=json)


@device.command("history")
@click.argument("token")
@click.option("--limit", default=100, show_default=True, help="Number of entries, newest first.")
@in_workspace
@on_store
@as_json
def device_history(*, token: str, limit: int, name: str, json: bool, **options: Any) -> None:
    """Show the history of the device with TOKEN, newest first. It is kept after the device is deleted."""

    async def work(services: Services, workspace: WorkspaceId) -> list[HistoryLine]:
        return await services.people.history(workspace, token_of(token), limit=limit)

    lines = run(with_workspace(name, options, work))
    rows = [
        [
            f"{line.at:%Y-%m-%d %H:%M:%S}",
            line.event,
            _status(line.from_status),
            _status(line.to_status),
            " ".join(
                str(part) for part in (line.provider, line.provider_status, line.provider_reason) if part
            ),
        ]
        for line in lines
    ]
    answer(
        {"history": lines}, table(rows, ["time (UTC)", "event", "from", "to", "provider response"]), json=json
    )


@click.command(short_help="Queue a push to a person.")
@in_workspace
@click.option("--to", metavar="ID", required=True, help="The person: an ID, an email or cio_….")
@click.option("--title", metavar="TEXT", help="Title.")
@click.option("--message", metavar="TEXT", help="Message.")
@on_store
@as_json
def send(*, name: str, to: str, title: str | None, message: str | None, json: bool, **options: Any) -> None:
    """Queue a push to all devices of a person. A running worker sends it."""
    from pushkeeper.services.messages.transactional import TransactionalPush
    from pushkeeper.services.people import PersonReference

    async def work(services: Services, workspace: WorkspaceId) -> Queued:
        person = await services.people.person(workspace, identity.of_path(to))
        cio_id = identity.Identifier(identity.IdentifierKind.CIO_ID, person.cio_id)
        push = TransactionalPush(
            naming=PersonReference(workspace_id=workspace, path=cio_id),
            content=Content(title=title, message=message),
        )
        return await services.transactional.send(actor(), workspace, push)

    queued = run(with_workspace(name, options, work))
    shown = {"delivery_id": str(queued.delivery_id), "queued_at": int(queued.queued_at.timestamp())}
    answer(shown, f"Queued. Delivery ID: {queued.delivery_id}", json=json)


def _status(status: str | None) -> str:
    return "-" if status is None else status or "unused"
