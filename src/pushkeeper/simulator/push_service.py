"""The browsers' push services: `POST` to an endpoint (RFC 8030), answered as the endpoint's family answers.

One session serves all connections and all families: an endpoint says whose it is. Where a family's answer is documented
(Mozilla's autopush, Apple) it is that; Google's and Microsoft's are as senders have captured them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.simulator import vapid
from pushkeeper.simulator.browser import Unreadable, family_of
from pushkeeper.simulator.exchange import Profile, Reply
from pushkeeper.simulator.quota import RetryAfter, RetryAfterHeader, Window, wait_s
from pushkeeper.simulator.vapid import Refused

if TYPE_CHECKING:
    from pushkeeper.simulator.browser import Browser, Family
    from pushkeeper.simulator.exchange import Answer, Request
    from pushkeeper.simulator.script import Step
    from pushkeeper.simulator.vapid import Sender
    from pushkeeper.simulator.world import Installation, World

PUSH_CONNECTION = Profile(streams=100, http1=True)
_CREATED = 201
_LARGEST_BODY_BYTES = 4096
_TROUBLE_S = 5.0
_MINUTE_S = 60.0
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES = frozenset({"very-low", "low", "normal", "high"})

_MISMATCH = (
    "the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
    "subscriptions."
)

# A fault, and what each family says of it: status, and Mozilla's number, Apple's word or the text of the others.
_ANSWERS: dict[str, dict[Family, tuple[int, int | str]]] = {
    "key": {
        "google": (403, "invalid JWT provided"),
        "mozilla": (401, 109),
        "apple": (403, "BadJwtToken"),
        "microsoft": (401, ""),
    },
    "mismatch": {
        "google": (
            403,
            _MISMATCH,
        ),
        "mozilla": (401, 109),
        "apple": (403, "VapidPkHashMismatch"),
        "microsoft": (403, ""),
    },
    "unknown": {
        "google": (404, "push subscription not found"),
        "mozilla": (404, 102),
        "apple": (404, "BadPath"),
        "microsoft": (404, ""),
    },
    "gone": {
        "google": (410, "push subscription has unsubscribed or expired."),
        "mozilla": (410, 106),
        "apple": (410, "Unregistered"),
        "microsoft": (410, ""),
    },
    "headers": {
        "google": (400, "missing or invalid header"),
        "mozilla": (400, 111),
        "apple": (400, "BadWebPushTopic"),
        "microsoft": (400, ""),
    },
    "encoding": {
        "google": (400, "unsupported content encoding"),
        "mozilla": (400, 110),
        "apple": (400, "BadContentEncoding"),
        "microsoft": (400, ""),
    },
    "too_large": {
        "google": (413, "payload too large"),
        "mozilla": (413, 104),
        "apple": (413, "PayloadTooLarge"),
        "microsoft": (413, ""),
    },
    "too_fast": {
        "google": (429, "too many requests"),
        "mozilla": (429, 201),
        "apple": (429, "TooManyRequests"),
        "microsoft": (406, ""),
    },
    "outage": {
        "google": (503, "service unavailable"),
        "mozilla": (503, 201),
        "apple": (503, "ServiceUnavailable"),
        "microsoft": (503, ""),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRules:
    """What is not certain of browsers' push services, as switches.

    Attributes:
        speaks_http2: whether HTTP/2 is offered; without it senders must be content with HTTP/1.1.
        device_per_min: how many messages one browser takes in a minute; None for no bound.
        retry_after: the form of the header of a 429: `none`, `seconds`, `date`, or `mixed` for each in turn.
        unavailable_share: the share of requests that get a 503.
    """

    speaks_http2: bool = True
    device_per_min: int | None = None
    retry_after: RetryAfter = "seconds"
    unavailable_share: float = 0.0


@dataclass(frozen=True, slots=True)
class _Push:
    """A request that was read: the endpoint that it names, and whose that is."""

    request: Request
    origin: str
    endpoint: str
    family: Family

    @classmethod
    def of(cls, request: Request) -> _Push:
        path = request.fields.get(b":path", b"").decode("latin-1")
        origin = f"https://{request.fields.get(b':authority', b'').decode('latin-1')}"
        return cls(request, origin, origin + path, family_of(path))

    def field(self, name: bytes) -> str:
        return self.request.fields.get(name, b"").decode("latin-1")


class PushService:
    """The service; what it takes is decrypted in the journal, as the browser alone could."""

    def __init__(self, world: World, rules: PushRules) -> None:
        self._world = world
        self._rules = rules
        self._retry_after = RetryAfterHeader(rules.retry_after)
        self._unavailable = 0.0

    def handle(self, request: Request) -> Answer:
        """Decide one request, write it down, and answer."""
        push = _Push.of(request)
        trouble = self._world.troubles.get("webpush")
        self._unavailable += self._rules.unavailable_share
        if trouble == "outage" or self._unavailable >= 1.0:
            self._unavailable %= 1.0
            return self._wait(push, "outage", _TROUBLE_S)
        if trouble == "throttle":
            return self._wait(push, "too_fast", _TROUBLE_S)
        browser = self._world.browsers.get(push.endpoint)
        installation = self._world.installations.get(push.endpoint)
        if installation is not None and (step := self._world.next_step(push.endpoint)) is not None:
            return self._follow(push, browser, installation, step)
        return self._truth(push, browser, installation)

    def _truth(self, push: _Push, browser: Browser | None, installation: Installation | None) -> Reply:
        fault = self._fault_of_request(push) or self._fault_of_sender(push, browser)
        if fault is not None:
            return self._refuse(push, fault)
        if browser is None or installation is None:
            return self._refuse(push, "unknown")
        if installation.removed_at_s is not None:
            return self._refuse(push, "gone")
        if self._rules.device_per_min is not None and not installation.windows:
            installation.windows = (Window(self._rules.device_per_min, _MINUTE_S),)
        if left_s := wait_s(installation.windows, self._world.clock()):
            return self._wait(push, "too_fast", left_s)
        return self._accept(push, browser, installation)

    @staticmethod
    def _fault_of_request(push: _Push) -> str | None:
        topic, urgency = push.field(b"topic"), push.field(b"urgency")
        if push.field(b":method") != "POST":
            return "headers"
        if len(push.request.body) > _LARGEST_BODY_BYTES:
            return "too_large"
        if not push.field(b"ttl").isdigit():
            return "headers"
        if (topic and not _TOPIC.fullmatch(topic)) or (urgency and urgency not in _URGENCIES):
            return "headers"
        if push.request.body and push.field(b"content-encoding") != "aes128gcm":
            return "encoding"
        return None

    def _fault_of_sender(self, push: _Push, browser: Browser | None) -> str | None:
        if self._world.troubles.get("webpush") == "key":
            return "key"
        try:
            sender: Sender = vapid.sender_of(push.field(b"authorization"), push.origin, self._world.clock())
        except Refused:
            return "key"
        if push.family == "apple" and sender.subject is None:
            return "key"
        if browser is not None and browser.vapid_key not in {None, sender.public_key}:
            return "mismatch"
        return None

    def _follow(self, push: _Push, browser: Browser | None, installation: Installation, step: Step) -> Answer:
        if step.loses_the_answer and not step.processed:
            self._record(push, None, "")
            return step.carry_out(Reply(()))
        if not step.decides:
            return step.carry_out(step.with_headers(self._truth(push, browser, installation)))
        status = step.status or _CREATED
        if step.body is not None:
            body = step.written_body()
        elif status < 300 or not step.reason:  # noqa: PLR2004 - what is no success
            body = b""
        else:
            body = _body(push.family, status, int(step.reason) if step.reason.isdigit() else step.reason)
        return step.carry_out(step.with_headers(self._answer(push, status, step.reason, body)))

    def _accept(self, push: _Push, browser: Browser, installation: Installation) -> Reply:
        try:
            plain, reason = browser.decrypt(push.request.body), ""
        except Unreadable as error:  # which the browser alone would notice
            plain, reason = b"", f"unreadable: {error}"
        self._world.count_accepted(installation)
        for window in installation.windows:
            window.count()
        self._world.record(push.endpoint, "webpush", (push.request.headers, plain), (_CREATED, reason))
        name = f"{self._world.next_id():032x}"
        headers: dict[Family, tuple[tuple[bytes, bytes], ...]] = {
            "google": ((b"location", f"https://fcm.googleapis.com/0:{name}%{name[:16]}".encode()),),
            "mozilla": (
                (b"location", f"{push.origin}/m/{name}".encode()),
                (b"ttl", push.field(b"ttl").encode()),
            ),
            "apple": (
                (b"apns-id", f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}".encode()),
            ),
            "microsoft": ((b"x-wns-status", b"received"), (b"x-wns-msg-id", name[:16].encode())),
        }
        return Reply(
            ((b":status", b"201"), *headers[push.family], (b"content-length", b"0"), (b"date", self._date())),
            b"",
        )

    def _wait(self, push: _Push, fault: str, left_s: float) -> Reply:
        reply = self._refuse(push, fault)
        further = self._retry_after.after(left_s, self._world.clock())
        return Reply((*reply.headers, *further), reply.body)

    def _refuse(self, push: _Push, fault: str) -> Reply:
        status, word = _ANSWERS[fault][push.family]
        return self._answer(push, status, fault, _body(push.family, status, word))

    def _answer(self, push: _Push, status: int, reason: str, body: bytes) -> Reply:
        self._record(push, status, reason)
        kind = b"application/json" if body.startswith(b"{") else b"text/plain; charset=utf-8"
        return Reply(
            (
                (b":status", b"%d" % status),
                (b"content-type", kind),
                (b"content-length", b"%d" % len(body)),
                (b"date", self._date()),
            ),
            body,
        )

    def _record(self, push: _Push, status: int | None, reason: str) -> None:
        request = push.request
        self._world.record(push.endpoint, "webpush", (request.headers, request.body), (status, reason))

    def _date(self) -> bytes:
        return formatdate(self._world.clock(), usegmt=True).encode()


def _body(family: Family, status: int, word: int | str) -> bytes:
    """An error as the family writes it."""
    said: dict[str, Any]
    if family == "mozilla" and isinstance(word, int):
        said = {
            "code": status,
            "errno": word,
            "error": "Error",
            "message": "Request did not validate",
            "more_info": "https://autopush.readthedocs.io/en/latest/http.html#error-codes",
        }
        return msgspec.json.encode(said)
    if family == "apple":
        return msgspec.json.encode({"reason": str(word)})
    return str(word).encode()
