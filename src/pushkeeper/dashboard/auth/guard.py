"""The guard of the dashboard: here and nowhere else is decided who may use which route."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.routing import Route

from pushkeeper.dashboard.ui.page import Action, View
from pushkeeper.dashboard.ui.page_request import Form, PageRequest, path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import PageResponse, led_to
from pushkeeper.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PushkeeperError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    http_status,
)
from pushkeeper.observability.logs import logger, write_request
from pushkeeper.web import cookies, forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from pushkeeper.core.roles import Role
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute

log = logger("dashboard")

_CLIENT_LEFT = 499


class Guard:
    """The routes of one path, by method."""

    def __init__(self, context: Context, page_routes: Sequence[PageRoute]) -> None:
        self._context = context
        self._path = page_routes[0].path
        self._names = context.cookies
        self._routes: dict[str, PageRoute] = {
            "GET" if isinstance(route, View) else "POST": route for route in page_routes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, request_id = time.perf_counter(), secrets.token_hex(16)
        status = _CLIENT_LEFT
        try:
            answer = await self._answer(scope, receive, request_id)
            sending = answer.send(
                send, request_id=request_id, zipped=forms.zips(scope), head=scope["method"] == "HEAD"
            )
            if answer.parts is None:
                await sending
                status = answer.status
            elif await forms.unless_gone(receive, sending):
                status = answer.status
        except ClientDisconnect:
            pass
        ms = round((time.perf_counter() - started) * 1000, 1)
        write_request(method=scope["method"], route=self._path, status=status, ms=ms, request_id=request_id)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> PageResponse:
        request = self._first_look(scope, request_id)
        try:
            route = self._routes.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if route is None:
                return self._sorry(request, PushkeeperError(f"{request.method} is not possible here"), 405)
            request = replace(request, segments=forms.segments(scope["path_params"]))
            request = await self._known(request, route)
            if isinstance(route, View):
                return self._shown(request, await self._looked(request, route))
            return await self._changed(request, route, scope, receive)
        except PushkeeperError as error:
            return self._sorry(request, error, http_status(error))
        except ClientDisconnect:
            raise
        except Exception:
            # The last handler: the browser learns that it was our fault, the log why.
            log.exception("request_failed", route=self._path, request_id=request_id)
            return self._sorry(request, PushkeeperError("something broke here; the log says what"), 500)

    # Who it is.

    def _first_look(self, scope: Scope, request_id: str) -> PageRequest:
        """What can be told of a request without asking anybody."""
        said = {name: value.decode("latin-1") for name, value in scope["headers"]}
        kept = cookie_parser(said.get(b"cookie", ""))
        theme = kept.get(cookies.THEME, "")
        return PageRequest(
            method=scope["method"],
            path=scope["path"],
            segments={},
            query=QueryParams(scope["query_string"]),
            address=forms.address_of(scope),
            request_id=request_id,
            held=kept.get(self._names.session, ""),
            device=kept.get(self._names.device, ""),
            notice=cookies.read_notice(kept.get(self._names.notice, "")),
            theme=theme if theme in {"light", "dark"} else "",
            fragment=b"hx-request" in said,
            latest=kept.get(cookies.WORKSPACE, ""),
            simulator=self._context.simulator_url is not None,
        )

    async def _known(self, request: PageRequest, route: PageRoute) -> PageRequest:
        """The request with who is logged in, and for which workspace it is.

        Raises:
            Unauthorized: nobody is, and somebody must be.
            NotFound: there is no such workspace.
        """
        user = await self._context.services.accounts.holder(request.held) if request.held else None
        if user is None:
            if route.role is not None:
                raise Unauthorized("log in first")
            return request
        known = await self._context.services.workspaces.names()
        name = request.segments.get("workspace")
        wanted = [
            one
            for one in known
            if (str(one.workspace_id) == request.latest if name is None else one.name == name)
        ]
        if name is not None and not wanted:
            raise NotFound("workspace: not found")
        return replace(request, user=user, workspaces=known, workspace=wanted[0] if wanted else None)

    # What is done.

    async def _looked(self, request: PageRequest, route: View) -> PageResponse:
        _let_through(request, route.role)
        return await route.show(request)

    async def _changed(
        self, request: PageRequest, route: Action, scope: Scope, receive: Receive
    ) -> PageResponse:
        forms.refuse_other_sites(scope, self._context.url)
        values, files = await forms.form(scope, receive)
        request = replace(request, form=Form(values, files))
        try:
            _let_through(request, route.role)
        except Forbidden as error:
            workspace = request.workspace_id if "workspace" in request.segments else None
            await self._context.services.audit.refused(
                request.actor, route.action, error.message, workspace, _target(request)
            )
            raise
        try:
            return (await route.do(request)).answer
        except PushkeeperError as error:
            return await self._again(request, route, error)

    async def _again(self, request: PageRequest, route: Action, error: PushkeeperError) -> PageResponse:
        """The form once more, with what was typed and what is wrong with it; else the error alone."""
        if not isinstance(error, BadRequest | Conflict | Unauthorized | TooManyRequests):
            raise error
        shown = await route.again(request.with_form(problem=error))
        return replace(shown, status=http_status(error))

    # What is shown.

    def _shown(self, request: PageRequest, answer: PageResponse) -> PageResponse:
        """The answer, with what the browser is to keep or forget."""
        if "workspace" in request.segments and request.latest != str(request.workspace_id):
            answer = answer.with_headers(self._names.set(cookies.WORKSPACE, str(request.workspace_id)))
        if request.notice and answer.status == 200 and not request.fragment:  # noqa: PLR2004 - it was shown
            answer = answer.with_headers(self._names.drop(self._names.notice))
        return answer

    def _sorry(self, request: PageRequest, error: PushkeeperError, status: int) -> PageResponse:
        if isinstance(error, Unauthorized) and request.user is None:
            return self._to_log_in(request)
        # The database may be what is wrong: nothing that it would have to be asked for is shown.
        shown = replace(page(request, "sorry.html", error=error, status=status), status=status)
        if isinstance(error, Unreachable):
            shown = shown.with_headers((b"retry-after", b"%d" % error.retry_after_s))
        return shown

    def _to_log_in(self, request: PageRequest) -> PageResponse:
        path = path_of("login")
        if request.method in {"GET", "HEAD"} and not request.fragment and request.path != "/":
            asked = f"{request.path}?{request.query}" if request.query else request.path
            path += f"?next={quote(asked, safe='')}"
        if request.fragment:
            return PageResponse(status=401, headers=((b"hx-redirect", path.encode()),))
        return led_to(path)


def routes(context: Context, page_routes: Sequence[PageRoute]) -> list[Route]:
    """The routes for the router, those of one path together."""
    by_path: dict[str, list[PageRoute]] = {}
    for route in page_routes:
        by_path.setdefault(route.path, []).append(route)
    return [Route(path, Guard(context, together)) for path, together in by_path.items()]


def _let_through(request: PageRequest, role: Role | None) -> None:
    """Whether this user may.

    Raises:
        Forbidden: they may not.
    """
    if role is not None and not request.may(role):
        raise Forbidden(f"this is for {role.value}s: ask an admin")


def _target(request: PageRequest) -> str:
    """What of an address says on what; a link is a secret."""
    return " ".join(value for name, value in request.segments.items() if name not in {"workspace", "link"})


def _header(scope: Scope, wanted: bytes) -> str:
    found: Mapping[bytes, bytes] = dict(scope["headers"])
    return found.get(wanted, b"").decode("latin-1")
