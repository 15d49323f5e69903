"""FCM HTTP v1: `POST /v1/projects/{id}/messages:send` and the calls about topics, answered from the world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

from pushkeeper.simulator import fcm_errors, fcm_message, fcm_topics
from pushkeeper.simulator.exchange import Answer, Headers, Profile, Reply, Request
from pushkeeper.simulator.fcm_errors import Decision
from pushkeeper.simulator.fcm_message import SendRequest
from pushkeeper.simulator.quota import RetryAfter, RetryAfterHeader, Window, wait_s
from pushkeeper.simulator.world import FCM_TOKEN_SHAPE, FID_SHAPE

if TYPE_CHECKING:
    from pushkeeper.simulator.oauth import OAuth
    from pushkeeper.simulator.script import Step
    from pushkeeper.simulator.world import Installation, World

_SEND_PATH = re.compile(rb"/v1/projects/([^/]+)/messages:send(?:\?.*)?")
_HTTP_OK = 200
_MINUTE_S = 60.0
_HOUR_S = 3600.0
_TROUBLE_S = 5.0

# Observed, not documented (providers.md 1.1): the streams by two witnesses, HTTP/1.1 and the colon by Google's SDKs, the
# rest by one.
FCM_CONNECTION = Profile(
    streams=100,
    http1=True,
    scheme_with_colon=True,
    excess_debug=b"exceeded_max_concurrent_streams",
    needs_authority=True,
    data_frames=2,
    idle_timeout_s=240,
    idle_debug=b"session_timeout",
    max_age_s=3600,
    age_debug=b"max_age",
    idle_pings=3,
    pings_debug=b"too_many_pings",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FcmRules:
    """Behaviour of FCM that is not certain, as switches.

    Attributes:
        unknown_token_form: which 400 a token gets that was never a token: `token_text` (on Google's page) or
            `token_field` (one report).
        gone_at_apple_form: what an iOS app's removal looks like: `apple_gone` (a 400, captured twice) or
            `unregistered` (the 404 of Google's page).
        dry_run_finds_unregistered: whether `validate_only` reports an uninstalled app; nobody has shown it.
        project_per_min: requests of a project per minute, rejected ones included; None for no limit.
        device_per_min, device_per_h: messages to one device.
        names_the_quota: whether a 429 says which of them was used up; documented, not seen.
        retry_after: the form of the header of a 429: `none`, `seconds`, `date`, or `mixed` for each in turn.
        expires_after_days: an Android phone that was silent for so long is not registered any more.
        unavailable_share: the share of requests that get a 503.
    """

    unknown_token_form: Literal["token_text", "token_field"] = "token_text"  # noqa: S105 - the name of a form, not a secret
    gone_at_apple_form: Literal["apple_gone", "unregistered"] = "apple_gone"
    dry_run_finds_unregistered: bool = False
    project_per_min: int | None = 600_000
    device_per_min: int | None = 240
    device_per_h: int | None = 5_000
    names_the_quota: bool = True
    retry_after: RetryAfter = "seconds"
    expires_after_days: int | None = 270
    unavailable_share: float = 0.0


class Fcm:
    """The service; one session serves all connections, as FCM keeps nothing of one."""

    def __init__(self, world: World, oauth: OAuth, rules: FcmRules, project: str) -> None:
        self._world = world
        self._oauth = oauth
        self._rules = rules
        self._project = project.encode()
        self._name = f'{{\n  "name": "projects/{project}/messages/'.encode()
        self._headers: dict[tuple[int, bool], Headers] = {}
        self._dated = (0, b"")
        self._windows = _windows((rules.project_per_min, _MINUTE_S))
        self._retry_after = RetryAfterHeader(rules.retry_after)
        self._unavailable = 0.0

    def handle(self, request: Request) -> Answer:
        """Decide one request, write it down, and answer."""
        ask = self._admit(request)
        if (busy := self._busy()) is not None:
            return self._wait(request, fcm_message.target_of(request.body), *busy)
        for window in self._windows:
            window.count()
        if isinstance(ask, Decision):
            return self._answer(request, fcm_message.target_of(request.body), ask)
        if isinstance(ask, fcm_topics.Call):
            decided = fcm_topics.carry_out(ask, self._registered, self._world.clock())
            return self._answer(request, ask.tokens[0] if len(ask.tokens) == 1 else "", decided)
        installation = self._world.installations.get(ask.target)
        if installation is not None and (step := self._world.next_step(ask.target)) is not None:
            return self._follow(request, ask, installation, step)
        if installation is not None and (used_up := self._used_up(installation)) is not None:
            return self._wait(request, ask.target, *used_up)
        return self._settle(request, ask, installation, self._truth(ask, installation))

    def _admit(self, request: Request) -> SendRequest | fcm_topics.Call | Decision:
        method, path = request.fields[b":method"], request.fields.get(b":path", b"")
        sending = _SEND_PATH.fullmatch(path) if method == b"POST" else None
        if sending is not None:
            project = sending[1].decode("latin-1")
            return self._refused(request, project) or fcm_message.read(request.body)
        call = fcm_topics.read(method.decode("latin-1"), path.decode("latin-1"), request.body)
        if call is None:
            return fcm_errors.PAGE_NOT_FOUND
        named = call.project if isinstance(call, fcm_topics.Call) else None
        if (
            named is None
            and request.fields.get(b"access_token_auth") != b"true"
            and path.startswith(b"/iid/")
        ):
            return fcm_errors.UNAUTHENTICATED
        return self._refused(request, named) or call

    def _refused(self, request: Request, project: str | None) -> Decision | None:
        """Why the sender of a request may not ask anything of this project; of none by an Instance ID call."""
        if not self._oauth.admits(request.fields.get(b"authorization", b"")):
            return fcm_errors.UNAUTHENTICATED
        if not self._oauth.allows_sending(request.fields[b"authorization"]):
            return fcm_errors.SCOPE_INSUFFICIENT
        if project not in {None, self._project.decode()} or self._world.troubles.get("fcm") == "key":
            return fcm_errors.permission_denied(project or self._project.decode())
        return None

    def _registered(self, token: str) -> Installation | Decision:
        """The installation of a token that could be sent to, or FCM's refusal of the token."""
        installation = self._world.installations.get(token)
        decided = self._truth(SendRequest("token", token, dry_run=False), installation)
        return installation if installation is not None and decided.http == _HTTP_OK else decided

    def _busy(self) -> tuple[Decision, float] | None:
        """Why nothing is looked at now, and for how long: an outage, or the project's quota."""
        trouble = self._world.troubles.get("fcm")
        if trouble == "outage":
            return fcm_errors.by_code(503, "UNAVAILABLE"), _TROUBLE_S
        if trouble == "throttle":
            return self._over_quota("project", "Message rate of the project"), _TROUBLE_S
        self._unavailable += self._rules.unavailable_share
        if self._unavailable >= 1.0:
            self._unavailable -= 1.0
            return fcm_errors.by_code(503, "UNAVAILABLE"), 1.0
        left_s = wait_s(self._windows, self._world.clock())
        return (self._over_quota("project", "Message rate of the project"), left_s) if left_s else None

    def _used_up(self, installation: Installation) -> tuple[Decision, float] | None:
        """The device's own quota, which what is accepted uses up."""
        if not installation.windows:
            installation.windows = _windows(
                (self._rules.device_per_min, _MINUTE_S), (self._rules.device_per_h, _HOUR_S)
            )
        left_s = wait_s(installation.windows, self._world.clock())
        return (self._over_quota("device", "Message rate of the device"), left_s) if left_s else None

    def _over_quota(self, subject: str, description: str) -> Decision:
        violation = {"subject": subject, "description": description}
        return fcm_errors.over_quota(violation if self._rules.names_the_quota else None)

    def _wait(self, request: Request, target: str, decided: Decision, left_s: float) -> Reply:
        reply = self._answer(request, target, decided)
        further = self._retry_after.after(left_s, self._world.clock())
        return Reply((*reply.headers, *further), reply.body)

    def _truth(self, ask: SendRequest, installation: Installation | None) -> Decision:
        if ask.kind in {"topic", "condition"}:
            return self._accepted(ask)
        if installation is None or installation.origin.provider != "fcm":
            return self._never_was(ask)
        origin = installation.origin
        if ask.kind == "fid" and origin.kind != "fid":
            return self._never_was(ask)
        if origin.project.encode() != self._project:
            return fcm_errors.SENDER_ID_MISMATCH
        decided = self._gone(ask, installation)
        if decided is None and ask.urgent_data and origin.platform == "ios":
            decided = fcm_errors.by_code(400, "INVALID_ARGUMENT")
        return decided or self._accepted(ask)

    def _gone(self, ask: SendRequest, installation: Installation) -> Decision | None:
        if not self._is_gone(installation) or (ask.dry_run and not self._rules.dry_run_finds_unregistered):
            return None
        at_apple = installation.origin.platform == "ios" and self._rules.gone_at_apple_form == "apple_gone"
        return fcm_errors.FORMS["apple_gone"] if at_apple else fcm_errors.UNREGISTERED

    def _is_gone(self, installation: Installation) -> bool:
        if installation.removed_at_s is not None:
            return True
        days = self._rules.expires_after_days
        silent = days is not None and self._world.days_silent(installation) >= days
        return silent and installation.origin.platform == "android"

    def _never_was(self, ask: SendRequest) -> Decision:
        """A well-formed token was registered once; any other never was."""
        shape = FID_SHAPE if ask.kind == "fid" else FCM_TOKEN_SHAPE
        if shape.fullmatch(ask.target):
            return fcm_errors.UNREGISTERED
        if ask.kind == "fid":
            return fcm_errors.invalid("message.fid", "Invalid installation id")
        return fcm_errors.FORMS[self._rules.unknown_token_form]

    def _accepted(self, ask: SendRequest) -> Decision:
        if ask.dry_run:
            return Decision(_HTTP_OK, "", self._name + b'fake_message_id"\n}\n')
        number = self._world.next_id()
        stamp = int(self._world.clock() * 1_000_000)
        return Decision(
            _HTTP_OK, "", b'%s0:%d%%%016x"\n}\n' % (self._name, stamp, number & 0xFFFFFFFFFFFFFFFF)
        )

    def _follow(self, request: Request, ask: SendRequest, installation: Installation, step: Step) -> Answer:
        if step.loses_the_answer and not step.processed:
            self._world.record(ask.target, "fcm", (request.headers, request.body), (None, ""))
            return step.carry_out(Reply(()))
        decided = self._scripted(step, ask) if step.decides else self._truth(ask, installation)
        reply = self._settle(request, ask, installation, decided)
        return step.carry_out(step.with_headers(reply))

    def _scripted(self, step: Step, ask: SendRequest) -> Decision:
        apple = fcm_errors.apns_error(step.apns_status, step.apns_reason) if step.apns_reason else None
        if step.body is not None:
            return Decision(
                step.status or _HTTP_OK, step.reason, step.written_body(), html=isinstance(step.body, str)
            )
        if step.form:
            return fcm_errors.FORMS[step.form]
        if step.status == _HTTP_OK:
            return self._accepted(ask)
        return fcm_errors.by_code(step.status or _HTTP_OK, step.reason, apple)

    def _settle(
        self, request: Request, ask: SendRequest, installation: Installation | None, decided: Decision
    ) -> Reply:
        if decided.http == _HTTP_OK and installation is not None and not ask.dry_run:
            self._world.count_accepted(installation)
            for window in installation.windows:
                window.count()
        return self._answer(request, ask.target, decided)

    def _answer(self, request: Request, target: str, decided: Decision) -> Reply:
        self._world.record(target, "fcm", (request.headers, request.body), (decided.http, decided.reason))
        key = (decided.http, decided.html)
        headers = self._headers.get(key)
        if headers is None:
            kind = b"text/html; charset=UTF-8" if decided.html else b"application/json; charset=UTF-8"
            headers = self._headers[key] = (
                (b":status", b"%d" % decided.http),
                (b"content-type", kind),
            )
        return Reply((*headers, (b"date", self._date())), decided.body)

    def _date(self) -> bytes:
        """The Date header of Google's front end, made once a second."""
        second = int(self._world.clock())
        if self._dated[0] != second:
            self._dated = (second, formatdate(second, usegmt=True).encode())
        return self._dated[1]


def _windows(*quotas: tuple[int | None, float]) -> tuple[Window, ...]:
    return tuple(Window(limit, span_s) for limit, span_s in quotas if limit is not None)
