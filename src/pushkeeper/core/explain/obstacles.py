"""The conclusion of an explanation: whether a device got the push, what prevented it, and what would fix that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.delivery.eligibility import SkipReason, skip_reasons
from pushkeeper.core.explain.facts import NoRoute
from pushkeeper.core.explain.trace import PREFERENCES, device_for, ended, with_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.explain.facts import Device, DeviceEvidence, Evidence, Message, Push


class Obstacle(NamedTuple):
    """A reason why a push is not delivered, and how to remove it."""

    said: str
    change: str


REMEDIES: dict[SkipReason, str] = {
    SkipReason.CANCELLED: "send the message again",
    SkipReason.DELETED: "log in on the device so that it is registered again",
    SkipReason.MOVED: "log in as this person on the device, which now belongs to another person",
    SkipReason.SUPPRESSED: "log in on the device again with the same token, or revert the bounces if they were caused by a configuration error",
    SkipReason.UNSUBSCRIBED: "subscribe the person, or send with send_to_unsubscribed",
    SkipReason.CHANNEL_OFF: "ask the person to enable pushes (channels.push), or send with send_to_unsubscribed",
    SkipReason.NO_PERMISSION: "enable notifications for the app on the device, or send without skip_without_permission",
    SkipReason.SAME_PHONE: "nothing to fix: the same physical device has a newer token, which receives the push",
    SkipReason.OTHER_PLATFORM: "include this platform in the message",
    SkipReason.NO_CONTENT: "add content for this platform: a title, a message or a custom_payload",
    SkipReason.NO_KEYS: "register the browser again, with the keys of its subscription",
    SkipReason.NO_ROUTE: "add credentials for this platform, app and environment",
}


def verdict(facts: Evidence, one: DeviceEvidence) -> tuple[bool | None, str, list[Obstacle]]:
    """Whether the push was delivered (None: undecided), a sentence, and all obstacles."""
    push = one.push
    if push is not None and push.ending == "accepted":
        return True, f"accepted by the push service: {push.provider} {push.provider_status}", []
    if one.held is not None:
        return None, "the rejection is on hold until an operator applies or discards it", []
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
    return True, "a push would be delivered", []


def _of_waiting(facts: Evidence, one: DeviceEvidence) -> tuple[bool | None, str, list[Obstacle]]:
    waiting = one.waiting
    obstacles = list(_obstacles(facts, one))
    if waiting is not None and waiting.parked:
        return (
            False,
            "the broadcast is on hold",
            [Obstacle("the broadcast is on hold", "start or resume the broadcast"), *obstacles],
        )
    if obstacles:
        return False, obstacles[0].said, obstacles
    return None, "queued", []


_OF_ENDINGS = {
    "bounced": "reinstall the app and log in, so that it registers a valid token",
    "expired": "resend, or increase the TTL",
    "unknown": "resend",
}
_OF_SKIPS = {
    **{reason.value: change for reason, change in REMEDIES.items()},
    "dry_run": "send without dry_run",
    "no_device": "log in on a device so that it is registered",
}


def _of_push(push: Push) -> Obstacle:
    changes = _OF_SKIPS if push.ending == "skipped" else _OF_ENDINGS
    kind = push.reason if push.ending == "skipped" else push.ending
    return Obstacle(ended(push), changes.get(kind) or _fix_for(push))


def _fix_for(push: Push) -> str:
    match push.reason:
        case "template":
            return f"set the missing value: {push.detail}"
        case "too_large":
            return "shorten the message: the payload exceeds the 4 KB limit"
    return f"fix the message, which the push service rejected: {push.provider_reason or push.detail or push.reason}"


def _others(facts: Evidence, one: DeviceEvidence, push: Push) -> list[Obstacle]:
    """Obstacles that exist now, besides the one that stopped the push."""
    known = {_OF_SKIPS.get(push.reason)}
    if push.ending == "bounced":
        known.add(REMEDIES[SkipReason.SUPPRESSED])
    return [obstacle for obstacle in _obstacles(facts, one) if obstacle.change not in known]


def _obstacles(facts: Evidence, one: DeviceEvidence) -> Iterator[Obstacle]:
    """All obstacles that exist now, in order."""
    device, message = one.device, facts.message
    if device is None:
        yield _skip(SkipReason.DELETED, "the device was deleted")
        return
    if one.clause is not None and one.push is None and one.waiting is None:
        yield Obstacle(
            f"not in the audience: {one.clause}",
            f"make the device match {one.clause}, or change the audience",
        )
    for reason in skip_reasons(device_for(facts.person, device), message):
        yield _skip(reason, _said(reason, device))
    yield from _in_the_message(message)
    if isinstance(one.route, NoRoute):
        yield _skip(SkipReason.NO_ROUTE, one.route.reason)
    if device.no_keys:
        yield _skip(SkipReason.NO_KEYS, "registered without its encryption keys")
    if not isinstance(one.route, NoRoute) and one.route.pause_reason is not None:
        said = f"{one.route.name} is paused: {one.route.pause_reason}"
        yield Obstacle(said, f"fix the cause, then resume {one.route.name}")
    if facts.pause is not None:
        said = with_reason("all sending of the workspace is paused", facts.pause.reason)
        yield Obstacle(said, "resume sending")


def _said(reason: SkipReason, device: Device) -> str:
    match reason:
        case SkipReason.MOVED:
            return "now registered to another person"
        case SkipReason.SUPPRESSED:
            return f"suppressed{f' ({device.failure_reason})' if device.failure_reason else ''}"
    return PREFERENCES.get(reason, "the message has no content for this platform")


def _in_the_message(message: Message | None) -> Iterator[Obstacle]:
    if message is None:
        return
    broadcast = message.broadcast
    if broadcast is not None and broadcast.cancelled_at is not None:
        yield _skip(SkipReason.CANCELLED, "the broadcast was cancelled")
    elif message.stop_reason is not None:
        yield Obstacle(f"the message was stopped: {message.stop_reason}", "fix the message and resend")


def _not_planned(message: Message) -> Obstacle:
    broadcast = message.broadcast
    if broadcast is None:
        return Obstacle("the message was not sent to this device", "send to all devices of the person")
    if broadcast.paused_at is not None:
        return Obstacle("the broadcast is paused", "resume the broadcast")
    if broadcast.started_at is None:
        return Obstacle(
            f"the broadcast is {broadcast.state}", "start the broadcast, or wait for its scheduled time"
        )
    if broadcast.planned_at is None and broadcast.state != "failed":
        return Obstacle("the broadcast has not processed this device yet", "wait until it does")
    if broadcast.named:
        return Obstacle("the broadcast's list does not include this device", "add it to the list")
    return Obstacle(
        "not in the audience when the broadcast was planned (it is now)", "send the broadcast again"
    )


def _skip(reason: SkipReason, said: str) -> Obstacle:
    return Obstacle(said, REMEDIES[reason])
