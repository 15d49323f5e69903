"""People: shown, erased, and the receipts of those who were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import Refused, client_of, segment
from pushkeeper.cli.common import TaskGroup, answer, fields, on_api, table
from pushkeeper.cli.devices import masked
from pushkeeper.cli.times import ago, exactly

if TYPE_CHECKING:
    from pushkeeper.cli.client import Client

_WITHOUT_ROWS = ("id", "email", "cio_id")


@click.group(cls=TaskGroup, short_help="Show and erase people.")
def person() -> None:
    """Show and erase people. A person is an ID, an email, or cio_ followed by a cio_id.

    \b
    Examples:
      pushkeeper person show ann@example.com
      pushkeeper person list 'person.plan = pro'
    """


def person_of(client: Client, identifier: str) -> dict[str, Any]:
    """The person whom a text names: as `GET /v1/customers/…/attributes` shows them.

    Raises:
        PushkeeperError: it is nobody.
    """
    from pushkeeper.core import identity
    from pushkeeper.errors import NotFound

    who = identity.of_path(identifier)
    try:
        found = client.get(f"/v1/customers/{segment(who.value)}/attributes", id_type=who.kind.value)
    except Refused as error:
        if error.code != NotFound.code:
            raise
        raise NotFound("No person found with this identifier") from error
    person: dict[str, Any] = found["customer"]
    return person


@person.command("list")
@click.argument("filter_", metavar="[FILTER]", default="everybody")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=50, show_default=True, help="Number of people."
)
@on_api
def person_list(*, filter_: str, limit: int, name: str | None, json: bool, **options: Any) -> None:
    """List people that match FILTER, such as 'person.plan = pro'."""
    from pushkeeper.cli.files import read_filter

    body = {"filter": read_filter(filter_)}
    found: list[dict[str, Any]] = []
    with client_of(options, name) as client:
        start = None
        while len(found) < limit:
            page = client.post("/v1/customers", body, limit=min(limit - len(found), 1000), start=start)
            found += page["identifiers"]
            if not (start := page["next"]):
                break
    rows = [[one["id"] or "-", one["email"] or "-", f"cio_{one['cio_id']}"] for one in found]
    text = table(rows, ["id", "email", "cio_id"]) if rows else "No matching people."
    answer({"people": found}, text, json=json)


@person.command("show")
@click.argument("identifier")
@on_api
def person_show(*, identifier: str, name: str | None, json: bool, **options: Any) -> None:
    """Show the person with IDENTIFIER: attributes and devices."""
    with client_of(options, name) as client:
        found = person_of(client, identifier)
    known = found["identifiers"]
    shown = {
        "id": known["id"],
        "email": known["email"],
        "cio_id": f"cio_{known['cio_id']}",
        "unsubscribed": "yes" if found["unsubscribed"] else "no",
        **{key: value for key, value in found["attributes"].items() if key not in _WITHOUT_ROWS},
    }
    rows = [
        [
            masked(one["id"]),
            one["platform"],
            one["attributes"]["_last_status"] or "unused",
            one["attributes"].get("app_id", "-"),
            ago(one["last_used"]),
        ]
        for one in found["devices"]
    ]
    devices = (
        table(rows, ["device", "platform", "last status", "app", "last used"]) if rows else "No devices."
    )
    answer({"person": found}, f"{fields(shown)}\n\n{devices}", json=json)


@person.command("erase", short_help="Erase a person.")
@click.argument("identifier")
@click.option("--yes", is_flag=True, help="Erase the person; without this it is a dry run.")
@on_api
def person_erase(*, identifier: str, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Erase the person with IDENTIFIER: an ID, an email, or cio_ followed by a cio_id.

    The person is deleted immediately. The service erases the remaining data, now or when it next runs.
    """
    with client_of(options, name) as client:
        if not yes:
            known = person_of(client, identifier)["identifiers"]
            lines = [f"{key:<7} {known[key] or '-'}" for key in _WITHOUT_ROWS]
            text = "\n".join([*lines, "", "Dry run. Re-run with --yes to erase this person."])
            answer({"erased": False, **known}, text, json=json)
            return
        receipt = _erased(client, identifier)
    text = f"Deleted. Remaining data is being erased. Receipt: {receipt['id']}"
    answer(receipt, text, json=json)


def _erased(client: Client, identifier: str) -> dict[str, Any]:
    if client.run_here is None:
        receipt: dict[str, Any] = client.post(f"/api/v1/customers/{segment(identifier)}/erase")["erasure"]
        return receipt
    import msgspec

    from pushkeeper.cli.use_cases import actor
    from pushkeeper.core import identity
    from pushkeeper.services.people import RequestedBy
    from pushkeeper.services.schemas.people import ErasureView

    who = identity.of_path(identifier)
    found = client.run_here(
        lambda services, workspace: services.people.erase(
            actor(), workspace, who, by=RequestedBy.COMMAND_LINE
        )
    )
    made: dict[str, Any] = msgspec.to_builtins(ErasureView.of(found), str_keys=True)
    return made


@person.command("receipts")
@click.option("--of", "identifier", metavar="IDENTIFIER", help="Only receipts of this ID, email or cio_….")
@on_api
def person_receipts(*, identifier: str | None, name: str | None, json: bool, **options: Any) -> None:
    """Show the last 100 receipts, newest first."""
    with client_of(options, name) as client:
        found = client.get("/api/v1/erasures", identifier=identifier)["erasures"]
    rows = [
        [
            str(one["id"]),
            one["status"],
            exactly(one["asked_at"]),
            one["asked_by"],
            f"{sum(one['counts'].values()):,}",
        ]
        for one in found
    ]
    text = table(rows, ["receipt", "status", "requested", "by", "rows"]) if rows else "No receipts."
    answer(found, text, json=json)
