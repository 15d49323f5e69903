"""Users of the dashboard: invited, given another role, and kept out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role, UserId
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import Done, change, look
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import led_to
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.accounts import Entry, User


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


def doors(context: Context) -> Sequence[Door]:
    """The doors of users."""
    room = _Users(context)
    one, admin = "/users/{user}", Role.ADMIN
    return [
        look("/users", room.show_all, admin),
        look("/users.csv", room.csv, admin),
        change("/users", "user.add", room.add, room.show_all, admin),
        look(one, room.show, admin),
        change(f"{one}/role", "user.role", room.let_be, room.show, admin),
        change(f"{one}/link", "user.link", room.new_link, room.show, admin),
        change(f"{one}/disable", "user.disable", room.disable, room.show, admin),
        change(f"{one}/enable", "user.enable", room.enable, room.show, admin),
    ]


class _Users:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._url = context.url
        self._names = context.cookies

    async def show_all(self, visit: Visit) -> Answer:
        found = await self._users.all()
        return page(visit, "users.html", users=found, roles=list(Role), state_of=state_of)

    async def csv(self, visit: Visit) -> Answer:
        del visit
        return csv_of("users", _COLUMNS, await self._users.all())

    async def add(self, visit: Visit) -> Done:
        user, entry = await self._users.add(visit.actor, visit.form.text("name"), _role(visit))
        return self._link(visit, user, entry)

    async def show(self, visit: Visit) -> Answer:
        found = await self._one(visit)
        return page(visit, "user.html", user=found, roles=list(Role), state=state_of(found))

    async def let_be(self, visit: Visit) -> Done:
        user, role = await self._one(visit), _role(visit)
        await self._users.let_be(visit.actor, user.user_id, role)
        return self._done(user, f"{user.name} is {role.value} now.")

    async def new_link(self, visit: Visit) -> Done:
        user = await self._one(visit)
        return self._link(visit, user, await self._users.new_link(visit.actor, user.user_id))

    async def disable(self, visit: Visit) -> Done:
        user = await self._one(visit)
        await self._users.keep_out(visit.actor, user.user_id)
        return self._done(user, f"{user.name} is logged out everywhere and kept out.")

    async def enable(self, visit: Visit) -> Done:
        user = await self._one(visit)
        await self._users.let_back(visit.actor, user.user_id)
        return self._done(user, f"{user.name} may log in again.")

    async def _one(self, visit: Visit) -> User:
        return await self._users.one(UserId(visit.number("user", "user")))

    def _link(self, visit: Visit, user: User, entry: Entry) -> Done:
        """The link is on this page and on no other."""
        answer = page(visit, "user_link.html", user=user, entry=entry, url=f"{self._url}/link/{entry.token}")
        return Done(answer=answer)

    def _done(self, user: User, notice: str) -> Done:
        answer = led_to(f"/users/{user.user_id}", self._names.note(notice))
        return Done(answer=answer)


def _role(visit: Visit) -> Role:
    text = visit.form.text("role")
    if text not in list(Role):
        raise BadRequest("role", "expected viewer, operator or admin")
    return Role(text)
