"""Audiences: how large one is, who is in it, who differs, and those that are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, confirm, fields, on_api, table, yes_option
from pushkeeper.cli.devices import HEADINGS, device_row
from pushkeeper.cli.files import read_filter
from pushkeeper.cli.names import names_of
from pushkeeper.cli.times import ago, exactly

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_PATH = "/api/v1/audiences"
_unit = click.option(
    "--unit",
    type=click.Choice(["device", "person"]),
    default="device",
    show_default=True,
    help="Evaluate FILTER per device or per person.",
)
_number = click.argument("number", type=click.IntRange(1))


@click.group(cls=TaskGroup, short_help="Count, sample, compare and save audiences.")
def audience() -> None:
    """Query devices and people with a FILTER such as 'platform = ios and person.plan = pro' (text or JSON), and save audiences.

    \b
    Examples:
      pushkeeper audience count 'platform = ios and person.plan = pro'
      pushkeeper audience create 'iPhones' 'platform = ios'
    """


def _asks(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command a filter, and what is counted."""
    return click.argument("filter_", metavar="FILTER")(_unit(on_api(command)))


def _asked(filter_: str, unit: str) -> dict[str, Any]:
    return {"filter": read_filter(filter_), "unit": unit}


@audience.command("count", short_help="Count matching people and devices.")
@_asks
def audience_count(*, filter_: str, unit: str, name: str | None, json: bool, **options: Any) -> None:
    """Count the people and devices that match FILTER."""
    with client_of(options, name) as client:
        size = client.post(f"{_PATH}/count", _asked(filter_, unit))
    answer(size, f"{size['people']:,} people, {size['devices']:,} devices", json=json)


@audience.command("sample", short_help="Show a sample of matching devices.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    metavar="N",
    default=20,
    show_default=True,
    help="Number of devices.",
)
@_asks
def audience_sample(
    *, filter_: str, unit: str, limit: int, name: str | None, json: bool, **options: Any
) -> None:
    """Show a sample of the devices that match FILTER; always the same sample."""
    with client_of(options, name) as client:
        found = client.post(f"{_PATH}/sample", _asked(filter_, unit), limit=limit)["devices"]
        people = {} if json else names_of(client, found)
    text = table([device_row(one, people) for one in found], HEADINGS) if found else "No matching devices."
    answer({"devices": found}, text, json=json)


@audience.command("preview", short_help="Compare per-device and per-person matching.")
@_asks
def audience_preview(*, filter_: str, unit: str, name: str | None, json: bool, **options: Any) -> None:
    """Show devices that FILTER would wrongly include or exclude if evaluated per person."""
    with client_of(options, name) as client:
        found = client.post(f"{_PATH}/preview", _asked(filter_, unit))
        people = {} if json else names_of(client, [one["device"] for one in found["examples"]])
    wrongly = f"add {found['wrongly_included']:,} devices that don't match and miss {found['wrongly_excluded']:,} that do"
    lines = [
        f"{found['people']:,} people, {found['devices']:,} devices",
        f"Evaluated per person, it would {wrongly}.",
    ]
    rows = [[one["wrongly"], *device_row(one["device"], people)] for one in found["examples"]]
    if rows:
        lines += ["", table(rows, ["wrongly", *HEADINGS])]
    answer(found, "\n".join(lines), json=json)


@audience.command("explain", short_help="Show the query plan and index suggestions.")
@_asks
def audience_explain(*, filter_: str, unit: str, name: str | None, json: bool, **options: Any) -> None:
    """Show how PostgreSQL evaluates FILTER, how long it takes, and which indexes would make it faster."""
    with client_of(options, name) as client:
        plan = client.post(f"{_PATH}/explain", _asked(filter_, unit))
    size = f"{plan['people']:,} people, {plan['devices']:,} devices"
    rows = [
        [scan["table"], scan["index"] or "none (full scan)", f"{scan['rows']:,}"] for scan in plan["scans"]
    ]
    lines = [f"{size}, counted in {plan['took_ms']:,.0f} ms", ""]
    lines.append(table(rows, ["table", "index", "estimated rows"]))
    for one in plan["advice"]:
        found = f"{one['clause']} matches {one['share']:.1%} of devices. An index would find them faster:"
        lines += ["", found, f"  {one['sql']};"]
    answer(plan, "\n".join(lines), json=json)


@audience.command("list")
@on_api
def audience_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List saved audiences."""
    with client_of(options, name) as client:
        found = client.get(_PATH)
    rows = [
        [
            str(one["id"]),
            one["name"],
            one["type"],
            one["unit"],
            f"{len(one['used_by']):,}",
            ago(one["updated_at"]),
        ]
        for one in found["audiences"]
    ]
    headings = ["id", "name", "type", "per", "used by", "updated"]
    answer(found, table(rows, headings) if rows else "No saved audiences yet.", json=json)


@audience.command("show")
@_number
@on_api
def audience_show(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Show saved audience NUMBER, its size and what uses it."""
    with client_of(options, name) as client:
        found = client.get(f"{_PATH}/{number}")
        one = found["audience"]
        size = client.post(f"{_PATH}/count", {"filter": {"segment": {"id": number}}, "unit": one["unit"]})
    shown = {
        "id": str(one["id"]),
        "name": one["name"],
        "description": one["description"],
        "type": one["type"],
        "filter": _shown_filter(one["filter"]),
        "per": one["unit"],
        "size": f"{size['people']:,} people, {size['devices']:,} devices",
        "used by": ", ".join(f"{use['kind']} {use['number']} ({use['name']})" for use in one["used_by"]),
        "updated": exactly(one["updated_at"]),
    }
    answer({**found, "size": size}, fields(shown), json=json)


@audience.command("create")
@click.argument("title", metavar="NAME")
@click.argument("filter_", metavar="FILTER")
@click.option("--description", metavar="TEXT", help="Description.")
@_unit
@on_api
def audience_create(
    *,
    title: str,
    filter_: str,
    description: str | None,
    unit: str,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Save FILTER as the audience NAME."""
    body = {"name": title, "description": description, **_asked(filter_, unit)}
    with client_of(options, name) as client:
        found = client.post(_PATH, body)
    answer(found, f"Created audience {found['audience']['id']}.", json=json)


@audience.command("delete")
@_number
@yes_option
@on_api
def audience_delete(*, number: int, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Delete saved audience NUMBER. What was sent to it stays sent."""
    confirm(f"Delete audience {number}?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.call("DELETE", f"{_PATH}/{number}")
    answer({"id": number, "deleted": True}, f"Deleted audience {number}.", json=json)


def _shown_filter(found: Any) -> str | None:
    """A filter as text, where it can be written as one."""
    import msgspec

    from pushkeeper.core.filters.from_json import read
    from pushkeeper.core.filters.to_text import text_of
    from pushkeeper.errors import PushkeeperError

    if found is None or isinstance(found, str):
        return found
    try:
        return text_of(read(found))
    except (PushkeeperError, ValueError):
        return msgspec.json.encode(found).decode()
