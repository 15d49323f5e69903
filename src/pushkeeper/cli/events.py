"""What happens in a workspace: the last of it, or as it happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import answer, on_api
from pushkeeper.cli.names import shown_name
from pushkeeper.cli.times import time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.cli.client import Client

_PATH = "/v1/activities"
_LOOK_S = 1.0
_PAGE = 100
_REMEMBERED = 10_000


@click.command(short_help="Show what happens, as it happens.")
@click.option("--follow", is_flag=True, help="Show new events as they come, until Ctrl-C.")
@click.option(
    "--type", "kind", metavar="TYPE", help="Only events of this type, such as bounced_push or event."
)
@click.option("--person", metavar="ID", help="Only events of this person's ID.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=20,
    show_default=True,
    help="Number of past events.",
)
@on_api
def events(
    *,
    follow: bool,
    kind: str | None,
    person: str | None,
    limit: int,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Show registrations, pushes, opens, clicks, and your own events, the newest last.

    With --json each event is one line.

    \b
    Example:
      pushkeeper events --follow --type bounced_push
    """
    wanted = {"type": kind, "customer_id": person}
    with client_of(options, name) as client:
        past = client.all(_PATH, "activities", limit=limit, **wanted)
        for one in reversed(past):
            answer(one, _line(one), json=json)
        if follow:
            for one in _new(client, wanted, [one["id"] for one in past]):
                answer(one, _line(one), json=json)


def _new(client: Client, wanted: dict[str, Any], seen: list[str]) -> Iterator[dict[str, Any]]:
    """The events that come from now on, each once. Looks every second, as far back as to what was there before."""
    known = dict.fromkeys(seen)
    since = int(time.time()) - _PAGE
    while True:
        time.sleep(_LOOK_S)
        for one in reversed(_since(client, wanted, known, since)):
            known[one["id"]] = None
            yield one
        while len(known) > _REMEMBERED:
            del known[next(iter(known))]


def _since(
    client: Client, wanted: dict[str, Any], known: dict[str, None], since: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start = None
    while True:
        page = client.get(_PATH, **wanted, limit=_PAGE, start=start)
        new = [one for one in page["activities"] if one["id"] not in known and one["timestamp"] >= since]
        found += new
        start = page["next"]
        if not start or len(new) < len(page["activities"]):
            return found


def _line(one: dict[str, Any]) -> str:
    at = time_of(one["timestamp"]).astimezone()
    who = shown_name(one["customer_identifiers"])
    name, delivery_id = one["name"] or "", one["delivery_id"]
    line = f"{click.style(f'{at:%H:%M:%S}', dim=True)}  {one['type']:<22}  {who:<20}  {name}".rstrip()
    return line if delivery_id is None else f"{line}\n{click.style(f'  {delivery_id}', dim=True)}"
