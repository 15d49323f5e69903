"""Sending: paused and resumed for a whole workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from pushkeeper.services.sending import SendingState


@click.group(short_help="Pause and resume all sending of a workspace.")
def sending() -> None:
    """Pause and resume all sending of a workspace.

    While it is paused, no push leaves; pushes in flight still arrive. Messages are still accepted. They stay queued until
    you resume, or expire.
    """


@sending.command("status", short_help="Show whether the workspace sends.")
@in_workspace
@on_store
@as_json
def sending_status(*, name: str, json: bool, **options: Any) -> None:
    """Show whether the workspace sends; if it is paused, since when, why and by whom."""
    state = run(with_workspace(name, options, lambda services, workspace: services.sending.state(workspace)))
    _show(state, json=json)


@sending.command("pause")
@click.option("--reason", metavar="TEXT", default="", help="Reason shown to other users.")
@in_workspace
@on_store
@as_json
def sending_pause(*, reason: str, name: str, json: bool, **options: Any) -> None:
    """Pause all sending of the workspace on all servers."""
    state = run(
        with_workspace(
            name, options, lambda services, workspace: services.sending.pause(actor(), workspace, reason)
        )
    )
    _show(state, json=json)


@sending.command("resume")
@in_workspace
@on_store
@as_json
def sending_resume(*, name: str, json: bool, **options: Any) -> None:
    """Resume sending, including the queued pushes."""
    state = run(
        with_workspace(name, options, lambda services, workspace: services.sending.resume(actor(), workspace))
    )
    _show(state, json=json)


def _show(state: SendingState, *, json: bool) -> None:
    from pushkeeper.services.schemas.sending import OneSendingView, SendingView

    pause, queued = state.pause, f"Pushes are queued for {state.queued:,} devices."
    text = f"Sending is on. {queued}"
    if pause is not None:
        why = f": {pause.reason}" if pause.reason else ""
        text = f"Sending is paused since {pause.paused_at:%Y-%m-%d %H:%M} UTC by {pause.by}{why}\n{queued}"
    answer(OneSendingView(sending=SendingView.of(state)), text, json=json)
