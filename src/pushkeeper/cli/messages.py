"""Messages: what was sent, to whom, and the outcome; drafts sent and dropped."""

from __future__ import annotations

from typing import Any

import click

from pushkeeper.cli.client import client_of, segment
from pushkeeper.cli.common import TaskGroup, answer, confirm, fields, on_api, table, yes_option
from pushkeeper.cli.devices import masked
from pushkeeper.cli.names import shown_name
from pushkeeper.cli.times import Moment, ago, exactly

_METRICS = (
    "attempted",
    "bounced",
    "clicked",
    "converted",
    "delivered",
    "drafted",
    "dropped",
    "failed",
    "opened",
    "sent",
)


@click.group(cls=TaskGroup, short_help="Show what was sent to whom, and the outcome.")
def message() -> None:
    """Show what was sent to whom, and the outcome. A message to one person is named by its delivery ID.

    \b
    Example:
      pushkeeper message list --metric bounced --since 2h
    """


@message.command("list")
@click.option(
    "--metric",
    metavar="METRIC",
    type=click.Choice(_METRICS),
    help=f"Only messages with this outcome: {', '.join(_METRICS)}.",
)
@click.option("--since", metavar="TIME", type=Moment(), help="Created since, such as 2h.")
@click.option("--until", metavar="TIME", type=Moment(), help="Created before.")
@click.option("--drafts", is_flag=True, help="Show drafts instead.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    default=50,
    show_default=True,
    help="Number of messages, newest first.",
)
@on_api
def message_list(
    *,
    metric: str | None,
    since: str | None,
    until: str | None,
    drafts: bool,
    limit: int,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """List messages, newest first."""
    with client_of(options, name) as client:
        found = client.all(
            "/v1/messages",
            "messages",
            limit=limit,
            metric=metric,
            start_ts=since,
            end_ts=until,
            drafts="true" if drafts else None,
        )
    rows = [
        [ago(one["created"]), _outcome(one), shown_name(one["customer_identifiers"]), one["subject"]]
        for one in found
    ]
    ids = [one["id"] for one in found]
    text = table(rows, ["created", "outcome", "person", "title"], ids) if rows else "No messages."
    answer({"messages": found}, text, json=json)


@message.command("show")
@click.argument("delivery_id", metavar="ID")
@on_api
def message_show(*, delivery_id: str, name: str | None, json: bool, **options: Any) -> None:
    """Show the message with delivery ID: its text, outcomes and times."""
    with client_of(options, name) as client:
        path = f"/v1/messages/{segment(delivery_id)}"
        found = client.get(path)["message"]
        body = client.get(f"{path}/archived_message")["archived_message"]["body"]
    devices = ", ".join(masked(token) for token in found["recipient"].split(", ") if token)
    shown = {
        "delivery": found["id"],
        "person": shown_name(found["customer_identifiers"]),
        "devices": devices,
        "title": found["subject"],
        "message": body,
        "failure": found["failure_message"],
        **{metric: exactly(at) for metric, at in found["metrics"].items()},
    }
    answer({"message": found}, fields(shown), json=json)


@message.command("send-draft")
@click.argument("delivery_id", metavar="ID")
@yes_option
@on_api
def message_send_draft(*, delivery_id: str, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Send the draft with delivery ID."""
    confirm(f"Send the draft {delivery_id}?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.post(f"/api/v1/drafts/{segment(delivery_id)}/send")
    answer({"id": delivery_id, "sent": True}, "Queued.", json=json)


@message.command("drop-draft")
@click.argument("delivery_id", metavar="ID")
@yes_option
@on_api
def message_drop_draft(*, delivery_id: str, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Delete the draft with delivery ID without sending it."""
    confirm(f"Delete the draft {delivery_id}?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.call("DELETE", f"/api/v1/drafts/{segment(delivery_id)}")
    answer({"id": delivery_id, "dropped": True}, "Deleted.", json=json)


def _outcome(one: dict[str, Any]) -> str:
    """The last thing that is known of a message."""
    metrics: dict[str, int] = one["metrics"]
    return max(metrics, key=lambda metric: (metrics[metric], list(metrics).index(metric)), default="queued")
