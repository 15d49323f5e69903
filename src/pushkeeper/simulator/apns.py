"""APNs: `POST /3/device/{token}`, answered from the world; one session for each connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.simulator import apns_channels, apns_request
from pushkeeper.simulator.apns_auth import EXPIRED, MISSING, ProviderTokens, certified_topic
from pushkeeper.simulator.exchange import Answer, Profile, Reply, Request
from pushkeeper.simulator.quota import Window, wait_s
from pushkeeper.simulator.server import Setting
from pushkeeper.simulator.world import Environment  # noqa: TC001 - switches are set by their types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.simulator.apns_auth import SigningKey
    from pushkeeper.simulator.apns_request import Refusal
    from pushkeeper.simulator.exchange import Headers, Link
    from pushkeeper.simulator.script import Step
    from pushkeeper.simulator.world import Installation, World

_DEVICE_PATH = b"/3/device/"
_HTTP_OK = 200
_HTTP_GONE = 410
_SWITCH_EVERY_S = 20 * 60
_TROUBLES: Mapping[str, Refusal] = {
    "key": (403, "InvalidProviderToken"),
    "throttle": (429, "TooManyRequests"),
    "outage": (503, "ServiceUnavailable"),
}

# Captured SETTINGS (providers.md 2.1); the first limit is Apple's own word.
APNS_CONNECTION = Profile(
    streams=1000,
    opening_streams=1,
    settings={
        Setting.HEADER_TABLE_SIZE: 4096,
        Setting.INITIAL_WINDOW_SIZE: 65_535,
        Setting.MAX_FRAME_SIZE: 16_384,
        Setting.MAX_HEADER_LIST_SIZE: 8000,
    },
    idle_timeout_s=None,
    idle_debug=b'{"reason":"IdleTimeout"}',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsRules:
    """Behaviour of APNs that is not certain, as switches.

    Attributes:
        expired_token_wedges: after ExpiredProviderToken a connection returns nothing else (one report).
        streams_after_rejection: the stream limit after a rejection, until the next success (captures of 2016
            to 2020, said to be resolved); None: no change.
        device_per_min: notifications to one device per minute; Apple publishes no number.
        bad_tokens_in_a_row: this many unknown tokens in a row reduce a connection to one stream, twice as many close
            it (Apple publishes no numbers); a 410 counts for nothing.
        unavailable_share: the share of requests that get a 503.
        key_environment: the only environment that the signing key is good for, None for both.
        key_environment_reason: how its rejection is spelled: this form in captures, with `KeyId` in Apple's list.
    """

    expired_token_wedges: bool = True
    streams_after_rejection: int | None = None
    device_per_min: int | None = None
    bad_tokens_in_a_row: int | None = None
    unavailable_share: float = 0.0
    key_environment: Environment | None = None
    key_environment_reason: str = "BadEnvironmentKeyInToken"


class Apns:
    """The service of one environment."""

    def __init__(self, world: World, key: SigningKey, rules: ApnsRules, environment: Environment) -> None:
        self.world = world
        self.rules = rules
        self.environment = environment
        self.name = "apns" if environment == "production" else "apns_sandbox"
        self.tokens = ProviderTokens(key)
        self.channels = apns_channels.Channels(world, self.name)

    def session(self, connection: Link) -> ApnsSession:
        """The state of a new connection."""
        return ApnsSession(self, connection)


class ApnsSession:
    """One connection to APNs: its certificate, its provider token, its limit of streams."""

    def __init__(self, apns: Apns, connection: Link) -> None:
        self._apns = apns
        self._world = apns.world
        self._rules = apns.rules
        self._connection = connection
        self._streams = connection.profile.streams
        self._topic = certified_topic(connection.client_certificate)
        self._token = b""
        self._switched_at_s: float | None = None
        self._wedged = False
        self._bad_tokens = 0
        self._unavailable = 0.0
        if self._topic is not None:
            connection.limit_streams(self._streams)

    def handle(self, request: Request) -> Answer:
        """Decide one request, write it down, and answer."""
        path = request.fields.get(b":path", b"")
        if (call := apns_channels.Call.of(path)) is not None:
            return self._about_channels(request, call)
        refusal = _TROUBLES.get(self._trouble) or self._admit(request, path) or self._outage()
        token = path[len(_DEVICE_PATH) :].decode("latin-1").lower()
        if refusal is not None:
            return self._answer(request, token, refusal)
        installation = self._world.installations.get(token)
        if installation is not None and (step := self._world.next_step(token)) is not None:
            return self._follow(request, installation, step)
        return self._settle(request, token, installation, self._truth(request, installation))

    def _about_channels(self, request: Request, call: apns_channels.Call) -> Reply:
        channel = request.fields.get(b"apns-channel-id", b"").decode("latin-1")
        refusal = _TROUBLES.get(self._trouble) or self._unauthorized(request) or self._outage()
        if refusal is None and self._topic not in {None, call.bundle}:
            refusal = 400, "TopicMismatch"
        if refusal is not None:
            return self._answer(request, channel, refusal)
        try:
            reply = self._apns.channels.answer(request, call)
        except apns_channels.Refused as refused:
            return self._answer(request, channel, (refused.status, refused.reason))
        self._world.record(
            channel, self._apns.name, (request.headers, request.body), (int(reply.headers[0][1]), "")
        )
        asked = request.fields.get(b"apns-request-id") or _uuid(self._world.next_id())
        return Reply((*reply.headers, (b"apns-request-id", asked)), reply.body)

    @property
    def _trouble(self) -> str:
        return self._world.troubles.get(self._apns.name, "")

    def _admit(self, request: Request, path: bytes) -> Refusal | None:
        if request.fields[b":method"] != b"POST":
            return 405, "MethodNotAllowed"
        if not path.startswith(_DEVICE_PATH):
            return 404, "BadPath"
        return (
            self._unauthorized(request) or self._misaddressed(request, path) or apns_request.refused(request)
        )

    def _outage(self) -> Refusal | None:
        self._unavailable += self._rules.unavailable_share
        if self._unavailable < 1.0:
            return None
        self._unavailable -= 1.0
        return 503, "ServiceUnavailable"

    def _misaddressed(self, request: Request, path: bytes) -> Refusal | None:
        if path == _DEVICE_PATH:
            return 400, "MissingDeviceToken"
        topic = request.fields.get(b"apns-topic")
        if topic is None:
            return (400, "MissingTopic") if self._topic is None else None
        if self._topic is not None and topic.decode("latin-1") != self._topic:
            return 400, "TopicDisallowed"
        return None

    # The provider's authentication.

    def _unauthorized(self, request: Request) -> Refusal | None:
        if self._topic is not None:
            return None
        if self._wedged:
            return EXPIRED
        scheme, _, token = request.fields.get(b"authorization", b"").partition(b" ")
        if not token or scheme.lower() != b"bearer":
            return MISSING
        refusal = self._apns.tokens.refuses(token, self._world.clock()) or self._switched(token)
        self._wedged = refusal == EXPIRED and self._rules.expired_token_wedges
        if refusal is None:
            key_environment = self._rules.key_environment
            if key_environment is not None and key_environment != self._apns.environment:
                return 403, self._rules.key_environment_reason
            self._connection.limit_streams(self._streams)
        return refusal

    def _switched(self, token: bytes) -> Refusal | None:
        """A connection may change to another token once in 20 minutes."""
        if token == self._token:
            return None
        now_s = self._world.clock()
        if self._token:
            if self._switched_at_s is not None and now_s - self._switched_at_s < _SWITCH_EVERY_S:
                return 429, "TooManyProviderTokenUpdates"
            self._switched_at_s = now_s
        self._token = token
        return None

    # What is true of the token.

    def _truth(self, request: Request, installation: Installation | None) -> Refusal | None:
        if installation is None:
            return 400, "BadDeviceToken"
        origin = installation.origin
        if origin.provider != "apns" or origin.environment != self._apns.environment:
            return 400, "BadDeviceToken"
        topic = request.fields.get(b"apns-topic")
        if (self._topic if topic is None else topic.decode("latin-1")) != origin.topic:
            return 400, "DeviceTokenNotForTopic"
        if installation.removed_at_s is not None:
            return _HTTP_GONE, "Unregistered"
        return self._used_up(installation)

    def _used_up(self, installation: Installation) -> Refusal | None:
        limit = self._rules.device_per_min
        if limit is None:
            return None
        if not installation.windows:
            installation.windows = (Window(limit, 60.0),)
        return (429, "TooManyRequests") if wait_s(installation.windows, self._world.clock()) else None

    # Answers.

    def _follow(self, request: Request, installation: Installation, step: Step) -> Answer:
        token = installation.token
        if step.loses_the_answer and not step.processed:
            self._world.record(token, self._apns.name, (request.headers, request.body), (None, ""))
            return step.carry_out(Reply(()))
        if not step.decides:
            reply = self._settle(request, token, installation, self._truth(request, installation))
        else:
            status = step.status or _HTTP_OK
            refusal = None if status == _HTTP_OK else (status, step.reason)
            reply = self._settle(request, token, installation, refusal, step.timestamp)
            if step.body is not None:
                reply = Reply(reply.headers, step.written_body())
        return step.carry_out(step.with_headers(reply))

    def _settle(
        self,
        request: Request,
        token: str,
        installation: Installation | None,
        refusal: Refusal | None,
        timestamp_ms: int | None = None,
    ) -> Reply:
        if refusal is None:
            if installation is not None:
                self._world.count_accepted(installation)
                for window in installation.windows:
                    window.count()
            return self._accept(request, token)
        if timestamp_ms is None and installation is not None and installation.removed_at_s is not None:
            timestamp_ms = int(installation.removed_at_s * 1000) if refusal[0] == _HTTP_GONE else None
        return self._answer(request, token, refusal, timestamp_ms)

    def _accept(self, request: Request, token: str) -> Reply:
        self._world.record(token, self._apns.name, (request.headers, request.body), (_HTTP_OK, ""))
        if self._rules.streams_after_rejection is not None or self._bad_tokens:
            self._connection.limit_streams(self._streams)
        self._bad_tokens = 0
        headers: Headers = ((b":status", b"200"), (b"apns-id", self._apns_id(request)))
        if self._apns.environment == "sandbox":
            headers = (*headers, (b"apns-unique-id", _uuid(self._world.next_id())))
        return Reply(headers)

    def _answer(
        self, request: Request, token: str, refusal: Refusal, timestamp_ms: int | None = None
    ) -> Reply:
        status, reason = refusal
        self._world.record(token, self._apns.name, (request.headers, request.body), refusal)
        if self._rules.streams_after_rejection is not None:
            self._connection.limit_streams(self._rules.streams_after_rejection)
        if reason == "BadDeviceToken":
            self._hold_against()
        body: dict[str, object] = {"reason": reason} if reason else {}
        if timestamp_ms is not None:
            body["timestamp"] = timestamp_ms
        headers = ((b":status", b"%d" % status), (b"apns-id", self._apns_id(request)))
        return Reply(headers, msgspec.json.encode(body) if body else b"")

    def _hold_against(self) -> None:
        """Apple slows down, and then leaves, who keeps asking for tokens that are none."""
        self._bad_tokens += 1
        bound = self._rules.bad_tokens_in_a_row
        if bound is None:
            return
        if self._bad_tokens == bound:
            self._connection.limit_streams(1)
        elif self._bad_tokens == 2 * bound:
            self._connection.go_away()

    def _apns_id(self, request: Request) -> bytes:
        return request.fields.get(b"apns-id") or _uuid(self._world.next_id())


def _uuid(number: int) -> bytes:
    digits = b"%032x" % number
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).upper()
