"""Users of the dashboard: invited, given another role, and kept out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role, UserId
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.accounts import Entry, User
    from pushkeeper.web.response import Response


def state_of(user: User) -> str:
    """In a word: disabled, active or invited."""
    if user.disabled_at is not None:
        return "disabled"
    return "active" if user.ready else "invited"


_COLUMNS: Sequence[Column[User]] = (
    Column("name", lambda one: one.name),
    Column("role", lambda one: one.role),
    Column("state", state_of),
    Column("created_at", lambda one: one.created_at),
    Column("last_log_in", lambda one: one.seen_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of users."""
    room = _Users(context)
    one, admin = "/users/{user}", Role.ADMIN
    return [
        view("/users", room.show_all, admin),
        view("/users.csv", room.csv, admin),
        action("/users", "user.add", room.add, room.show_all, admin),
        view(one, room.show, admin),
        action(f"{one}/role", "user.role", room.set_role, room.show, admin),
        action(f"{one}/link", "user.link", room.new_link, room.show, admin),
        action(f"{one}/disable", "user.disable", room.disable, room.show, admin),
        action(f"{one}/enable", "user.enable", room.enable, room.show, admin),
    ]


class _Users:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._url = context.url
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        found = await self._users.all()
        return page(request, "users.html", users=found, roles=list(Role), state_of=state_of)

    async def csv(self, request: PageRequest) -> Response:
        del request
        return csv_of("users", _COLUMNS, await self._users.all())

    async def add(self, request: PageRequest) -> ActionResult:
        user, entry = await self._users.add(request.actor, request.form.text("name"), _role(request))
        return self._link(request, user, entry)

    async def show(self, request: PageRequest) -> Response:
        found = await self._one(request)
        return page(request, "user.html", user=found, roles=list(Role), state=state_of(found))

    async def set_role(self, request: PageRequest) -> ActionResult:
        user, role = await self._one(request), _role(request)
        await self._users.set_role(request.actor, user.user_id, role)
        return self._done(user, f"{user.name} is now {role.value}.")

    async def new_link(self, request: PageRequest) -> ActionResult:
        user = await self._one(request)
        return self._link(request, user, await self._users.new_link(request.actor, user.user_id))

    async def disable(self, request: PageRequest) -> ActionResult:
        user = await self._one(request)
        await self._users.disable(request.actor, user.user_id)
        return self._done(user, f"{user.name} is disabled and signed out of all sessions.")

    async def enable(self, request: PageRequest) -> ActionResult:
        user = await self._one(request)
        await self._users.enable(request.actor, user.user_id)
        return self._done(user, f"{user.name} is enabled and can log in again.")

    async def _one(self, request: PageRequest) -> User:
        return await self._users.one(UserId(request.number("user", "user")))

    def _link(self, request: PageRequest, user: User, entry: Entry) -> ActionResult:
        """The link is on this page and on no other."""
        answer = page(
            request, "user_link.html", user=user, entry=entry, url=f"{self._url}/link/{entry.token}"
        )
        return ActionResult(answer=answer)

    def _done(self, user: User, notice: str) -> ActionResult:
        answer = see_other(f"/users/{user.user_id}", self._names.note(notice))
        return ActionResult(answer=answer)


def _role(request: PageRequest) -> Role:
    text = request.form.text("role")
    if text not in list(Role):
        raise BadRequest("role", "expected viewer, operator or admin")
    return Role(text)
