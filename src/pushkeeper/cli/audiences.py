"""Audiences: their size, members and mismatches."""

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


@click.group(short_help="Count, sample and compare audiences.")
def audience() -> None:
    """Query devices and people with a FILTER such as 'platform = ios and person.plan = pro' (text or JSON)."""


def _asks(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command a filter, and what is counted."""
    unit = click.option(
        "--unit",
        type=click.Choice(["device", "person"]),
        default="device",
        show_default=True,
        help="Evaluate FILTER per device or per person.",
    )
    return click.argument("filter_", metavar="FILTER")(unit(in_workspace(on_store(as_json(command)))))


@audience.command("count", short_help="Count matching people and devices.")
@_asks
def audience_count(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Count the people and devices that match FILTER."""
    from pushkeeper.core.filters.nodes import Unit

    size = run(
        _with_audiences(
            name, options, lambda room, workspace: room.size(workspace, read_filter(filter_), Unit(unit))
        )
    )
    answer(size, f"{size.people:,} people, {size.devices:,} devices", json=json)


@audience.command("sample", short_help="Show a sample of matching devices.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Number of devices."
)
@_asks
def audience_sample(*, filter_: str, unit: str, limit: int, name: str, json: bool, **options: Any) -> None:
    """Show a sample of the devices that match FILTER; always the same sample."""
    from pushkeeper.core.filters.nodes import Unit
    from pushkeeper.services.schemas.devices import DeviceView

    async def work(services: Services, workspace: WorkspaceId) -> list[Device]:
        asked = read_filter(filter_)
        found = await services.audiences.sample(workspace, asked, Unit(unit), limit=limit)
        if json:  # people see the tokens' beginnings alone
            await services.audit.tokens_read(actor(), workspace, len(found))
        return found

    found = run(with_workspace(name, options, work))
    text = table([_row(device) for device in found], _HEADINGS) if found else "No matching devices."
    answer({"devices": [DeviceView.of(device) for device in found]}, text, json=json)


@audience.command("preview", short_help="Compare per-device and per-person matching.")
@_asks
def audience_preview(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Show devices that FILTER would wrongly include or exclude if evaluated per person."""
    from pushkeeper.core.filters.nodes import Unit
    from pushkeeper.services.schemas.audiences import PreviewView

    async def work(services: Services, workspace: WorkspaceId) -> Preview:
        found = await services.audiences.preview(workspace, read_filter(filter_), Unit(unit))
        if json:
            await services.audit.tokens_read(actor(), workspace, found.examples)
        return found

    preview = run(with_workspace(name, options, work))
    size, differences = preview.size, preview.apart.differences
    wrongly = f"add {differences.wrongly_included:,} devices that don't match and miss {differences.wrongly_excluded:,} that do"
    lines = [
        f"{size.people:,} people, {size.devices:,} devices",
        f"Evaluated per person, it would {wrongly}.",
    ]
    rows = [["included", *_row(device)] for device in differences.included]
    rows += [["excluded", *_row(device)] for device in differences.excluded]
    if rows:
        lines += ["", table(rows, ["wrongly", *_HEADINGS])]
    answer(PreviewView.of(preview), "\n".join(lines), json=json)


@audience.command("explain", short_help="Show the query plan and index suggestions.")
@_asks
def audience_explain(*, filter_: str, unit: str, name: str, json: bool, **options: Any) -> None:
    """Show how PostgreSQL evaluates FILTER, how long it takes, and which indexes would make it faster."""
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
    rows = [[scan.table, scan.index or "none (full scan)", f"{scan.rows:,}"] for scan in plan.scans]
    lines.append(table(rows, ["table", "index", "estimated rows"]))
    for one in plan.advice:
        found = (
            f"{text_of(one.index.node)} matches {one.share:.1%} of devices. An index would find them faster:"
        )
        lines += ["", found, f"  {one.index.sql};"]
    answer(PlanView.of(plan), "\n".join(lines), json=json)


async def _with_audiences(
    name: str, options: dict[str, Any], ask: Callable[[Audiences, WorkspaceId], Awaitable[T]]
) -> T:
    return await with_workspace(name, options, lambda services, workspace: ask(services.audiences, workspace))


def read_filter(text: str) -> object:
    """The filter as it was typed: JSON if it starts like JSON, otherwise text.

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
