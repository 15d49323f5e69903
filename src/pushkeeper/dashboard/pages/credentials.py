"""Credentials: uploaded or made, replaced, and tried by a push to a token that nobody has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.outcome import Accepted, Refused
from pushkeeper.core.model import Environment, Provider
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages.attention import expires_at
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, Misconfigured, NotFound
from pushkeeper.services.credentials import EXPIRES_SOON, AppleApp
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.credentials import CredentialRecord, NewCredential
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[CredentialRecord]] = (
    Column("credential", lambda one: one.credential_id),
    Column("provider", lambda one: one.provider),
    Column("kind", lambda one: one.kind),
    Column("app", lambda one: one.app),
    Column("environment", lambda one: one.environment),
    Column("endpoint", lambda one: one.endpoint_url),
    Column("expires_at", expires_at),
    Column("changed_at", lambda one: one.changed_at),
)
_ADD = "/w/{workspace}/routes/add"
_ONE = "/w/{workspace}/routes/credentials/{credential}"


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of credentials."""
    room = _Credentials(context)
    return [
        view("/w/{workspace}/routes/credentials.csv", room.csv),
        view(_ADD, room.choose, Role.ADMIN),
        view(f"{_ADD}/fcm", room.fcm, Role.ADMIN),
        action(f"{_ADD}/fcm", "credentials.put", room.add_fcm, room.fcm, Role.ADMIN),
        view(f"{_ADD}/apns", room.apns, Role.ADMIN),
        action(f"{_ADD}/apns", "credentials.put", room.add_apns, room.apns, Role.ADMIN),
        view(f"{_ADD}/webpush", room.webpush, Role.ADMIN),
        action(f"{_ADD}/webpush", "credentials.put", room.add_webpush, room.webpush, Role.ADMIN),
        view(_ONE, room.show),
        action(f"{_ONE}/probe", "credentials.probe", room.probe, room.show, Role.OPERATOR),
    ]


class _Credentials:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._credentials = context.services.credentials
        self._names = context.cookies

    async def csv(self, request: PageRequest) -> Response:
        """All credentials, without their secrets."""
        known = await self._credentials.of_workspace(request.workspace_id)
        return csv_of("credentials", _COLUMNS, known)

    async def choose(self, request: PageRequest) -> Response:
        """For which service."""
        return page(request, "credentials_add.html")

    async def fcm(self, request: PageRequest) -> Response:
        """The form for a service account."""
        return page(request, "credentials_fcm.html", former=await self._replaced(request))

    async def apns(self, request: PageRequest) -> Response:
        """The form for a signing key or a certificate."""
        return page(request, "credentials_apns.html", former=await self._replaced(request))

    async def webpush(self, request: PageRequest) -> Response:
        """The form for a VAPID key."""
        return page(request, "credentials_webpush.html", former=await self._replaced(request))

    async def _replaced(self, request: PageRequest) -> CredentialRecord | None:
        """The credentials in whose place others are uploaded, of which what may stay is filled in."""
        replaced = request.asked("replace")
        known = await self._credentials.of_workspace(request.workspace_id)
        return next((one for one in known if str(one.credential_id) == replaced), None)

    async def add_fcm(self, request: PageRequest) -> ActionResult:
        account = _file(request, "service_account")
        return await self._put(
            request,
            self._context.providers.fcm(
                account, endpoint_url=request.form.text("endpoint") or None, ca_pem=_ca(request)
            ),
        )

    async def add_apns(self, request: PageRequest) -> ActionResult:
        form = request.form
        if form.text("environment") not in list(Environment):
            raise BadRequest("environment", "expected production or sandbox")
        if not form.text("topic"):
            raise BadRequest("topic", "enter the app's bundle ID")
        app = AppleApp(
            topic=form.text("topic"),
            environment=Environment(form.text("environment")),
            endpoint_url=form.text("endpoint") or None,
            ca_pem=_ca(request),
        )
        if form.text("with") == "certificate":
            return await self._put(
                request, self._context.providers.apns_certificate(_file(request, "certificate"), app=app)
            )
        key_id, team_id = form.text("key_id"), form.text("team_id")
        read = self._context.providers.apns_key(
            _file(request, "key"), key_id=key_id, team_id=team_id, app=app
        )
        return await self._put(request, read)

    async def add_webpush(self, request: PageRequest) -> ActionResult:
        form = request.form
        new = self._context.providers.vapid(
            subject=form.text("subject"),
            app=form.text("app"),
            private_key=form.files.get("private_key") or None,
            endpoint_url=form.text("endpoint") or None,
            ca_pem=_ca(request),
        )
        return await self._put(request, new)

    async def _put(self, request: PageRequest, new: NewCredential) -> ActionResult:
        credential_id, replaced = await self._credentials.put(request.actor, request.workspace_id, new)
        said = "Credentials replaced. Queued pushes are being sent." if replaced else "Credentials saved."
        if (ends_at := new.facts.get("expires_at")) and ends_at - datetime.now(UTC) < EXPIRES_SOON:
            said += f" The certificate expires on {ends_at:%Y-%m-%d}."
        if new.provider is not Provider.WEBPUSH:
            said += " You can test them now; no device receives a push."
        answer = see_other(request.to("routes", "credentials", credential_id), self._names.note(said))
        return ActionResult(answer=answer)

    async def show(self, request: PageRequest) -> Response:
        """One credential, without its secret."""
        found = await self._facts(request)
        routes = [
            one
            for one in await self._context.services.routes.all(request.workspace_id)
            if one.route.credential_id == found.credential_id
        ]
        left = await self._credentials.on_former_keys(request.workspace_id, found.credential_id)
        return page(
            request,
            "credential.html",
            credential=found,
            expires_at=expires_at(found),
            routes=routes,
            on_former_keys=left,
        )

    async def probe(self, request: PageRequest) -> ActionResult:
        """Ask the provider, with a token that nobody has."""
        facts = await self._facts(request)
        try:
            opened = await self._credentials.opened(request.actor, request.workspace_id, facts.credential_id)
            verdict = await self._context.providers.probe(opened)
        except Misconfigured as error:
            raise BadRequest("credentials", error.message) from error
        well, said = _read(verdict)
        answer = see_other(
            request.to("routes", "credentials", facts.credential_id),
            self._names.note(said, bad=not well),
        )
        return ActionResult(answer=answer)

    async def _facts(self, request: PageRequest) -> CredentialRecord:
        wanted = request.number("credential", "credential")
        for one in await self._credentials.of_workspace(request.workspace_id):
            if one.credential_id == wanted:
                return one
        raise NotFound("Credentials not found")


def _read(verdict: Verdict) -> tuple[bool, str]:
    """Whether a provider accepts the credentials, and the text for it: rejecting a made-up token means that it does."""
    well = isinstance(verdict.outcome, Accepted | Refused)
    answer = " ".join(str(part) for part in (verdict.status, verdict.reason) if part)
    if well:
        return True, f"Credentials are valid (provider returned {answer} for the test token)."
    means = f": {labels.because(verdict.code)} ({verdict.code})"
    return False, f"Credentials rejected: {answer or 'no response'}{means}."


def _file(request: PageRequest, name: str) -> bytes:
    found = request.form.files.get(name, b"")
    if not found:
        raise BadRequest(name, "choose a file")
    return found


def _ca(request: PageRequest) -> str | None:
    """A custom CA, in PEM."""
    return request.form.files.get("ca", b"").decode("utf-8", "replace") or None
