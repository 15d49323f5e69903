"""Our own API for strikes that were nobody's fault: what taking them back would change, done, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.native.devices import render
from pushkeeper.core.delivery.status_replay import Only
from pushkeeper.core.identity import cio_id
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.strikes import Meant
from pushkeeper.web import response
from pushkeeper.web.endpoint import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.services.strikes import Example, Outcome
    from pushkeeper.web.endpoint import Call
    from pushkeeper.web.response import Answer

MAX_WHY_BYTES = 1_000
MAX_NAME_BYTES = 300
_FIELDS = frozenset({"since", "until", "route", "credential", "reason", "only", "why", "dry_run"})
_LAST = 100


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    undo = _Undo(context)
    surface = Surface(name="native", authenticate=context.keys.app, render=render)
    return [surface.route("/api/v1/undo", GET=undo.all, POST=undo.undo)]


class _Undo:
    def __init__(self, context: Context) -> None:
        self._ledger = context.services.strikes

    async def all(self, call: Call) -> Answer:
        found = await self._ledger.all(call.workspace.workspace_id, limit=_LAST)
        return response.of_json({"undone": found})

    async def undo(self, call: Call) -> Answer:
        body = await call.json()
        meant = meant_of(body)
        dry_run = validation.optional_flag(body.get("dry_run"), "dry_run", default=True)
        why = validation.optional_text(body.get("why"), "why", max_bytes=MAX_WHY_BYTES) or ""
        if not dry_run and not why.strip():
            raise BadRequest("why", "is needed, for whoever reads the history", "missing")
        outcome = await self._ledger.undo(call.workspace.workspace_id, meant, why=why, dry_run=dry_run)
        return response.of_json(outcome_json(outcome))


def meant_of(body: dict[str, Any]) -> Meant:
    """Read which strikes are meant.

    Raises:
        BadRequest: a field is missing, malformed or none of ours.
    """
    if unknown := sorted(body.keys() - _FIELDS):
        raise BadRequest(unknown[0][:40], "there is no such field", "unknown_field")
    since, until = (validation.optional_time(body.get(name), name) for name in ("since", "until"))
    for name, found in (("since", since), ("until", until)):
        if found is None:
            raise BadRequest(name, "is needed", "missing")
    named = {
        name: validation.optional_text(body.get(name), name, max_bytes=MAX_NAME_BYTES) or None
        for name in ("route", "credential", "reason")
    }
    only = validation.one_of(body.get("only", Only.ALL.value), "only", tuple(Only))
    assert since is not None  # noqa: S101 - it was looked at just now
    assert until is not None  # noqa: S101 - so was it
    return Meant(since=since, until=until, only=Only(only), **named)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What taking strikes back changes, or would."""
    return {
        "dry_run": outcome.undo_id is None,
        "undo": outcome.undo_id,
        "strikes": outcome.strikes,
        "devices": outcome.devices,
        "changed": [
            {"from": before, "to": after, "devices": count}
            for (before, after), count in outcome.changed.most_common()
        ],
        "unchanged": outcome.unchanged,
        "gone": outcome.gone,
        "examples": [_example_json(one) for one in outcome.examples],
    }


def _example_json(one: Example) -> dict[str, Any]:
    """A device that changes; its token stays its own."""
    return {
        "device": one.before.device_id.hex(),
        "token": one.before.token.masked,
        "platform": one.before.platform,
        "cio_id": cio_id(one.before.person_id),
        "from": one.before.status,
        "to": one.after.status,
    }
