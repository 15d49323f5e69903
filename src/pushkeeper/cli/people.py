"""Erasing a person, and the receipts of those who were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, settings_of, table
from pushkeeper.core import identity

if TYPE_CHECKING:
    from pushkeeper.store.admin.workspaces import Workspace
    from pushkeeper.store.people.erasures import Receipt
    from pushkeeper.store.people.people import Person
    from pushkeeper.wiring import Store


@click.group()
def person() -> None:
    """Erase a person, and look up the receipts of those who were."""


@person.command("erase")
@click.argument("identifier")
@click.option("--yes", is_flag=True, help="Do it; without this it is only said who is meant.")
@in_workspace
@on_store
@as_json
def person_erase(*, identifier: str, yes: bool, name: str, json: bool, **options: Any) -> None:
    """Erase the person of IDENTIFIER: an id, an email, or cio_ and a cio_id.

    They are deleted at once; what is left of them elsewhere is erased by the service, or the next time that it runs.
    """
    from pushkeeper import wiring
    from pushkeeper.api.native.erasures import receipt_json
    from pushkeeper.cli.audited import noted_in
    from pushkeeper.store.admin import workspaces
    from pushkeeper.store.people.erasures import AskedBy

    who = identity.of_path(identifier)

    async def meant() -> Person:
        async with wiring.store(settings_of(options)) as store:
            found = await workspaces.by_name(store.database, name)
            return await store.services.people.person(found.workspace_id, who)

    async def erase(store: Store, found: Workspace) -> Receipt:
        return await store.services.people.erase(found.workspace_id, who, by=AskedBy.COMMAND_LINE)

    if not yes:
        known = run(meant())
        shown = {"id": known.id, "email": known.email, "cio_id": known.cio_id}
        lines = [f"{key:<7} {value or '-'}" for key, value in shown.items()]
        answer(
            {"erased": False, **shown},
            "\n".join([*lines, "", "Nobody is erased yet; --yes does it."]),
            json=json,
        )
        return
    # Not whom: the log is what stays.
    receipt = run(noted_in(name, "person.erase", "a person", options, erase))
    text = f"Deleted; what is left is being erased. The receipt is {receipt.erasure_id}."
    answer(receipt_json(receipt), text, json=json)


@person.command("receipts")
@click.option("--of", "identifier", metavar="IDENTIFIER", help="Of whoever had this id, email or cio_….")
@in_workspace
@on_store
@as_json
def person_receipts(*, identifier: str | None, name: str, json: bool, **options: Any) -> None:
    """Show the last hundred receipts, the newest first."""
    from pushkeeper import wiring
    from pushkeeper.api.native.erasures import receipt_json
    from pushkeeper.store.admin import workspaces

    async def work() -> list[Receipt]:
        async with wiring.store(settings_of(options)) as store:
            found = await workspaces.by_name(store.database, name)
            of = None if identifier is None else identity.of_path(identifier)
            return await store.services.people.receipts(found.workspace_id, of)

    receipts = run(work())
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
    text = table(rows, ["receipt", "status", "asked at", "by", "rows"]) if rows else "There are none."
    answer([receipt_json(one) for one in receipts], text, json=json)
