"""The guard of the dashboard: here and nowhere else is decided who may use which route."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.requests import cookie_parser
from starlette.routing import Route

from pushkeeper.dashboard.ui.page import Action, View
from pushkeeper.dashboard.ui.page_request import Form, PageRequest, path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PushkeeperError,
    TooManyRequests,
    Unauthorized,
    http_status,
)
from pushkeeper.web import cookies
from pushkeeper.web.endpoint import Endpoint
from pushkeeper.web.response import PAGE_GUARDS, Response, see_other
from pushkeeper.web.upload import read_upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.roles import Role
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.web.request import Request


class Guard:
    """Authentication, authorisation and error pages of every dashboard request."""

    name = ""  # not counted: a stream lasts as long as its page is open
    headers = PAGE_GUARDS
    for_browsers = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = context.cookies

    async def respond(self, request: Request, handler: PageRoute) -> Response:
        """The page, or the result of the form."""
        segments = {
            name: request.segment(name, "address").replace("\0", "") for name in request.scope["path_params"]
        }
        known = await self._known(replace(self._first_look(request), segments=segments), handler)
        request.caller = known
        if isinstance(handler, View):
            _authorize(known, handler.role)
            return self._shown(known, await handler.show(known))
        return await self._changed(request, handler, known)

    # Who it is.

    def _first_look(self, request: Request) -> PageRequest:
        """The part of a request that needs no database."""
        scope = request.scope
        kept = cookie_parser(dict(scope["headers"]).get(b"cookie", b"").decode("latin-1"))
        theme = kept.get(cookies.THEME, "")
        return PageRequest(
            method=scope["method"],
            path=scope["path"],
            segments={},
            query=QueryParams(scope["query_string"]),
            address=request.address,
            request_id=request.request_id,
            held=kept.get(self._names.session, ""),
            device=kept.get(self._names.device, ""),
            notice=cookies.read_notice(kept.get(self._names.notice, "")),
            theme=theme if theme in {"light", "dark"} else "",
            fragment=bool(request.header(b"hx-request")),
            latest=kept.get(cookies.WORKSPACE, ""),
            simulator=self._context.simulator_url is not None,
        )

    async def _known(self, request: PageRequest, route: PageRoute) -> PageRequest:
        """The request with its user and workspace.

        Raises:
            Unauthorized: nobody is logged in, and the page needs a user.
            NotFound: the workspace does not exist.
        """
        user = await self._context.services.accounts.holder(request.held) if request.held else None
        if user is None:
            if route.role is not None:
                raise Unauthorized("Log in to continue")
            return request
        known = await self._context.services.workspaces.names()
        name = request.segments.get("workspace")
        wanted = [
            one
            for one in known
            if (str(one.workspace_id) == request.latest if name is None else one.name == name)
        ]
        if name is not None and not wanted:
            raise NotFound("Workspace not found")
        return replace(request, user=user, workspaces=known, workspace=wanted[0] if wanted else None)

    # What is done.

    async def _changed(self, sent: Request, route: Action, request: PageRequest) -> Response:
        sent.refuse_other_sites(self._context.url)
        try:
            _authorize(request, route.role)
        except Forbidden as error:
            workspace = request.workspace_id if "workspace" in request.segments else None
            await self._context.services.audit.refused(
                request.actor, route.action, error.message, workspace, _target(request)
            )
            raise
        request = replace(request, form=await _form(sent, route))
        try:
            return (await route.do(request)).answer
        except PushkeeperError as error:
            return await self._again(request, route, error)

    async def _again(self, request: PageRequest, route: Action, error: PushkeeperError) -> Response:
        """The form again, with its input and the error; otherwise the error page."""
        if not isinstance(error, BadRequest | Conflict | Unauthorized | TooManyRequests):
            raise error
        shown = await route.again(request.with_form(problem=error))
        return replace(shown, status=http_status(error))

    # What is shown.

    def _shown(self, request: PageRequest, answer: Response) -> Response:
        """The answer, with what the browser is to keep or forget."""
        if "workspace" in request.segments and request.latest != str(request.workspace_id):
            answer = answer.with_headers(self._names.set(cookies.WORKSPACE, str(request.workspace_id)))
        if request.notice and answer.status == 200 and not request.fragment:  # noqa: PLR2004 - it was shown
            answer = answer.with_headers(self._names.drop(self._names.notice))
        return answer

    def refusal(self, request: Request, error: PushkeeperError, status: int) -> Response:
        """The error page; without a user, a redirect to the login page."""
        asked = request.caller if isinstance(request.caller, PageRequest) else self._first_look(request)
        if isinstance(error, Unauthorized) and asked.user is None:
            return self._to_log_in(asked)
        # The database may be the problem: the page shows nothing that needs it.
        return replace(page(asked, "sorry.html", error=error, status=status), status=status)

    def _to_log_in(self, request: PageRequest) -> Response:
        path = path_of("login")
        if request.method in {"GET", "HEAD"} and not request.fragment and request.path != "/":
            asked = f"{request.path}?{request.query}" if request.query else request.path
            path += f"?next={quote(asked, safe='')}"
        if request.fragment:
            return Response(status=401, headers=((b"hx-redirect", path.encode()),))
        return see_other(path)


def routes(context: Context, page_routes: Sequence[PageRoute]) -> list[Route]:
    """The routes for the router, those of one path together."""
    by_path: dict[str, list[PageRoute]] = {}
    for route in page_routes:
        by_path.setdefault(route.path, []).append(route)
    guard = Guard(context)
    return [
        Route(
            path,
            Endpoint(guard, path, {"GET" if isinstance(one, View) else "POST": one for one in together}),
        )
        for path, together in by_path.items()
    ]


async def _form(sent: Request, route: Action) -> Form:
    """The form that was sent, of a file that may be of any length only the beginning."""
    if not route.takes_file:
        return Form(*await sent.form())
    upload = await read_upload(sent)
    return Form({name: [value] for name, value in upload.fields.items()}, upload=upload)


def _authorize(request: PageRequest, role: Role | None) -> None:
    """Whether this user may.

    Raises:
        Forbidden: they may not.
    """
    if role is not None and not request.may(role):
        raise Forbidden(f"You need the {role.value} role. Ask an admin to change your role")


def _target(request: PageRequest) -> str:
    """What of an address says on what; a link is a secret."""
    return " ".join(value for name, value in request.segments.items() if name not in {"workspace", "link"})
