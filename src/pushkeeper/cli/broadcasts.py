"""Broadcasts from the command line: made, looked at, started, and followed to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from pushkeeper.cli.broadcast_texts import engagement_text, estimate_text, list_text
from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core.delivery.reason_codes import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.broadcasts.results import BroadcastSummary
    from pushkeeper.services.broadcasts.service import Broadcast, Broadcasts, BroadcastStatus

T = TypeVar("T")

_LOOK_S = 0.5
_WHY_NO_END = {
    "not_started": "not started",
    "paused": "paused",
    "sending_paused": "all sending is paused",
    "route_paused": "waiting for a paused route",
    "nothing_yet": "no pushes processed yet",
}


@click.group(short_help="Create, send and monitor broadcasts.")
def broadcast() -> None:
    """Create, send and monitor broadcasts.

    `create` saves a draft and shows its estimate; nothing is sent before `start`.
    """


_number = click.argument("number", type=click.IntRange(1))
_if_version = click.option(
    "--if-version", metavar="N", type=click.IntRange(1), help="Fail unless the draft has this version."
)


def _one(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the number of a broadcast."""
    return _number(in_workspace(on_store(as_json(command))))


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
    click.option("--at", metavar="TIME", help="Send at this time, such as 2026-12-24T18:00:00+01:00."),
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


@broadcast.command("create", short_help="Create a draft and show its estimate.")
@_asking
@in_workspace
@on_store
@as_json
def broadcast_create(*, name: str, json: bool, **options: Any) -> None:
    """Create a broadcast to the devices that match FILTER and show its estimate.

    FILTER is a text such as 'platform = ios and person.plan = pro', its JSON, or everybody. Everything else that the API
    accepts (per-platform content, lists of people or devices, an event, an idempotency key) can be in FILE.
    """
    from pushkeeper.services.schemas.broadcasts import request_of

    request, start = request_of(_body(options))

    async def create(room: Broadcasts, workspace: WorkspaceId) -> BroadcastSummary:
        made = await room.create(actor(), workspace, request, start=start)
        return await room.summary(await _estimated(room, made))

    _print_draft(run(_with_broadcasts(name, options, create)), name, json=json)


@broadcast.command("change", short_help="Edit a draft.")
@_number
@_if_version
@_asking
@in_workspace
@on_store
@as_json
def broadcast_change(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Replace draft NUMBER with new options (same options as `create`)."""
    from pushkeeper.services.schemas.broadcasts import request_of

    version = options.pop("if_version")
    request, start = request_of(_body(options))

    async def change(room: Broadcasts, workspace: WorkspaceId) -> BroadcastSummary:
        changed = await room.change(actor(), workspace, number, request, version=version)
        changed = await _estimated(room, changed)
        if start:
            changed = await room.start(actor(), workspace, number, version=changed.version)
        return await room.summary(changed)

    _print_draft(run(_with_broadcasts(name, options, change)), name, json=json)


@broadcast.command("list", short_help="List broadcasts with their results.")
@click.option(
    "--sort",
    type=click.Choice(["newest", "worst", "delivered", "opened", "clicked", "converted", "devices"]),
    default="newest",
    show_default=True,
    help="worst: the largest share of bounced and failed pushes first.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1, 500), default=20, show_default=True)
@in_workspace
@on_store
@as_json
def broadcast_list(*, sort: str, limit: int, name: str, json: bool, **options: Any) -> None:
    """List broadcasts with their status, results and rates."""
    from pushkeeper.services.broadcasts.results import Rank
    from pushkeeper.services.schemas.broadcast_view import BroadcastView

    async def read(room: Broadcasts, workspace: WorkspaceId) -> list[BroadcastSummary]:
        if sort == Rank.NEWEST:
            return await room.all(workspace, before=None, limit=limit)
        return await room.ranked(workspace, Rank(sort), limit=limit)

    found = run(_with_broadcasts(name, options, read))
    answer({"broadcasts": [BroadcastView.of(one) for one in found]}, list_text(found), json=json)


@broadcast.command("preflight", short_help="Recalculate the estimate.")
@_one
def broadcast_preflight(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Recalculate the estimate of broadcast NUMBER."""
    found = run(
        _with_broadcasts(name, options, lambda room, workspace: room.estimates.make_now(workspace, number))
    )
    shown = None if found is None else msgspec.to_builtins(found)
    answer({"preflight": shown}, estimate_text(shown), json=json)


@broadcast.command("start", short_help="Start sending.")
@click.option("--follow", is_flag=True, help="Follow progress until it ends.")
@_if_version
@_one
def broadcast_start(
    *, number: int, follow: bool, if_version: int | None, name: str, json: bool, **options: Any
) -> None:
    """Start broadcast NUMBER now or at its scheduled time."""

    async def start(room: Broadcasts, workspace: WorkspaceId) -> BroadcastStatus:
        await room.start(actor(), workspace, number, version=if_version)
        return await _followed(room, workspace, number, follow=follow and not json)

    _tell(run(_with_broadcasts(name, options, start)), json=json)


@broadcast.command("pause", short_help="Pause sending.")
@_one
def broadcast_pause(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Pause broadcast NUMBER until it is resumed."""
    _change(name, options, lambda room, workspace: room.pause(actor(), workspace, number), json=json)


@broadcast.command("resume", short_help="Resume sending.")
@_one
def broadcast_resume(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Resume broadcast NUMBER."""
    _change(name, options, lambda room, workspace: room.resume(actor(), workspace, number), json=json)


@broadcast.command("cancel", short_help="Cancel.")
@_one
def broadcast_cancel(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Cancel broadcast NUMBER. Unsent pushes are dropped."""
    _change(name, options, lambda room, workspace: room.cancel(actor(), workspace, number), json=json)


@broadcast.command("status", short_help="Show progress.")
@click.option("--follow", is_flag=True, help="Follow progress until it ends.")
@_one
def broadcast_status(*, number: int, follow: bool, name: str, json: bool, **options: Any) -> None:
    """Show the progress, estimated completion and results of broadcast NUMBER."""

    async def look(room: Broadcasts, workspace: WorkspaceId) -> BroadcastStatus:
        return await _followed(room, workspace, number, follow=follow and not json)

    _tell(run(_with_broadcasts(name, options, look)), json=json)


def _body(options: dict[str, Any]) -> dict[str, Any]:
    """What the API would be asked; takes the options that it knows.

    Raises:
        BadRequest: the file is no JSON, or a filter's.
    """
    from pushkeeper.cli.audiences import read_filter
    from pushkeeper.services import validation
    from pushkeeper.web.body import decode

    file = options.pop("file")
    body = {} if file is None else validation.as_object(decode(file.read()), "file")
    given = options.pop("filter_")
    unit = options.pop("unit")
    if given is not None:
        body["audience"] = {"filter": read_filter(given), **({"unit": unit} if unit else {})}
    content = {name: text for name in ("title", "message") if (text := options.pop(name)) is not None}
    if content:
        body["content"] = {**validation.optional_object(body.get("content"), "content"), **content}
    when = {
        name: text for name in ("at", "local_time", "time_zone") if (text := options.pop(name)) is not None
    }
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
    return body | {name: value for name, value in more.items() if value is not None}


async def _estimated(room: Broadcasts, broadcast: Broadcast) -> Broadcast:
    """The broadcast with its estimate, which is made here: there may be no worker."""
    from contextlib import suppress

    from pushkeeper.errors import TooManyRequests

    with suppress(TooManyRequests):  # a worker makes it later
        await room.estimates.make_now(broadcast.workspace_id, broadcast.broadcast_id)
    return await room.one(broadcast.workspace_id, broadcast.broadcast_id)


async def _followed(
    room: Broadcasts, workspace: WorkspaceId, number: int, *, follow: bool
) -> BroadcastStatus:
    """The broadcast's progress; with `follow`, a progress bar until it is over."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    standing = await room.standing(workspace, number)
    if not follow:
        return standing
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"broadcast {number}")
        while not standing.broadcast.is_over:
            done = standing.progress
            rate = f"{done.per_s:,.0f}/s" if done.per_s else _WHY_NO_END.get(str(done.unknown), "")
            bar.update(task, completed=done.settled, total=done.devices or None)
            bar.update(task, description=f"broadcast {number} {standing.summary.status.label} {rate}")
            await asyncio.sleep(_LOOK_S)
            standing = await room.standing(workspace, number)
        bar.update(task, completed=standing.progress.settled, total=standing.progress.devices)
    return standing


def _change(
    name: str,
    options: dict[str, Any],
    change: Callable[[Broadcasts, WorkspaceId], Awaitable[Broadcast]],
    *,
    json: bool,
) -> None:
    from pushkeeper.services.schemas.broadcast_view import BroadcastView

    async def do(room: Broadcasts, workspace: WorkspaceId) -> BroadcastSummary:
        return await room.summary(await change(room, workspace))

    changed = run(_with_broadcasts(name, options, do))
    text = f"Broadcast {changed.broadcast.broadcast_id} is {changed.status.label}."
    answer({"broadcast": BroadcastView.of(changed)}, text, json=json)


def _print_draft(summary: BroadcastSummary, name: str, *, json: bool) -> None:
    from pushkeeper.services.schemas.broadcast_view import BroadcastView

    broadcast = summary.broadcast
    number = broadcast.broadcast_id
    pending = broadcast.estimate is not None and broadcast.estimate.state == "pending"
    told = "The estimate is not ready yet." if pending else estimate_text(broadcast.preflight)
    lines = [f"Broadcast {number} is {summary.status.label}.", "", told]
    if broadcast.state == "draft":
        lines += ["", f"To send it: pushkeeper broadcast start {number} --workspace {name}"]
    answer({"broadcast": BroadcastView.of(summary)}, "\n".join(lines), json=json)


def _tell(standing: BroadcastStatus, *, json: bool) -> None:
    from pushkeeper.services.schemas.broadcast_view import BroadcastView

    broadcast, done = standing.broadcast, standing.progress
    exactly = "" if done.exact else "~"
    so_far = f"{done.settled:,} of {exactly}{done.devices:,} processed"
    lines = [f"Broadcast {broadcast.broadcast_id} is {standing.summary.status.label}: {so_far}."]
    if done.ends_at is not None:
        lines.append(f"ETA {done.ends_at:%Y-%m-%d %H:%M:%S} UTC at {done.per_s:,.0f}/s.")
    elif str(done.unknown) in _WHY_NO_END:
        lines.append(f"ETA unknown: {_WHY_NO_END[str(done.unknown)]}.")
    if broadcast.failure or broadcast.stop_reason:
        lines.append(f"{broadcast.failure or broadcast.stop_reason}")
    if broadcast.last_error is not None:
        lines.append(
            f"Planning failed (attempt {broadcast.attempts}): {broadcast.last_error}. "
            f"Next attempt at {broadcast.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    rows = [
        [
            tally.platform or "-",
            tally.ending,
            tally.reason,
            MEANINGS.get(tally.reason, ""),
            tally.provider_reason,
            f"{tally.pushes:,}",
        ]
        for tally in standing.tallies
    ]
    if rows:
        lines += ["", table(rows, ["platform", "outcome", "reason", "meaning", "provider code", "pushes"])]
    if standing.summary.results.accepted:
        lines += ["", engagement_text(standing.summary.results)]
    if standing.compared is not None:
        foreseen, kept = standing.compared["foreseen"], standing.compared["within"]
        between = f"{foreseen['least']:,}–{foreseen['most']:,}"  # noqa: RUF001 - a dash
        said = "within" if kept else "outside"
        lines += ["", f"Accepted {standing.compared['accepted']:,} ({said} estimate {between})."]
    answer({"broadcast": BroadcastView.of_standing(standing)}, "\n".join(lines), json=json)


async def _with_broadcasts(
    name: str, options: dict[str, Any], ask: Callable[[Broadcasts, WorkspaceId], Awaitable[T]]
) -> T:
    return await with_workspace(
        name, options, lambda services, workspace: ask(services.broadcasts, workspace)
    )
