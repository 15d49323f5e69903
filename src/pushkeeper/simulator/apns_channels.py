"""Apple's broadcast channels for Live Activities: managed at `/1/apps/{bundle}/channels`, pushed to at `/4/broadcasts/apps/{bundle}`.

Paths, headers and reasons are Apple's ("Sending channel management requests to APNs", "Sending broadcast push notification
requests to APNs"); which reason goes before which is not documented. Apple manages channels on hosts of their own, here it
is the same port.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.simulator.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.simulator.exchange import Request
    from pushkeeper.simulator.world import World

_PATH = re.compile(rb"/1/apps/([^/]+)/(channels|all-channels)|/4/broadcasts/apps/([^/]+)")
_METHODS: Mapping[bytes, frozenset[bytes]] = {
    b"channels": frozenset({b"POST", b"GET", b"DELETE"}),
    b"all-channels": frozenset({b"GET"}),
    b"broadcasts": frozenset({b"POST"}),
}
_PRIORITIES = frozenset({b"10", b"5", b"1"})
_STORAGE_POLICIES = {"0": 0, "1": 1}
_CHANNEL_ID_BYTES = 16
_MOST_CHANNELS = 10_000
_LARGEST_BYTES = 5120


class Refused(Exception):
    """A request about channels that Apple would refuse.

    Attributes:
        status, reason: how.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Call:
    """What a path is about: `channels`, `all-channels` or `broadcasts` of an app."""

    bundle: str
    about: bytes

    @classmethod
    def of(cls, path: bytes) -> Call | None:
        """The call of a path, None where it is another."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        return cls((found[1] or found[3]).decode("latin-1"), found[2] or b"broadcasts")


class Channels:
    """The channels of one service."""

    def __init__(self, world: World, service: str) -> None:
        self._world = world
        self._service = service

    def answer(self, request: Request, call: Call) -> Reply:
        """Carry out a request whose sender is known.

        Raises:
            Refused: Apple would refuse it.
        """
        method, channels = request.fields[b":method"], self._channels(call.bundle)
        if method not in _METHODS[call.about]:
            raise Refused(405, "MethodNotAllowed")
        if call.about == b"all-channels":
            return _reply(200, body={"channels": list(channels)})
        if call.about == b"channels" and method == b"POST":
            return self._create(request, channels)
        channel = _known(request, channels)
        if call.about == b"broadcasts":
            _check_broadcast(request)
            return _reply(200, (b"apns-unique-id", b"%032x" % self._world.next_id()))
        if method == b"DELETE":
            del channels[channel]
            return _reply(204)
        return _reply(200, body={"message-storage-policy": channels[channel], "push-type": "LiveActivity"})

    def _channels(self, bundle: str) -> dict[str, int]:
        return self._world.channels.setdefault((self._service, bundle), {})

    def _create(self, request: Request, channels: dict[str, int]) -> Reply:
        asked = _object(request)
        if "push-type" not in asked:
            raise Refused(400, "MissingPushType")
        # @parse/node-apn writes it in lower case, and the policy as text.
        if str(asked["push-type"]).lower() != "liveactivity":
            raise Refused(400, "InvalidPushType")
        policy = _STORAGE_POLICIES.get(str(asked.get("message-storage-policy", 0)))
        if policy is None or len(channels) >= _MOST_CHANNELS:
            raise Refused(400, "CannotCreateChannelConfig")
        channel = b64encode(self._world.next_id().to_bytes(_CHANNEL_ID_BYTES, "big")).decode()
        channels[channel] = policy
        return _reply(201, (b"apns-channel-id", channel.encode()))


def _known(request: Request, channels: Mapping[str, int]) -> str:
    named = request.fields.get(b"apns-channel-id")
    if not named:
        raise Refused(400, "MissingChannelId")
    try:
        decoded = b64decode(named, validate=True)
    except ValueError:
        raise Refused(400, "BadChannelId") from None
    if len(decoded) != _CHANNEL_ID_BYTES:
        raise Refused(400, "BadChannelId")
    channel = named.decode()
    if channel not in channels:
        raise Refused(400, "ChannelNotRegistered")
    return channel


def _check_broadcast(request: Request) -> None:
    fields = request.fields
    push_type = fields.get(b"apns-push-type")
    if push_type is None:
        raise Refused(400, "MissingPushType")
    if push_type.lower() != b"liveactivity":
        raise Refused(400, "InvalidPushType")
    if not fields.get(b"apns-expiration", b"0").isdigit():
        raise Refused(400, "BadExpirationDate")
    if fields.get(b"apns-priority", b"10") not in _PRIORITIES:
        raise Refused(400, "BadPriority")
    if len(request.body) > _LARGEST_BYTES:
        raise Refused(413, "PayloadTooLarge")
    _object(request)


def _object(request: Request) -> dict[str, Any]:
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        asked = {}
    if not asked:
        raise Refused(400, "PayloadEmpty")
    return asked


def _reply(status: int, *fields: tuple[bytes, bytes], body: dict[str, Any] | None = None) -> Reply:
    headers = ((b":status", b"%d" % status), *fields)
    return Reply(headers, b"" if body is None else msgspec.json.encode(body))
