"""Devices: listed, shown, and what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import client_of, segment
from pushkeeper.cli.common import TaskGroup, answer, fields, on_api, status_text, table
from pushkeeper.cli.names import names_of
from pushkeeper.cli.times import Moment, ago, exactly

if TYPE_CHECKING:
    from collections.abc import Callable

HEADINGS = ["device", "platform", "last status", "app", "last used", "person"]


def masked(token: str) -> str:
    """The ends of a token: enough to recognise it by, and not to use it."""
    from pushkeeper.core.devices.tokens import token_of

    return token_of(token).masked


def device_row(device: dict[str, Any], people: dict[str, str]) -> list[str]:
    """A device of an answer as a row under HEADINGS."""
    return [
        masked(device["token"]),
        device["platform"],
        device["last_status"] or "unused",
        device["app"] or "-",
        ago(device["last_used"]),
        people.get(device["person"], device["person"]),
    ]


@click.group(cls=TaskGroup, short_help="Show devices and their history.")
def device() -> None:
    """Show devices and their history. A device is named by its whole push token.

    \b
    Examples:
      pushkeeper device list --status bounced --platform ios
      pushkeeper device show c9a1f0…
      pushkeeper device history c9a1f0…
    """


def _of_token(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("token")(on_api(command))


@device.command("list")
@click.option(
    "--status",
    "last_status",
    type=click.Choice(["unused", "sent", "bounced", "suppressed"]),
    help="Last status.",
)
@click.option("--platform", type=click.Choice(["ios", "android", "web"]), help="Platform.")
@click.option("--app", metavar="ID", help="Bundle ID or Firebase project.")
@click.option(
    "--used-since", metavar="TIME", type=Moment(), help="Last used since, such as 2h or 2026-12-24."
)
@click.option("--used-before", metavar="TIME", type=Moment(), help="Last used before, such as 30d.")
@click.option("--attribute", metavar="NAME=VALUE", help="A device attribute.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=50, show_default=True, help="Number of devices."
)
@on_api
def device_list(*, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """List devices that match all options."""
    wanted = {
        key: options.pop(key)
        for key in ("last_status", "platform", "app", "used_since", "used_before", "attribute")
    }
    with client_of(options, name) as client:
        found = client.all("/api/v1/devices", "devices", limit=limit, **wanted)
        people = {} if json else names_of(client, found)
    text = table([device_row(one, people) for one in found], HEADINGS) if found else "No matching devices."
    answer({"devices": found}, text, json=json)


@device.command("show")
@_of_token
def device_show(*, token: str, name: str | None, json: bool, **options: Any) -> None:
    """Show the device with TOKEN: its owner, last status and route."""
    with client_of(options, name) as client:
        found = client.get(f"/api/v1/devices/{segment(token)}")
        people = {} if json else names_of(client, [found])
    route = found["route"] or f"none: {found['no_route_reason']}"
    shown = {
        "token": masked(found["token"]),
        "person": people.get(found["person"], found["person"]),
        "platform": found["platform"],
        "last status": status_text(found["last_status"]),
        "bounces in a row": f"{found['strikes']:,}",
        "route": route,
        "app": found["app"],
        "environment": found["environment"],
        "last used": exactly(found["last_used"]),
        "registered": exactly(found["registered_at"]),
        "attributes": ", ".join(f"{key}={value}" for key, value in found["attributes"].items()),
        "dropped attributes": ", ".join(f"{key} ({why})" for key, why in found["dropped_attributes"].items()),
    }
    answer(found, fields(shown), json=json)


@device.command("history")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Number of entries, newest first.",
)
@_of_token
def device_history(*, token: str, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """Show the history of the device with TOKEN, newest first. It is kept after the device is deleted."""
    with client_of(options, name) as client:
        found = client.get(f"/api/v1/devices/{segment(token)}/history", limit=limit)
    rows = [
        [
            ago(line["at"]),
            line["event"],
            _status(line["from_status"]),
            _status(line["to_status"]),
            _response(line),
        ]
        for line in found["history"]
    ]
    answer(found, table(rows, ["when", "event", "from", "to", "provider response"]), json=json)


@device.command("pushes", short_help="Show the pushes to a device and their outcomes.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="Number of pushes, newest first.",
)
@_of_token
def device_pushes(*, token: str, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """Show the pushes to the device with TOKEN and their outcomes, newest first."""
    from pushkeeper.core.delivery.reason_codes import MEANINGS

    with client_of(options, name) as client:
        found = client.get(f"/api/v1/devices/{segment(token)}/pushes", limit=limit)
    rows = [
        [
            ago(one["settled_at"]),
            one["ending"],
            one["reason"],
            MEANINGS.get(one["reason"], ""),
            _response(one),
        ]
        for one in found["pushes"]
    ]
    headings = ["when", "outcome", "reason", "meaning", "provider response"]
    ids = [one["delivery_id"] for one in found["pushes"]]
    answer(found, table(rows, headings, ids) if rows else "No pushes yet.", json=json)


def _status(status: str | None) -> str:
    return "-" if status is None else status or "unused"


def _response(line: dict[str, Any]) -> str:
    parts = (line["provider"], line["provider_status"], line["provider_reason"])
    return " ".join(str(part) for part in parts if part)
