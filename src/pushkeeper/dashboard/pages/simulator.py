"""The simulator's panel: uninstall apps, break a key, throttle, push, and watch the results."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore
import msgspec

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.model import Content
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, Conflict, Forbidden, NotFound, Unreachable
from pushkeeper.services.messages.transactional import TransactionalPush
from pushkeeper.services.people import PersonReference
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.listings import ShownDevice
    from pushkeeper.services.routes import RouteRecord
    from pushkeeper.web.response import Response

T = TypeVar("T")

MOST = 500
_WITHIN_S = 5.0
SERVICES = {"fcm": "FCM", "apns": "APNs", "apns_sandbox": "APNs’ sandbox", "webpush": "Web Push"}  # noqa: RUF001 - an apostrophe
TROUBLES = {"key": "rejects the key", "throttle": "is rate-limited", "outage": "is down"}
_DEVICES = {
    "uninstall": ("sent", ""),
    "install": ("bounced", "suppressed"),
    "push": ("sent", "", "bounced"),
}


class SimulatorInfo(msgspec.Struct, frozen=True):
    """The simulator's self-description."""

    origins: dict[str, str]
    troubles: dict[str, str]
    installed: int
    uninstalled: int


class AnswerTally(msgspec.Struct, frozen=True):
    """How often a service answered so."""

    provider: str
    status: int | None
    reason: str
    count: int


class Counts(msgspec.Struct, frozen=True):
    """What the simulated services answered since they began."""

    answers: list[AnswerTally]


_COLUMNS: Sequence[Column[AnswerTally]] = (
    Column("service", lambda one: one.provider),
    Column("status", lambda one: one.status),
    Column("reason", lambda one: one.reason),
    Column("times", lambda one: one.count),
)


@dataclass(frozen=True, slots=True)
class Control:
    """The control API of a simulator, at its address."""

    url: str

    async def get(self, path: str, kind: type[T]) -> T:
        """What it answers.

        Raises:
            Unreachable: nobody answers there, or not so.
        """
        return await self._ask("GET", path, None, kind)

    async def post(self, path: str, body: object) -> None:
        """Have it do something.

        Raises:
            Conflict: it refuses.
            Unreachable: nobody answers there.
        """
        await self._ask("POST", path, msgspec.json.encode(body), dict[str, Any])

    async def _ask(self, method: str, path: str, body: bytes | None, kind: type[T]) -> T:
        try:
            async with asyncio.timeout(_WITHIN_S), httpcore.AsyncConnectionPool() as http:
                said = await http.request(
                    method,
                    f"{self.url.rstrip('/')}{path}",
                    headers={"content-type": "application/json"},
                    content=body,
                )
            if said.status != 200:  # noqa: PLR2004 - it did it
                told = msgspec.json.decode(said.content)["error"]["message"]
                raise Conflict(f"The simulator rejected the request: {told}")
            return msgspec.json.decode(said.content, type=kind)
        except (
            TimeoutError,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
        ) as error:
            raise Unreachable(f"The simulator is not responding at {self.url}") from error
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise Unreachable(f"The server at {self.url} is not a simulator") from error


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of the panel; none where no simulator is set."""
    if context.simulator_url is None:
        return []
    panel = _Panel(context, Control(context.simulator_url))
    here, role = "/w/{workspace}/simulator", Role.OPERATOR
    return [
        view(here, panel.show),
        view(f"{here}/answers.csv", panel.csv),
        action(f"{here}/uninstall", "simulator.uninstall", panel.uninstall, panel.show, role),
        action(f"{here}/install", "simulator.install", panel.install, panel.show, role),
        action(f"{here}/push", "simulator.push", panel.push, panel.show, role),
        action(f"{here}/trouble", "simulator.trouble", panel.trouble, panel.show, role),
    ]


class _Panel:
    def __init__(self, context: Context, control: Control) -> None:
        self._context = context
        self._control = control
        self._names = context.cookies

    async def show(self, request: PageRequest) -> Response:
        """The panel; of a fragment, what of it changes."""
        context = self._context
        about, counts, routes, standing = await asyncio.gather(
            self._control.get("/about", SimulatorInfo),
            self._control.get("/counts", Counts),
            context.services.routes.all(request.workspace_id),
            context.services.reach.now(request.workspace_id),
        )
        return page(
            request,
            "simulator_live.html" if request.fragment else "simulator.html",
            about=about,
            answers=sorted(counts.answers, key=lambda one: (one.provider, -one.count)),
            routes=_simulated(routes, about),
            standing=standing,
            services=SERVICES,
            troubles=TROUBLES,
            most=MOST,
        )

    async def csv(self, request: PageRequest) -> Response:
        """What the simulated services answered."""
        del request
        counts = await self._control.get("/counts", Counts)
        return csv_of("answers", _COLUMNS, counts.answers)

    async def uninstall(self, request: PageRequest) -> ActionResult:
        """Apps are gone; the services tell so at the next push."""
        tokens = await self._tokens(request, "uninstall")
        await self._control.post("/uninstall", {"tokens": tokens})
        return self._done(
            request, f"{labels.plural(len(tokens), 'app')} uninstalled. Send a push to see them bounce."
        )

    async def install(self, request: PageRequest) -> ActionResult:
        """Install apps again; they appear once they register."""
        tokens = await self._tokens(request, "install")
        await self._control.post("/install", {"tokens": tokens})
        return self._done(
            request,
            f"{labels.plural(len(tokens), 'app')} reinstalled. They become reachable when they register again.",
        )

    async def push(self, request: PageRequest) -> ActionResult:
        """Queue a push to some devices."""
        devices = await self._chosen(request, "push")
        content = Content(title="From the simulator", message="Test push")
        pushes = [
            TransactionalPush(
                naming=PersonReference(
                    workspace_id=request.workspace_id,
                    path=Identifier(IdentifierKind.CIO_ID, cio_id(one.device.person_id)),
                    create=False,
                ),
                content=content,
                to=one.device.token,
            )
            for one in devices
        ]
        for result in await asyncio.gather(
            *map(self._context.services.transactional.accept, pushes), return_exceptions=True
        ):
            # Devices deleted meanwhile are not pushed to.
            if isinstance(result, BaseException) and not isinstance(result, BadRequest | NotFound):
                raise result
        return self._done(request, f"{labels.plural(len(pushes), 'push', 'pushes')} queued.")

    async def trouble(self, request: PageRequest) -> ActionResult:
        """Let a whole service be in trouble, or well again."""
        service, trouble = request.form.text("service"), request.form.text("trouble")
        if service not in SERVICES or trouble not in {*TROUBLES, "none"}:
            raise BadRequest("trouble", "expected a service, and key, throttle, outage or none")
        told = None if trouble == "none" else trouble
        await self._control.post("/trouble", {"service": service, "trouble": told})
        said = "recovered" if told is None else TROUBLES[trouble]
        return self._done(request, f"{SERVICES[service]} {said} now.")

    async def _tokens(self, request: PageRequest, what: str) -> list[str]:
        return [one.device.token.value for one in await self._chosen(request, what)]

    async def _chosen(self, request: PageRequest, what: str) -> Sequence[ShownDevice]:
        """Some devices, different ones each time.

        Raises:
            BadRequest: the number is invalid, or there are no devices.
            Forbidden: no route of this workspace uses the simulator.
        """
        text = request.form.text("count")
        count = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(MOST)) + 1 else 0
        if not 1 <= count <= MOST:
            raise BadRequest("count", f"expected a whole number from 1 to {MOST}", "out_of_range")
        about = await self._control.get("/about", SimulatorInfo)
        if not _simulated(await self._context.services.routes.all(request.workspace_id), about):
            raise Forbidden("no route of this workspace uses the simulator")
        found = await self._some(request.workspace_id, _DEVICES[what], count)
        if not found:
            raise BadRequest("count", "no such devices")
        return found

    async def _some(
        self, workspace: WorkspaceId, statuses: tuple[str, ...], count: int
    ) -> Sequence[ShownDevice]:
        return await self._context.services.listings.some_devices(
            workspace, statuses, after=os.urandom(16), limit=count
        )

    def _done(self, request: PageRequest, notice: str) -> ActionResult:
        answer = see_other(request.to("simulator"), self._names.note(notice))
        return ActionResult(answer=answer)


def _simulated(routes: Sequence[RouteRecord], about: SimulatorInfo) -> list[RouteRecord]:
    """The routes that lead to the simulator."""
    origins = {origin.rstrip("/") for origin in about.origins.values()}
    return [one for one in routes if (one.route.endpoint_url or "").rstrip("/") in origins]
