"""Erasing a person, and the receipts of those who were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core import identity

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import Receipt
    from pushkeeper.services.services import Services


@click.group()
def person() -> None:
    """Erase people and look up erasure receipts."""


@person.command("erase")
@click.argument("identifier")
@click.option("--yes", is_flag=True, help="Erase the person; without this it is a dry run.")
@in_workspace
@on_store
@as_json
def person_erase(*, identifier: str, yes: bool, name: str, json: bool, **options: Any) -> None:
    """Erase the person with IDENTIFIER: an ID, an email, or cio_ followed by a cio_id.

    The person is deleted immediately. The service erases the remaining data, now or when it next runs.
    """
    from pushkeeper.services.people import RequestedBy
    from pushkeeper.services.schemas.people import ErasureView

    who = identity.of_path(identifier)

    async def erase(services: Services, workspace: WorkspaceId) -> Receipt:
        return await services.people.erase(actor(), workspace, who, by=RequestedBy.COMMAND_LINE)

    if not yes:
        known = run(
            with_workspace(name, options, lambda services, workspace: services.people.person(workspace, who))
        )
        shown = {"id": known.id, "email": known.email, "cio_id": known.cio_id}
        lines = [f"{key:<7} {value or '-'}" for key, value in shown.items()]
        answer(
            {"erased": False, **shown},
            "\n".join([*lines, "", "Dry run. Re-run with --yes to erase this person."]),
            json=json,
        )
        return
    receipt = run(with_workspace(name, options, erase))
    text = f"Deleted. Remaining data is being erased. Receipt: {receipt.erasure_id}"
    answer(ErasureView.of(receipt), text, json=json)


@person.command("receipts")
@click.option("--of", "identifier", metavar="IDENTIFIER", help="Only receipts of this ID, email or cio_….")
@in_workspace
@on_store
@as_json
def person_receipts(*, identifier: str | None, name: str, json: bool, **options: Any) -> None:
    """Show the last 100 receipts, newest first."""
    from pushkeeper.services.schemas.people import ErasureView

    async def work(services: Services, workspace: WorkspaceId) -> list[Receipt]:
        of = None if identifier is None else identity.of_path(identifier)
        return await services.people.receipts(workspace, of)

    receipts = run(with_workspace(name, options, work))
    rows = [
        [
            str(one.erasure_id),
            "pending" if one.done_at is None else "done",
            f"{one.asked_at:%Y-%m-%d %H:%M:%S}",
            one.asked_by.value,
            f"{sum(one.counts.values()):,}",
        ]
        for one in receipts
    ]
    text = table(rows, ["receipt", "status", "requested (UTC)", "by", "rows"]) if rows else "No receipts."
    answer([ErasureView.of(one) for one in receipts], text, json=json)
