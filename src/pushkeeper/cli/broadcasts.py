"""Broadcasts from the command line: made, looked at, started, and followed to their end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.broadcast_text import WHY_NO_END, tell, tell_draft
from pushkeeper.cli.broadcast_texts import estimate_text, label, list_text
from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, confirm, on_api, yes_option
from pushkeeper.cli.files import json_object, read_filter
from pushkeeper.cli.times import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.cli.client import Client

_PATH = "/api/v1/broadcasts"
_LOOK_S = 0.5
_ESTIMATED_WITHIN_S = 30.0
_OVER = frozenset({"sent", "stopped", "cancelled", "failed"})


@click.group(cls=TaskGroup, short_help="Create, send and monitor broadcasts.")
def broadcast() -> None:
    """Create, send and monitor broadcasts.

    `create` saves a draft and shows its estimate; nothing is sent before `start`.

    \b
    Examples:
      pushkeeper broadcast create 'platform = ios' --title Hello --message News
      pushkeeper broadcast start 12 --follow
      pushkeeper broadcast status 12
    """


_number = click.argument("number", type=click.IntRange(1))
_if_version = click.option(
    "--if-version", metavar="N", type=click.IntRange(1), help="Fail unless the draft has this version."
)


def _one(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the number of a broadcast."""
    return _number(on_api(command))


_ASKED = (
    click.argument("filter_", metavar="[FILTER]", required=False),
    click.option("--title", metavar="TEXT", help="Title (Liquid)."),
    click.option("--message", metavar="TEXT", help="Message (Liquid)."),
    click.option("--template", metavar="N", type=click.IntRange(1), help="Template number."),
    click.option("--name", "title_of_it", metavar="TEXT", help="Internal name."),
    click.option(
        "--unit",
        type=click.Choice(["device", "person"]),
        help="Evaluate FILTER per device or per person.  [default: device]",
    ),
    click.option(
        "--at",
        metavar="TIME",
        type=Moment(future=True),
        help="Send at this time, such as 2h or 2026-12-24T18:00:00+01:00.",
    ),
    click.option("--local-time", metavar="TIME", help="Send at this time in each device's time zone."),
    click.option("--time-zone", metavar="ZONE", help="Fallback time zone.  [default: UTC]"),
    click.option("--window", metavar="HH:MM-HH:MM", help="Delivery window in each device's local time."),
    click.option(
        "--per-second", metavar="N", type=click.FloatRange(0, min_open=True), help="Rate limit (pushes/s)."
    ),
    click.option("--expires-after-s", metavar="N", type=int, help="Expire unsent pushes after N seconds."),
    click.option("--dry-run", is_flag=True, help="Validate only; nothing is displayed."),
    click.option(
        "--from",
        "file",
        metavar="FILE",
        type=click.File("rb"),
        help="Read more options from a JSON file, in the API's format.",
    ),
    click.option("--start", is_flag=True, help="Start immediately."),
)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that define a broadcast to a command."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


@broadcast.command("list", short_help="List broadcasts with their results.")
@click.option(
    "--sort",
    metavar="ORDER",
    type=click.Choice(["newest", "worst", "delivered", "opened", "clicked", "converted", "devices"]),
    default="newest",
    show_default=True,
    help="newest, worst (the largest share of bounced and failed pushes), delivered, opened, clicked, converted or devices.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Number of broadcasts.",
)
@on_api
def broadcast_list(*, sort: str, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """List broadcasts with their status, results and rates."""
    with client_of(options, name) as client:
        found = client.all(_PATH, "broadcasts", limit=limit, sort=sort)
    answer({"broadcasts": found}, list_text(found), json=json)


@broadcast.command("create", short_help="Create a draft and show its estimate.")
@_asking
@yes_option
@on_api
def broadcast_create(*, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Create a broadcast to the devices that match FILTER and show its estimate.

    FILTER is a text such as 'platform = ios and person.plan = pro', its JSON, or everybody. Everything else that the API
    accepts (per-platform content, lists of people or devices, an event, an idempotency key) can be in FILE.
    """
    body = _body(options)
    _confirm_start(body, yes=yes, json=json)
    with client_of(options, name) as client:
        found = _estimated(client, client.post(_PATH, body)["broadcast"])
        tell_draft(found, client.workspace, json=json)


@broadcast.command("change", short_help="Edit a draft.")
@_number
@_if_version
@_asking
@yes_option
@on_api
def broadcast_change(
    *, number: int, if_version: int | None, yes: bool, name: str | None, json: bool, **options: Any
) -> None:
    """Replace draft NUMBER with new options (same options as `create`)."""
    body = _body(options)
    _confirm_start(body, yes=yes, json=json)
    if if_version is not None:
        body["version"] = if_version
    with client_of(options, name) as client:
        found = _estimated(client, client.call("PUT", f"{_PATH}/{number}", body=body)["broadcast"])
        tell_draft(found, client.workspace, json=json)


@broadcast.command("preflight", short_help="Recalculate the estimate.")
@_one
def broadcast_preflight(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Recalculate the estimate of broadcast NUMBER."""
    with client_of(options, name) as client:
        if client.run_here is None:
            client.post(f"{_PATH}/{number}/estimate")
        found = _estimated(client, {"id": number, "estimate": {"state": "pending"}})
    answer({"preflight": found["preflight"]}, estimate_text(found["preflight"]), json=json)


@broadcast.command("start", short_help="Start sending.")
@click.option("--follow", is_flag=True, help="Follow progress until it ends.")
@_if_version
@yes_option
@_one
def broadcast_start(
    *,
    number: int,
    follow: bool,
    if_version: int | None,
    yes: bool,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Start broadcast NUMBER now or at its scheduled time."""
    with client_of(options, name) as client:
        if not yes:
            confirm(_start_question(client.get(f"{_PATH}/{number}")["broadcast"]), yes=yes, json=json)
        client.post(f"{_PATH}/{number}/start", {} if if_version is None else {"version": if_version})
        tell(_followed(client, number, follow=follow and not json), json=json)


@broadcast.command("pause", short_help="Pause sending.")
@_one
def broadcast_pause(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Pause broadcast NUMBER until it is resumed."""
    _change(number, "pause", name, options, json=json)


@broadcast.command("resume", short_help="Resume sending.")
@_one
def broadcast_resume(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Resume broadcast NUMBER."""
    _change(number, "resume", name, options, json=json)


@broadcast.command("cancel", short_help="Cancel.")
@yes_option
@_one
def broadcast_cancel(*, number: int, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Cancel broadcast NUMBER. Unsent pushes are dropped."""
    confirm(f"Cancel broadcast {number}? Unsent pushes are dropped.", yes=yes, json=json)
    _change(number, "cancel", name, options, json=json)


@broadcast.command("status", short_help="Show progress and results.")
@click.option("--follow", is_flag=True, help="Follow progress until it ends.")
@_one
def broadcast_status(*, number: int, follow: bool, name: str | None, json: bool, **options: Any) -> None:
    """Show the progress, estimated completion and results of broadcast NUMBER."""
    with client_of(options, name) as client:
        tell(_followed(client, number, follow=follow and not json), json=json)


broadcast.add_command(broadcast_status, "show")


def _body(options: dict[str, Any]) -> dict[str, Any]:
    """What the API is asked; takes the options that it knows.

    Raises:
        BadRequest: the file or the filter is not JSON.
    """
    body = json_object(options.pop("file"))
    given = options.pop("filter_")
    unit = options.pop("unit")
    if given is not None:
        body["audience"] = {"filter": read_filter(given), **({"unit": unit} if unit else {})}
    content = {key: text for key in ("title", "message") if (text := options.pop(key)) is not None}
    if content:
        body["content"] = {**(body.get("content") or {}), **content}
    when = {key: text for key in ("at", "local_time", "time_zone") if (text := options.pop(key)) is not None}
    if when:
        body["schedule"] = when
    if (hours := options.pop("window")) is not None:
        opens, _, closes = hours.partition("-")
        body["window"] = {"opens": opens, "closes": closes}
    if (per_second := options.pop("per_second")) is not None:
        body["throttle"] = {"per_second": per_second}
    more = {
        "template": options.pop("template"),
        "name": options.pop("title_of_it"),
        "expires_after_s": options.pop("expires_after_s"),
        "dry_run": options.pop("dry_run") or None,
        "start": options.pop("start") or None,
    }
    return body | {key: value for key, value in more.items() if value is not None}


def _confirm_start(body: dict[str, Any], *, yes: bool, json: bool) -> None:
    if body.get("start"):
        confirm("Start sending as soon as it is saved, without looking at the estimate?", yes=yes, json=json)


def _start_question(found: dict[str, Any]) -> str:
    reach = found["preflight"] and found["preflight"]["reachable"]
    devices = (
        "an unknown number of devices"
        if reach is None
        else f"about {reach:,} device{'' if reach == 1 else 's'}"
    )
    return (
        f"Send broadcast {found['id']} ({found['name'] or found['content'].get('title', '')}) to {devices}?"
    )


def _estimated(client: Client, found: dict[str, Any]) -> dict[str, Any]:
    """The broadcast with its estimate: made here if it is our database, as there may be no worker; else waited for."""
    number = found["id"]
    if client.run_here is not None:
        client.run_here(lambda services, workspace: _estimate(services, workspace, number))
    until = time.monotonic() + _ESTIMATED_WITHIN_S
    while True:
        shown: dict[str, Any] = client.get(f"{_PATH}/{number}")["broadcast"]
        estimate = shown["estimate"]
        is_pending = estimate is not None and estimate["state"] == "pending"
        if not is_pending or client.run_here is not None or time.monotonic() > until:
            return shown
        time.sleep(_LOOK_S)


async def _estimate(services: Any, workspace: Any, number: int) -> None:
    from contextlib import suppress

    from pushkeeper.errors import TooManyRequests

    with suppress(TooManyRequests):  # a worker makes it later
        await services.broadcasts.estimates.make_now(workspace, number)


def _followed(client: Client, number: int, *, follow: bool) -> dict[str, Any]:
    """The broadcast and its progress; with `follow`, a progress bar until it is over."""
    found: dict[str, Any] = client.get(f"{_PATH}/{number}")["broadcast"]
    if not follow:
        return found
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"broadcast {number}")
        while found["state"] not in _OVER:
            done = found["progress"]
            rate = f"{done['per_s']:,.0f}/s" if done["per_s"] else WHY_NO_END.get(str(done["unknown"]), "")
            bar.update(task, completed=done["settled"], total=done["devices"] or None)
            bar.update(task, description=f"broadcast {number} {label(found)} {rate}")
            time.sleep(_LOOK_S)
            found = client.get(f"{_PATH}/{number}")["broadcast"]
        bar.update(task, completed=found["progress"]["settled"], total=found["progress"]["devices"])
    return found


def _change(number: int, what: str, name: str | None, options: dict[str, Any], *, json: bool) -> None:
    with client_of(options, name) as client:
        changed = client.post(f"{_PATH}/{number}/{what}")["broadcast"]
    answer({"broadcast": changed}, f"Broadcast {number} is {label(changed)}.", json=json)
