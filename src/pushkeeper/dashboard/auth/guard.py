"""The gate: who may go through which door is decided here and nowhere else."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.routing import Route

from pushkeeper.dashboard.ui.page import Change, Look
from pushkeeper.dashboard.ui.page_request import Form, Visit, path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import Answer, led_to
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
    from pushkeeper.dashboard.ui.page import Door

log = logger("dashboard")

_CLIENT_LEFT = 499


class Gate:
    """All doors of one address, by the method by which they are gone through."""

    def __init__(self, context: Context, doors: Sequence[Door]) -> None:
        self._context = context
        self._path = doors[0].path
        self._names = context.cookies
        self._doors: dict[str, Door] = {"GET" if isinstance(door, Look) else "POST": door for door in doors}

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

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Answer:
        visit = self._first_look(scope, request_id)
        try:
            door = self._doors.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if door is None:
                return self._sorry(visit, PushkeeperError(f"{visit.method} is not possible here"), 405)
            visit = replace(visit, segments=forms.segments(scope["path_params"]))
            visit = await self._known(visit, door)
            if isinstance(door, Look):
                return self._shown(visit, await self._looked(visit, door))
            return await self._changed(visit, door, scope, receive)
        except PushkeeperError as error:
            return self._sorry(visit, error, http_status(error))
        except ClientDisconnect:
            raise
        except Exception:
            # The last handler: the browser learns that it was our fault, the log why.
            log.exception("request_failed", route=self._path, request_id=request_id)
            return self._sorry(visit, PushkeeperError("something broke here; the log says what"), 500)

    # Who it is.

    def _first_look(self, scope: Scope, request_id: str) -> Visit:
        """What can be told of a request without asking anybody."""
        said = {name: value.decode("latin-1") for name, value in scope["headers"]}
        kept = cookie_parser(said.get(b"cookie", ""))
        theme = kept.get(cookies.THEME, "")
        return Visit(
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

    async def _known(self, visit: Visit, door: Door) -> Visit:
        """The visit with who is logged in, and for which workspace it is.

        Raises:
            Unauthorized: nobody is, and somebody must be.
            NotFound: there is no such workspace.
        """
        user = await self._context.services.accounts.holder(visit.held) if visit.held else None
        if user is None:
            if door.role is not None:
                raise Unauthorized("log in first")
            return visit
        known = await self._context.services.workspaces.names()
        name = visit.segments.get("workspace")
        wanted = [
            one
            for one in known
            if (str(one.workspace_id) == visit.latest if name is None else one.name == name)
        ]
        if name is not None and not wanted:
            raise NotFound("workspace: not found")
        return replace(visit, user=user, workspaces=known, workspace=wanted[0] if wanted else None)

    # What is done.

    async def _looked(self, visit: Visit, door: Look) -> Answer:
        _let_through(visit, door.role)
        return await door.show(visit)

    async def _changed(self, visit: Visit, door: Change, scope: Scope, receive: Receive) -> Answer:
        forms.refuse_other_sites(scope, self._context.url)
        values, files = await forms.form(scope, receive)
        visit = replace(visit, form=Form(values, files))
        try:
            _let_through(visit, door.role)
        except Forbidden as error:
            workspace = visit.workspace_id if "workspace" in visit.segments else None
            await self._context.services.audit.refused(
                visit.actor, door.action, error.message, workspace, _target(visit)
            )
            raise
        try:
            return (await door.do(visit)).answer
        except PushkeeperError as error:
            return await self._again(visit, door, error)

    async def _again(self, visit: Visit, door: Change, error: PushkeeperError) -> Answer:
        """The form once more, with what was typed and what is wrong with it; else the error alone."""
        if not isinstance(error, BadRequest | Conflict | Unauthorized | TooManyRequests):
            raise error
        shown = await door.again(visit.with_form(problem=error))
        return replace(shown, status=http_status(error))

    # What is shown.

    def _shown(self, visit: Visit, answer: Answer) -> Answer:
        """The answer, with what the browser is to keep or forget."""
        if "workspace" in visit.segments and visit.latest != str(visit.workspace_id):
            answer = answer.with_headers(self._names.set(cookies.WORKSPACE, str(visit.workspace_id)))
        if visit.notice and answer.status == 200 and not visit.fragment:  # noqa: PLR2004 - it was shown
            answer = answer.with_headers(self._names.drop(self._names.notice))
        return answer

    def _sorry(self, visit: Visit, error: PushkeeperError, status: int) -> Answer:
        if isinstance(error, Unauthorized) and visit.user is None:
            return self._to_log_in(visit)
        # The database may be what is wrong: nothing that it would have to be asked for is shown.
        shown = replace(page(visit, "sorry.html", error=error, status=status), status=status)
        if isinstance(error, Unreachable):
            shown = shown.with_headers((b"retry-after", b"%d" % error.retry_after_s))
        return shown

    def _to_log_in(self, visit: Visit) -> Answer:
        path = path_of("login")
        if visit.method in {"GET", "HEAD"} and not visit.fragment and visit.path != "/":
            asked = f"{visit.path}?{visit.query}" if visit.query else visit.path
            path += f"?next={quote(asked, safe='')}"
        if visit.fragment:
            return Answer(status=401, headers=((b"hx-redirect", path.encode()),))
        return led_to(path)


def routes(context: Context, doors: Sequence[Door]) -> list[Route]:
    """The doors as routes, those of one address together."""
    by_path: dict[str, list[Door]] = {}
    for door in doors:
        by_path.setdefault(door.path, []).append(door)
    return [Route(path, Gate(context, together)) for path, together in by_path.items()]


def _let_through(visit: Visit, role: Role | None) -> None:
    """Whether this user may.

    Raises:
        Forbidden: they may not.
    """
    if role is not None and not visit.may(role):
        raise Forbidden(f"this is for {role.value}s: ask an admin")


def _target(visit: Visit) -> str:
    """What of an address says on what; a link is a secret."""
    return " ".join(value for name, value in visit.segments.items() if name not in {"workspace", "link"})


def _header(scope: Scope, wanted: bytes) -> str:
    found: Mapping[bytes, bytes] = dict(scope["headers"])
    return found.get(wanted, b"").decode("latin-1")
