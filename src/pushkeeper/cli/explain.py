"""Why somebody did, or didn't, get a message."""

from __future__ import annotations

from typing import Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import answer, on_api
from pushkeeper.cli.times import ago

_SHOWN = 3  # pushes that made a status what it is
_MARKS = {True: ("yes", "green"), False: ("no ", "red"), None: ("   ", None)}
_WIDTH = 12


@click.command(short_help="Explain why a push was or wasn't delivered.")
@click.option("--person", metavar="ID", help="The person: an ID, an email or cio_….")
@click.option("--device", "token", metavar="TOKEN", help="Only this device.")
@click.option("--message", metavar="ID", help="Delivery ID, message UUID or broadcast number.")
@on_api
def explain(
    *,
    person: str | None,
    token: str | None,
    message: str | None,
    name: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Explain why a person or device did or didn't receive a message; without --message, whether a push would reach them.

    \b
    Examples:
      pushkeeper explain --person ann@example.com
      pushkeeper explain --person ann@example.com --message 12
    """
    with client_of(options, name) as client:
        found = client.get("/api/v1/explain", person=person, device=token, message=message)
    answer(found, _told(found), json=json)


def _told(found: dict[str, Any]) -> str:
    got = {True: "Yes", False: "No", None: "Not yet"}[found["got"]]
    lines = [click.style(f"{got}: {found['said']}.", bold=True)]
    if found["change"] is not None:
        lines.append(f"How to fix: {found['change']}.")
    lines += ["", *map(_step, found["steps"])]
    for trace in found["devices"]:
        platform = f" ({trace['platform']})" if trace["platform"] else ""
        lines += ["", click.style(f"{trace['device']}{platform}: {trace['said']}", bold=True)]
        lines += map(_step, trace["steps"])
    return "\n".join(lines)


def _step(step: dict[str, Any]) -> str:
    mark, colour = _MARKS[step["so"]]
    at = "" if step["at"] is None else ago(step["at"])
    lines = [f"  {click.style(mark, fg=colour)}  {step['step']:<10}  {at:<{_WIDTH}}  {step['said']}"]
    made_by = [line for line in step["facts"].get("made_by", ()) if line["answer"]][:_SHOWN]
    for line in made_by:
        taken_back = ", reverted" if line["undone"] else ""
        lines.append(f"{'':19}{ago(line['at']):<{_WIDTH}}  {line['event']}: {line['answer']}{taken_back}")
    return "\n".join(lines)
