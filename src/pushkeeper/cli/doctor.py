"""The doctor's table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, on_store, run, settings_of, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.config import Settings
    from pushkeeper.services.doctor import Finding

_COLOURS = {"ok": "green", "attention": "yellow", "wrong": "red"}


@click.command(short_help="Look at all that the service stands on, and say what to do.")
@click.option("--no-probes", is_flag=True, help="Do not ask the providers whether the keys are good.")
@click.option(
    "--whole-history",
    is_flag=True,
    help="Look at the history of every device; else of as many of a workspace as ten seconds allow.",
)
@on_store
@as_json
def doctor(*, no_probes: bool, whole_history: bool, json: bool, **options: Any) -> None:
    """Look at the database, migrations, keys, clocks, routes, queue, webhooks, disk and devices' history, and say what to do.

    Nothing is changed. With --whole-history all of `devices` and `device_history` is read. Each provider is asked by a push for nobody, which touches no device; Apple does not like to be
    asked more than a few times in twenty minutes. Ends with 1 when something is wrong.
    """
    found = run(_examined(settings_of(options), probes=not no_probes, whole_history=whole_history))
    wrong = [finding for finding in found if finding.state.value == "wrong"]
    answer({"healthy": not wrong, "findings": found}, _text(found), json=json)
    if wrong:
        sys.exit(1)


async def _examined(settings: Settings, *, probes: bool, whole_history: bool) -> list[Finding]:
    from pushkeeper import wiring
    from pushkeeper.errors import Misconfigured, Unreachable
    from pushkeeper.services.doctor.finding import wrong

    try:
        async with wiring.doctor(settings) as examiner:
            return await examiner.examine(probes=probes, whole_history=whole_history)
    except (Misconfigured, Unreachable) as error:
        return [wrong("installation", error.message, "mend this first: all else stands on it")]


def _text(found: Sequence[Finding]) -> str:
    rows = [[finding.check, finding.about, finding.state.value, finding.said] for finding in found]
    lines = table(rows, ["what", "of", "state", "what was seen"]).splitlines()
    shown = [lines[0]]
    for finding, line in zip(found, lines[1:], strict=True):
        shown.append(click.style(line, fg=_COLOURS[finding.state.value]))
        if finding.todo:
            shown.append(f"    → {finding.todo}")
    counted = {state: sum(finding.state.value == state for finding in found) for state in _COLOURS}
    words = [f"{count} {state}" for state, count in counted.items() if count]
    return "\n".join([*shown, "", ", ".join(words) + "."])
