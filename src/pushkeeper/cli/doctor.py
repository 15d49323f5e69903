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


@click.command(short_help="Run health checks and suggest fixes.")
@click.option("--no-probes", is_flag=True, help="Don't send test pushes to the providers.")
@click.option(
    "--whole-history",
    is_flag=True,
    help="Check the history of every device, not just a sample (10 seconds per workspace).",
)
@on_store
@as_json
def doctor(*, no_probes: bool, whole_history: bool, json: bool, **options: Any) -> None:
    """Check the database, migrations, keys, clocks, routes, queue, webhooks, disk and device history, and suggest fixes.

    Nothing is changed. Each provider gets a test push to an invalid token, which reaches no device; don't run this more
    than a few times in 20 minutes, as Apple limits such requests. --whole-history reads all of `devices` and
    `device_history`. The exit code is 1 if something is wrong.
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
        return [wrong("installation", error.message, "fix this first; all other checks depend on it")]


def _text(found: Sequence[Finding]) -> str:
    rows = [[finding.check, finding.about, finding.state.value, finding.said] for finding in found]
    lines = table(rows, ["check", "subject", "state", "finding"]).splitlines()
    shown = [lines[0]]
    for finding, line in zip(found, lines[1:], strict=True):
        shown.append(click.style(line, fg=_COLOURS[finding.state.value]))
        if finding.todo:
            shown.append(f"    → {finding.todo}")
    counted = {state: sum(finding.state.value == state for finding in found) for state in _COLOURS}
    words = [f"{count} {state}" for state, count in counted.items() if count]
    return "\n".join([*shown, "", ", ".join(words) + "."])
