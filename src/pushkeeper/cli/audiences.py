"""Audiences: how large one is, who is in it, and who differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audiences import Audiences, Preview
    from pushkeeper.services.people import Device
    from pushkeeper.services.services import Services

P = ParamSpec("P")
T = TypeVar("T")

_HEADINGS = ["device", "platform", "last status", "app", "last used (UTC)", "person"]


@click.group(short_help="Count an audience, look at it, and see whom it gets wrong.")
def audience() -> None:
    """Ask whom a FILTER is true of: a text such as 'platform = ios and person.plan = pro', or its JSON."""


def _asks(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command a filter, and what is counted."""
    unit = click.option(
        "--unit",
        type=click.Choice(["device", "person"]),
        default="device",
        show_default=True,
        help="Whether conditions on devices are about the device itself, or about any that a person has.",
    )
    return click.argument("filter_", metavar="FILTER")(unit(in_workspace(on_store(as_json(command)))))


@audience.command("count", short_help="Say how many people and devices.")
@_asks
def audience_count(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Say how many people and devices FILTER is true of."""
    from pushkeeper.core.filters.nodes import Unit

    size = run(
        _with_audiences(
            name, options, lambda room, workspace: room.size(workspace, read_filter(filter_), Unit(unit))
        )
    )
    answer(size, f"{size.people:,} people, {size.devices:,} devices", json=json)


@audience.command("sample", short_help="Show some of the devices.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many devices."
)
@_asks
def audience_sample(*, filter_: str, unit: str, limit: int, name: str, json: bool, **options: Any) -> None:
    """Show some of the devices that FILTER is true of, the same whenever it is asked."""
    from pushkeeper.core.filters.nodes import Unit
    from pushkeeper.services.schemas.devices import DeviceView

    async def work(services: Services, workspace: WorkspaceId) -> list[Device]:
        asked = read_filter(filter_)
        found = await services.audiences.sample(workspace, asked, Unit(unit), limit=limit)
        if json:  # people see the tokens' beginnings alone
            await services.audit.tokens_read(actor(), workspace, len(found))
        return found

    found = run(with_workspace(name, options, work))
    text = table([_row(device) for device in found], _HEADINGS) if found else "No device."
    answer({"devices": [DeviceView.of(device) for device in found]}, text, json=json)


@audience.command("preview", short_help="Show whom a reading by people gets wrong.")
@_asks
def audience_preview(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Say which devices FILTER takes in or leaves out wrongly when it is read of people."""
    from pushkeeper.core.filters.nodes import Unit
    from pushkeeper.services.schemas.audiences import PreviewView

    async def work(services: Services, workspace: WorkspaceId) -> Preview:
        found = await services.audiences.preview(workspace, read_filter(filter_), Unit(unit))
        if json:
            await services.audit.tokens_read(actor(), workspace, found.examples)
        return found

    preview = run(with_workspace(name, options, work))
    size, differences = preview.size, preview.apart.differences
    wrongly = f"take in {differences.wrongly_included:,} devices wrongly, and leave out {differences.wrongly_excluded:,}"
    lines = [f"{size.people:,} people, {size.devices:,} devices", f"Read of people it would {wrongly}."]
    rows = [["taken in", *_row(device)] for device in differences.included]
    rows += [["left out", *_row(device)] for device in differences.excluded]
    if rows:
        lines += ["", table(rows, ["wrongly", *_HEADINGS])]
    answer(PreviewView.of(preview), "\n".join(lines), json=json)


@audience.command("explain", short_help="Show how it is counted, and what would be faster.")
@_asks
def audience_explain(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Show how PostgreSQL counts FILTER, how long that takes, and which indexes would make it faster."""
    from pushkeeper.core.filters.nodes import Unit
    from pushkeeper.core.filters.to_text import text_of
    from pushkeeper.services.schemas.audiences import PlanView

    plan = run(
        _with_audiences(
            name, options, lambda room, workspace: room.explain(workspace, read_filter(filter_), Unit(unit))
        )
    )
    size = plan.size
    lines = [f"{size.people:,} people, {size.devices:,} devices, counted in {plan.took_ms:,.0f} ms", ""]
    rows = [[scan.table, scan.index or "none: all of it is read", f"{scan.rows:,}"] for scan in plan.scans]
    lines.append(table(rows, ["table", "index", "rows expected"]))
    for one in plan.advice:
        found = f"{text_of(one.index.node)} leaves {one.share:.1%} of the devices; an index finds them:"
        lines += ["", found, f"  {one.index.sql};"]
    answer(PlanView.of(plan), "\n".join(lines), json=json)


async def _with_audiences(
    name: str, options: dict[str, Any], ask: Callable[[Audiences, WorkspaceId], Awaitable[T]]
) -> T:
    return await with_workspace(name, options, lambda services, workspace: ask(services.audiences, workspace))


def read_filter(text: str) -> object:
    """The filter as it was typed: JSON where it starts as JSON does, else a text.

    Raises:
        BadRequest: it starts as JSON, and is none.
    """
    from pushkeeper.errors import BadRequest

    if not text.lstrip().startswith("{"):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest("filter", f"not JSON: {error}") from None


def _row(device: Device) -> list[str]:
    from pushkeeper.core.identity import cio_id

    return [
        device.token.masked,
        device.platform,
        device.status or "unused",
        device.app or "-",
        f"{device.last_used:%Y-%m-%d %H:%M:%S}",
        cio_id(device.person_id),
    ]
