"""One push to one person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import answer, on_api
from pushkeeper.cli.people import person_of

if TYPE_CHECKING:
    from pushkeeper.cli.client import Client


@click.command(short_help="Queue a push to a person.")
@click.option("--to", metavar="ID", required=True, help="The person: an ID, an email or cio_….")
@click.option("--title", metavar="TEXT", help="Title.")
@click.option("--message", metavar="TEXT", help="Message.")
@on_api
def send(
    *, name: str | None, to: str, title: str | None, message: str | None, json: bool, **options: Any
) -> None:
    """Queue a push to all devices of a person. A running worker sends it.

    \b
    Example:
      pushkeeper send --to ann@example.com --title 'Hello' --message 'A test.'
    """
    with client_of(options, name) as client:
        cio_id = person_of(client, to)["identifiers"]["cio_id"]
        shown = _queued(client, cio_id, title, message)
    answer(shown, f"Queued. Delivery ID: {shown['delivery_id']}", json=json)


def _queued(client: Client, cio_id: str, title: str | None, message: str | None) -> dict[str, Any]:
    if client.run_here is None:
        body = {"identifiers": {"cio_id": cio_id}, "title": title, "message": message}
        answered: dict[str, Any] = client.post("/v1/send/push", body)
        return answered
    from pushkeeper.cli.use_cases import actor
    from pushkeeper.core.identity import Identifier, IdentifierKind
    from pushkeeper.core.model import Content
    from pushkeeper.services.messages.transactional import TransactionalPush
    from pushkeeper.services.people import PersonReference

    async def work(services: Any, workspace: Any) -> Any:
        push = TransactionalPush(
            naming=PersonReference(workspace_id=workspace, path=Identifier(IdentifierKind.CIO_ID, cio_id)),
            content=Content(title=title, message=message),
        )
        # Not by the API: what an operator sends is in the audit log.
        return await services.transactional.send(actor(), workspace, push)

    queued = client.run_here(work)
    return {"delivery_id": str(queued.delivery_id), "queued_at": int(queued.queued_at.timestamp())}
