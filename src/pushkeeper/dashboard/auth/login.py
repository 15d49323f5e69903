"""How one comes in: logging in and out, and the links by which a first admin is made and passwords are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core import known_browser
from pushkeeper.core.roles import LONGEST, MIN_PASSWORD_CHARACTERS, Role
from pushkeeper.dashboard.ui.page import Done, change, look
from pushkeeper.dashboard.ui.page_request import path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import led_to
from pushkeeper.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.accounts import User

LINK = "/link/{link}"
# A session ends by itself on the server; the browser may keep its cookie for as long.
_COOKIE_LIVES_S = int(LONGEST.total_seconds())
_DEVICE_LIVES_S = int(known_browser.LIVES.total_seconds())


def doors(context: Context) -> Sequence[Door]:
    """The doors by which one comes in and goes out."""
    entering = _Entering(context)
    return [
        look("/login", entering.login, role=None),
        change("/login", "user.log_in", entering.log_in, entering.login, role=None),
        change("/logout", "user.log_out", entering.log_out, entering.login, role=Role.VIEWER),
        look(LINK, entering.link, role=None),
        change(LINK, "user.set_password", entering.follow, entering.link, role=None),
        look("/account", entering.account),
        change("/account", "user.change_password", entering.change, entering.account, role=Role.VIEWER),
    ]


class _Entering:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._names = context.cookies

    async def login(self, visit: Visit) -> Answer:
        """The form; whoever is logged in is led on."""
        if visit.user is not None and not visit.form.is_sent:
            return led_to(_next(visit))
        if not await self._users.are_there():
            return page(visit, "nobody.html")
        return page(visit, "login.html", next=_next(visit))

    async def log_in(self, visit: Visit) -> Done:
        name, password = visit.form.text("name"), visit.form.raw("password")
        if not name:
            raise BadRequest("name", "is needed", "missing")
        if not password:
            raise BadRequest("password", "is needed", "missing")
        user, token = await self._users.log_in(name, password, visit.address, device=visit.device)
        return self._let_in(user, token, _next(visit))

    async def log_out(self, visit: Visit) -> Done:
        await self._users.log_out(visit.actor, visit.held)
        return Done(answer=led_to(path_of("login"), self._names.drop(self._names.session)))

    async def link(self, visit: Visit) -> Answer:
        """The form by which a password is set."""
        found = await self._users.link(visit.segments["link"])
        return page(visit, "link.html", link=found, shortest=MIN_PASSWORD_CHARACTERS)

    async def follow(self, visit: Visit) -> Done:
        token = await self._users.follow(
            visit.segments["link"],
            _twice(visit),
            name=visit.form.text("name"),
            address=visit.address,
        )
        user = await self._users.holder(token)
        if user is None:
            raise NotFound("link: it was used at this moment, and another password is set")
        return self._let_in(user, token, "/")

    async def account(self, visit: Visit) -> Answer:
        """Whoever is logged in, and the form by which they change their password."""
        return page(visit, "account.html", shortest=MIN_PASSWORD_CHARACTERS)

    async def change(self, visit: Visit) -> Done:
        await self._users.change_password(
            visit.actor,
            visit.known_user,
            visit.form.raw("former"),
            _twice(visit),
            token=visit.held,
        )
        notice = self._names.note("Your password is changed. You are logged out everywhere else.")
        return Done(answer=led_to(path_of("account"), notice))

    def _let_in(self, user: User, token: str, path: str) -> Done:
        kept = self._names.set(self._names.session, token, lives_s=_COOKIE_LIVES_S)
        known = self._names.set(self._names.device, self._users.known_device(user), lives_s=_DEVICE_LIVES_S)
        return Done(answer=led_to(path, kept, known))


def _twice(visit: Visit) -> str:
    """The password that was typed twice.

    Raises:
        BadRequest: it was not the same.
    """
    password = visit.form.raw("password")
    if password != visit.form.raw("again"):
        raise BadRequest("again", "this is not the same password")
    return password


def _next(visit: Visit) -> str:
    """Where to go on: a page of ours, whatever the address says."""
    asked = visit.form.text("next") or visit.query.get("next") or "/"
    # A browser takes //host and /\host for another site's address, and passes over what cannot be seen.
    local = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return asked if local and asked.isascii() else "/"
