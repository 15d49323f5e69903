"""What an explanation comes to: whether a device got the push, what stood in the way, and what would take that away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.delivery.eligibility import SkipReason, skip_reasons
from pushkeeper.core.explain.facts import NoRoute
from pushkeeper.core.explain.trace import PREFERENCES, device_for, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.explain.facts import Device, DeviceEvidence, Evidence, Message, Push


class Obstacle(NamedTuple):
    """What stands in the way, and what would take it away."""

    said: str
    change: str


REMEDIES: dict[SkipReason, str] = {
    SkipReason.CANCELLED: "send it again",
    SkipReason.DELETED: "log in on the phone, so that it is registered again",
    SkipReason.MOVED: "log in as this person on the phone, which is somebody else's now",
    SkipReason.SUPPRESSED: "log in on the phone again with the same token, or undo the strikes if they were not its fault",
    SkipReason.UNSUBSCRIBED: "subscribe the person, or send with send_to_unsubscribed",
    SkipReason.CHANNEL_OFF: "let the person turn pushes on (channels.push), or send with send_to_unsubscribed",
    SkipReason.NO_PERMISSION: "allow notifications for the app on the phone, or send without skip_without_permission",
    SkipReason.SAME_PHONE: "nothing is missing: the same phone has a later token, which is sent to",
    SkipReason.OTHER_PLATFORM: "send it to this platform too",
    SkipReason.NO_CONTENT: "say something to this platform: a title, a message or a custom_payload",
    SkipReason.NO_ROUTE: "add credentials for this platform, app and environment",
}


def verdict(facts: Evidence, one: DeviceEvidence) -> tuple[bool | None, str, list[Obstacle]]:
    """Whether the device got it (None: that is open), in a sentence, and all that stood, or stands, in the way."""
    push = one.push
    if push is not None and push.ending == "accepted":
        return True, f"the push service accepted it: {push.provider} {push.provider_status}", []
    if one.held is not None:
        return None, "its refusal is held: an operator applies or discards it", []
    if one.waiting is not None:
        return _of_waiting(facts, one)
    if push is not None:
        obstacle = _of_push(push)
        return False, obstacle.said, [obstacle, *_others(facts, one, push)]
    obstacles = list(_obstacles(facts, one))
    if facts.message is not None and not obstacles:
        obstacles = [_not_planned(facts.message)]
    if obstacles:
        return False, obstacles[0].said, obstacles
    return True, "a push would reach it", []


def _of_waiting(facts: Evidence, one: DeviceEvidence) -> tuple[bool | None, str, list[Obstacle]]:
    waiting = one.waiting
    obstacles = list(_obstacles(facts, one))
    if waiting is not None and waiting.parked:
        return (
            False,
            "its broadcast waits",
            [Obstacle("its broadcast waits", "let it go on: start or resume it"), *obstacles],
        )
    if obstacles:
        return False, obstacles[0].said, obstacles
    return None, "it is in the queue", []


_OF_ENDINGS = {
    "bounced": "install the app and log in again on the phone, so that it has a token that is good",
    "expired": "send it again, or let it live longer",
    "unknown": "send it again",
}
_OF_SKIPS = {
    **{reason.value: change for reason, change in REMEDIES.items()},
    "dry_run": "send it without dry_run",
    "no_device": "log in on a phone, so that its device is registered",
}


def _of_push(push: Push) -> Obstacle:
    changes = _OF_SKIPS if push.ending == "skipped" else _OF_ENDINGS
    kind = push.reason if push.ending == "skipped" else push.ending
    return Obstacle(ended(push), changes.get(kind) or _mended(push))


def _mended(push: Push) -> str:
    match push.reason:
        case "template":
            return f"give the person what the template asks for: {push.detail}"
        case "too_large":
            return "say less: the push is larger than the push services take"
    return f"mend what the push service says of the message: {push.provider_reason or push.detail or push.reason}"


def _others(facts: Evidence, one: DeviceEvidence, push: Push) -> list[Obstacle]:
    """What else stands in the way now, besides what did then, and what it has led to."""
    known = {_OF_SKIPS.get(push.reason)}
    if push.ending == "bounced":
        known.add(REMEDIES[SkipReason.SUPPRESSED])
    return [obstacle for obstacle in _obstacles(facts, one) if obstacle.change not in known]


def _obstacles(facts: Evidence, one: DeviceEvidence) -> Iterator[Obstacle]:
    """Everything that stands in the way as things are now, the first first."""
    device, message = one.device, facts.message
    if device is None:
        yield _skip(SkipReason.DELETED, "the device is gone")
        return
    if one.clause is not None and one.push is None and one.waiting is None:
        yield Obstacle(
            f"it is not in the audience: {one.clause}",
            f"make it so that {one.clause}, or change the audience",
        )
    for reason in skip_reasons(device_for(facts.person, device), message):
        yield _skip(reason, _said(reason, device))
    yield from _in_the_message(message)
    if isinstance(one.route, NoRoute):
        yield _skip(SkipReason.NO_ROUTE, one.route.reason)
    elif one.route.pause_reason is not None:
        said = f"{one.route.name} is paused: {one.route.pause_reason}"
        yield Obstacle(said, f"mend what paused {one.route.name}, and resume it")


def _said(reason: SkipReason, device: Device) -> str:
    match reason:
        case SkipReason.MOVED:
            return "the device is somebody else's"
        case SkipReason.SUPPRESSED:
            return (
                f"the device is suppressed{f', for {device.failure_reason}' if device.failure_reason else ''}"
            )
    return PREFERENCES.get(reason, "the message says nothing to this platform")


def _in_the_message(message: Message | None) -> Iterator[Obstacle]:
    if message is None:
        return
    broadcast = message.broadcast
    if broadcast is not None and broadcast.cancelled_at is not None:
        yield _skip(SkipReason.CANCELLED, "the broadcast was cancelled")
    elif message.stop_reason is not None:
        yield Obstacle(
            f"the message was stopped: {message.stop_reason}", "mend the message, and send it again"
        )


def _not_planned(message: Message) -> Obstacle:
    broadcast = message.broadcast
    if broadcast is None:
        return Obstacle("the message was not for it", "send it to all devices of the person")
    if broadcast.paused_at is not None:
        return Obstacle("the broadcast is paused", "resume it")
    if broadcast.started_at is None:
        return Obstacle(f"the broadcast is {broadcast.state}", "start it, or wait for its hour")
    if broadcast.planned_at is None and broadcast.state != "failed":
        return Obstacle("the broadcast has not come to it yet", "wait until it is planned")
    if broadcast.named:
        return Obstacle("the broadcast does not name it", "name it")
    return Obstacle(
        "it was not in the audience when the broadcast was planned, as it is now", "send the broadcast again"
    )


def _skip(reason: SkipReason, said: str) -> Obstacle:
    return Obstacle(said, REMEDIES[reason])
