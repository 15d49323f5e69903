"""How one comes in: logging in and out, and the links by which a first admin is made and passwords are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core import known_browser
from pushkeeper.core.roles import LONGEST, MIN_PASSWORD_CHARACTERS, Role
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.page_request import path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.accounts import User
    from pushkeeper.web.response import Response

LINK = "/link/{link}"
# A session ends by itself on the server; the browser may keep its cookie for as long.
_COOKIE_LIVES_S = int(LONGEST.total_seconds())
_DEVICE_LIVES_S = int(known_browser.LIVES.total_seconds())


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes to log in and out."""
    entering = _Entering(context)
    return [
        view("/login", entering.login, role=None),
        action("/login", "user.log_in", entering.log_in, entering.login, role=None),
        action("/logout", "user.log_out", entering.log_out, entering.login, role=Role.VIEWER),
        view(LINK, entering.link, role=None),
        action(LINK, "user.set_password", entering.follow, entering.link, role=None),
        view("/account", entering.account),
        action("/account", "user.change_password", entering.change, entering.account, role=Role.VIEWER),
    ]


class _Entering:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._names = context.cookies

    async def login(self, request: PageRequest) -> Response:
        """The login form; a logged-in user is redirected."""
        if request.user is not None and not request.form.is_sent:
            return see_other(_next(request))
        if not await self._users.are_there():
            return page(request, "nobody.html")
        return page(request, "login.html", next=_next(request))

    async def log_in(self, request: PageRequest) -> ActionResult:
        name, password = request.form.text("name"), request.form.raw("password")
        if not name:
            raise BadRequest("name", "is required", "missing")
        if not password:
            raise BadRequest("password", "is required", "missing")
        user, token = await self._users.log_in(name, password, request.address, device=request.device)
        return self._let_in(user, token, _next(request))

    async def log_out(self, request: PageRequest) -> ActionResult:
        await self._users.log_out(request.actor, request.held)
        return ActionResult(answer=see_other(path_of("login"), self._names.drop(self._names.session)))

    async def link(self, request: PageRequest) -> Response:
        """The form by which a password is set."""
        found = await self._users.link(request.segments["link"])
        return page(request, "link.html", link=found, shortest=MIN_PASSWORD_CHARACTERS)

    async def follow(self, request: PageRequest) -> ActionResult:
        token = await self._users.follow(
            request.segments["link"],
            _twice(request),
            name=request.form.text("name"),
            address=request.address,
        )
        user = await self._users.holder(token)
        if user is None:
            raise NotFound("This link was already used")
        return self._let_in(user, token, "/")

    async def account(self, request: PageRequest) -> Response:
        """The logged-in user, and the form to change their password."""
        return page(request, "account.html", shortest=MIN_PASSWORD_CHARACTERS)

    async def change(self, request: PageRequest) -> ActionResult:
        await self._users.change_password(
            request.actor,
            request.known_user,
            request.form.raw("former"),
            _twice(request),
            token=request.held,
        )
        notice = self._names.note("Password changed. You are signed out of all other sessions.")
        return ActionResult(answer=see_other(path_of("account"), notice))

    def _let_in(self, user: User, token: str, path: str) -> ActionResult:
        kept = self._names.set(self._names.session, token, lives_s=_COOKIE_LIVES_S)
        known = self._names.set(self._names.device, self._users.known_device(user), lives_s=_DEVICE_LIVES_S)
        return ActionResult(answer=see_other(path, kept, known))


def _twice(request: PageRequest) -> str:
    """The password that was typed twice.

    Raises:
        BadRequest: it was not the same.
    """
    password = request.form.raw("password")
    if password != request.form.raw("again"):
        raise BadRequest("again", "the passwords do not match")
    return password


def _next(request: PageRequest) -> str:
    """Where to redirect after login: always a page of this dashboard."""
    asked = request.form.text("next") or request.query.get("next") or "/"
    # A browser takes //host and /\host for another site's address, and passes over what cannot be seen.
    local = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return asked if local and asked.isascii() else "/"
