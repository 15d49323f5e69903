"""Why somebody did, or didn't, get a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run
from pushkeeper.cli.use_cases import with_workspace

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.explain.explain import Explanation
    from pushkeeper.core.explain.facts import TraceStep
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.services import Services

_SHOWN = 3  # pushes that made a status what it is
_MARKS = {True: ("yes", "green"), False: ("no ", "red"), None: ("   ", None)}


@click.command(short_help="Explain why a push was or wasn't delivered.")
@click.option("--person", metavar="ID", help="The person: an ID, an email or cio_….")
@click.option("--device", "token", metavar="TOKEN", help="Only this device.")
@click.option("--message", metavar="ID", help="Delivery ID, message UUID or broadcast number.")
@in_workspace
@on_store
@as_json
def explain(
    *, person: str | None, token: str | None, message: str | None, name: str, json: bool, **options: Any
) -> None:
    """Explain why a person or device did or didn't receive a message; without --message, whether a push would reach them."""
    from pushkeeper.core import identity
    from pushkeeper.core.devices.tokens import token_of

    async def ask(services: Services, workspace: WorkspaceId) -> Explanation:
        return await services.explanations.why(
            workspace,
            person=None if person is None else identity.of_path(person),
            device=None if token is None else token_of(token),
            message=message,
        )

    found = run(with_workspace(name, options, ask))
    answer(found, _told(found), json=json)


def _told(found: Explanation) -> str:
    got = {True: "Yes", False: "No", None: "Not yet"}[found.got]
    lines = [click.style(f"{got}: {found.said}.", bold=True)]
    if found.change is not None:
        lines.append(f"How to fix: {found.change}.")
    lines += ["", *map(_step, found.steps)]
    for trace in found.devices:
        platform = f" ({trace.platform})" if trace.platform else ""
        lines += ["", click.style(f"{trace.device}{platform}: {trace.said}", bold=True)]
        lines += map(_step, trace.steps)
    return "\n".join(lines)


def _step(step: TraceStep) -> str:
    mark, colour = _MARKS[step.so]
    lines = [f"  {click.style(mark, fg=colour)}  {step.step.value:<10}  {_at(step.at):<19}  {step.said}"]
    made_by = [line for line in step.facts.get("made_by", ()) if line["answer"]][:_SHOWN]
    for line in made_by:
        taken_back = ", reverted" if line["undone"] else ""
        lines.append(f"{'':19}{_at(line['at']):<19}  {line['event']}: {line['answer']}{taken_back}")
    return "\n".join(lines)


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
