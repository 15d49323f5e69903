"""Settings of a workspace: what it chose of its devices' lifecycle and its routes' pace, and the keys by which it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import Form, PageRequest
    from pushkeeper.services.api_keys import KeyKind, KeyRecord
    from pushkeeper.services.workspaces import Choice
    from pushkeeper.web.response import Response

KIND_NAMES: dict[str, str] = {
    "track": "Site ID and API key (Track)",
    "app": "App API key",
    "cdp": "Write key (Data Pipelines)",
}
OPTION_NAMES: dict[str, str] = {
    "suppress_after": "Suppress after N consecutive bounces",
    "min_strike_gap_s": "Minimum time between bounces (seconds)",
    "suppress_on_definitive": 'Suppress on first "unregistered" response',
    "delete_unregistered": "Delete unregistered devices",
    "max_pushes_per_s": "Rate limit per route (pushes/s)",
    "ramp_s": "Ramp-up time (seconds)",
    "token_ownership": "When another person registers the same token",
    "allow_placeholder_ids": "Allow placeholder IDs",
}
_NUMBERS = ("suppress_after", "min_strike_gap_s", "max_pushes_per_s", "ramp_s")
_SWITCHES = ("suppress_on_definitive", "delete_unregistered", "allow_placeholder_ids")
_MAX_DIGITS = 12
_COLUMNS: Sequence[Column[KeyRecord]] = (
    Column("kind", lambda one: one.kind),
    Column("key", lambda one: one.key_id if one.kind == "track" else f"{one.key_id}…"),
    Column("created_at", lambda one: one.created_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of a workspace's settings."""
    settings = _Settings(context)
    here, admin = "/w/{workspace}/settings", Role.ADMIN
    return [
        view(here, settings.show),
        view(f"{here}/keys.csv", settings.csv),
        action(f"{here}/options", "options.change", settings.choose, settings.show, admin),
        action(f"{here}/keys", "key.make", settings.make_key, settings.show, admin),
        action(f"{here}/keys/{{kind}}/{{key}}/revoke", "key.revoke", settings.revoke, settings.show, admin),
    ]


class _Settings:
    def __init__(self, context: Context) -> None:
        self._workspaces = context.services.workspaces
        self._keys = context.services.api_keys
        self._names = context.cookies

    async def show(self, request: PageRequest) -> Response:
        chosen = await self._workspaces.options(request.workspace_id)
        held = await self._keys.of_workspace(request.workspace_id)
        return page(
            request,
            "settings.html",
            options=structs.asdict(chosen),
            option_names=OPTION_NAMES,
            keys=held,
            kind_names=KIND_NAMES,
        )

    async def csv(self, request: PageRequest) -> Response:
        held = await self._keys.of_workspace(request.workspace_id)
        return csv_of("keys", _COLUMNS, held)

    async def choose(self, request: PageRequest) -> ActionResult:
        former = structs.asdict(await self._workspaces.options(request.workspace_id))
        wanted = _chosen(request.form)
        changes = {name: value for name, value in wanted.items() if former[name] != value}
        await self._workspaces.choose(request.actor, request.workspace_id, changes)
        notice = self._names.note("Options saved." if changes else "No changes.")
        return ActionResult(answer=see_other(request.to("settings"), notice))

    async def make_key(self, request: PageRequest) -> ActionResult:
        """Only this page shows the key; existing keys continue to work."""
        kind = request.form.text("kind")
        if kind not in KIND_NAMES:
            raise BadRequest("kind", "expected track, app or cdp")
        made = await self._keys.make(request.actor, request.workspace_id, cast("KeyKind", kind))
        shown = (
            {"Site ID": made.key_id, "API key": made.secret}
            if kind == "track"
            else {KIND_NAMES[kind]: made.secret}
        )
        assert request.workspace is not None  # noqa: S101 - the gate looked it up
        answer = page(request, "new_keys.html", workspace=request.workspace.name, keys=shown)
        return ActionResult(answer=answer)

    async def revoke(self, request: PageRequest) -> ActionResult:
        kind, key_id = request.segments["kind"], request.segments["key"]
        await self._keys.revoke(request.actor, request.workspace_id, kind, key_id)
        notice = self._names.note("Key revoked. It stops working within a second.")
        return ActionResult(answer=see_other(request.to("settings"), notice))


def _chosen(form: Form) -> dict[str, Choice]:
    """The form's value of each option.

    Raises:
        BadRequest: one is not a number.
    """
    found: dict[str, Any] = {name: form.ticked(name) for name in _SWITCHES}
    for name in _NUMBERS:
        text = form.text(name)
        if not text and name == "max_pushes_per_s":
            found[name] = None
            continue
        if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
            raise BadRequest(name, "expected a whole number")
        found[name] = int(text)
    found["token_ownership"] = form.text("token_ownership")
    return found
