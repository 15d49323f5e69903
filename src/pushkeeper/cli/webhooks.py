"""Reporting webhooks: made, listed, shown and deleted."""

from __future__ import annotations

from typing import Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, confirm, fields, on_api, table, yes_option
from pushkeeper.cli.times import ago, exactly

_PATH = "/v1/reporting_webhooks"


@click.group(cls=TaskGroup, short_help="Manage reporting webhooks.")
def webhook() -> None:
    """Manage reporting webhooks: URLs that receive the events of pushes.

    \b
    Example:
      pushkeeper webhook create https://example.com/push --event push_bounced
    """


@webhook.command("list")
@on_api
def webhook_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List webhooks with their state and the events that wait."""
    with client_of(options, name) as client:
        found = client.get(_PATH)["reporting_webhooks"]
    rows = [
        [
            str(one["id"]),
            one["name"],
            one["endpoint"],
            _state(one),
            f"{one['waiting']:,}",
            one["failure"] or "",
        ]
        for one in found
    ]
    headings = ["id", "name", "endpoint", "state", "waiting", "failure"]
    answer({"webhooks": found}, table(rows, headings) if rows else "No webhooks yet.", json=json)


@webhook.command("show")
@click.argument("number", type=click.IntRange(1))
@on_api
def webhook_show(*, number: int, name: str | None, json: bool, **options: Any) -> None:
    """Show webhook NUMBER and its last calls."""
    with client_of(options, name) as client:
        found = client.get(f"{_PATH}/{number}")
        calls = client.get(f"/api/v1/webhooks/{number}/calls", limit=10)["calls"]
    shown = {
        "id": str(found["id"]),
        "name": found["name"],
        "endpoint": found["endpoint"],
        "state": _state(found),
        "failing since": exactly(found["failing_since"]),
        "failure": found["failure"],
        "events": ", ".join(found["events"]),
        "waiting": f"{found['waiting']:,}",
    }
    rows = [
        [ago(one["at"]), one["event"], str(one["status"] or one["failure"] or "-"), f"{one['took_ms']:,} ms"]
        for one in calls
    ]
    listed = table(rows, ["when", "event", "answer", "took"]) if rows else "No calls yet."
    answer({"webhook": found, "calls": calls}, f"{fields(shown)}\n\n{listed}", json=json)


@webhook.command("create", short_help="Create a webhook and print its signing key.")
@click.argument("endpoint", metavar="URL")
@click.option("--name", "title", metavar="TEXT", help="Name.  [default: the URL]")
@click.option(
    "--event",
    "events",
    metavar="EVENT",
    multiple=True,
    required=True,
    help="An event such as push_bounced; repeatable.",
)
@click.option("--with-content", is_flag=True, help="Send the content of messages with their events.")
@on_api
def webhook_create(
    *,
    endpoint: str,
    title: str | None,
    events: tuple[str, ...],
    with_content: bool,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Create a webhook to URL and print its signing key, which is shown only once."""
    body = {"name": title or endpoint, "endpoint": endpoint, "events": events, "with_content": with_content}
    with client_of(options, name) as client:
        found = client.post(_PATH, body)
    text = f"Created webhook {found['id']}. Signing key: {found['signing_key']}\n\nSave it now: it is not shown again."
    answer({"webhook": found}, text, json=json)


@webhook.command("delete")
@click.argument("number", type=click.IntRange(1))
@yes_option
@on_api
def webhook_delete(*, number: int, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Delete webhook NUMBER with the events that wait for it."""
    confirm(f"Delete webhook {number} with the events that wait for it?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.call("DELETE", f"{_PATH}/{number}")
    answer({"id": number, "deleted": True}, f"Deleted webhook {number}.", json=json)


def _state(one: dict[str, Any]) -> str:
    return "paused" if one["disabled"] else "failing" if one["failing_since"] else "active"
