"""Templates: made, listed, shown, changed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, confirm, fields, on_api, table, yes_option
from pushkeeper.cli.files import json_object
from pushkeeper.cli.times import ago, exactly

if TYPE_CHECKING:
    from collections.abc import Callable

_PATH = "/api/v1/templates"
_KINDS = click.Choice(["transactional", "broadcast"])
_number = click.argument("number", type=click.IntRange(1))


@click.group(cls=TaskGroup, short_help="Manage message templates.")
def template() -> None:
    """Manage message templates.

    \b
    Example:
      pushkeeper template create 'Order shipped' --trigger order_shipped \\
        --title 'On its way' --message 'Order {{ trigger.order }} has left.'
    """


_ASKED = (
    click.argument("title_of_it", metavar="NAME"),
    click.option(
        "--kind", type=_KINDS, default="transactional", show_default=True, help="What it is used for."
    ),
    click.option("--trigger", metavar="NAME", help="Name by which the API sends it."),
    click.option("--title", metavar="TEXT", help="Title (Liquid)."),
    click.option("--message", metavar="TEXT", help="Message (Liquid)."),
    click.option(
        "--from",
        "file",
        metavar="FILE",
        type=click.File("rb"),
        help="Read more fields from a JSON file, in the API's format.",
    ),
)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_ASKED):
        command = option(command)
    return command


def _body(options: dict[str, Any]) -> dict[str, Any]:
    file: BinaryIO | None = options.pop("file")
    given = {
        "name": options.pop("title_of_it"),
        "kind": options.pop("kind"),
        "trigger_name": options.pop("trigger"),
        "title": options.pop("title"),
        "message": options.pop("message"),
    }
    return json_object(file) | {key: value for key, value in given.items() if value is not None}


@template.command("list")
@click.option("--kind", type=_KINDS, help="Only those of this kind.")
@on_api
def template_list(*, kind: str | None, name: str | None, json: bool, **options: Any) -> None:
    """List templates."""
    with client_of(options, name) as client:
        found = client.get(_PATH, kind=kind)
    rows = [
        [
            str(one["id"]),
            one["name"],
            one["kind"],
            one["trigger_name"] or "-",
            one.get("title", "-"),
            ago(one["updated_at"]),
        ]
        for one in found["templates"]
    ]
    headings = ["id", "name", "kind", "trigger", "title", "updated"]
    answer(found, table(rows, headings) if rows else "No templates yet.", json=json)


@template.command("show")
@_number
@on_api
def template_show(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Show template NUMBER."""
    with client_of(options, name) as client:
        found = client.get(f"{_PATH}/{number}")
    one = found["template"]
    shown = {
        "id": str(one["id"]),
        "name": one["name"],
        "kind": one["kind"],
        "trigger": one["trigger_name"],
        "title": one.get("title"),
        "message": one.get("message"),
        "link": one.get("link"),
        "translations": ", ".join(one["translations"]),
        "updated": exactly(one["updated_at"]),
    }
    answer(found, fields(shown), json=json)


@template.command("create")
@_asking
@on_api
def template_create(*, name: str | None, json: bool, **options: Any) -> None:
    """Create the template NAME."""
    body = _body(options)
    with client_of(options, name) as client:
        found = client.post(_PATH, body)
    answer(found, f"Created template {found['template']['id']}.", json=json)


@template.command("change")
@_number
@_asking
@on_api
def template_change(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Replace template NUMBER. Queued messages keep the old content."""
    body = _body(options)
    with client_of(options, name) as client:
        found = client.call("PUT", f"{_PATH}/{number}", body=body)
    answer(found, f"Changed template {number}.", json=json)


@template.command("delete")
@_number
@yes_option
@on_api
def template_delete(*, number: int, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Delete template NUMBER."""
    confirm(f"Delete template {number}?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.call("DELETE", f"{_PATH}/{number}")
    answer({"id": number, "deleted": True}, f"Deleted template {number}.", json=json)
