"""The steps of an explanation: each says one thing, from the facts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.broadcasts.schedule import canonical_zone
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.eligibility import SkipReason, preferences, respects, skip_reasons
from pushkeeper.core.explain.facts import EligibilityDevice, NoRoute, StepName, TraceStep
from pushkeeper.core.identity import cio_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.explain.facts import (
        Broadcast,
        Device,
        DeviceEvidence,
        Evidence,
        HistoryEvent,
        Person,
        Push,
        QueuedPush,
    )
    from pushkeeper.core.model import PersonId

_MADE_IT = {
    "refused",
    "refused_as_stale",
    "accepted",
    "refreshed",
    "registered",
    "imported",
    "moved",
    "undone",
}
_SHOWN_LINES = 10
_FOR_PLATFORM = frozenset({SkipReason.OTHER_PLATFORM, SkipReason.NO_CONTENT})
PREFERENCES = {
    SkipReason.UNSUBSCRIBED: "the person is unsubscribed",
    SkipReason.CHANNEL_OFF: "the person has disabled pushes",
    SkipReason.NO_PERMISSION: "notifications are disabled on the device",
    SkipReason.SAME_PHONE: "the same physical device has a newer token",
}


def of_person(facts: Evidence) -> tuple[TraceStep, ...]:
    """The checks that apply to all of the person's devices."""
    person = facts.person
    if person is None:
        return (TraceStep(step=StepName.KNOWN, so=False, said="no person with this identifier"),)
    known_by = ", ".join(f"{kind} {value}" for kind, value in person.known_by.items())
    known = TraceStep(step=StepName.KNOWN, so=True, said=f"Person found: {known_by}", at=person.created_at)
    return (known, *_of_broadcast(facts))


def _of_broadcast(facts: Evidence) -> Iterator[TraceStep]:
    message = facts.message
    broadcast = None if message is None else message.broadcast
    if broadcast is None:
        return
    about = f"broadcast {broadcast.number}"
    if broadcast.cancelled_at is not None:
        yield TraceStep(step=StepName.PLAN, so=None, said=f"{about} was cancelled", at=broadcast.cancelled_at)
    elif broadcast.paused_at is not None:
        yield TraceStep(step=StepName.PLAN, so=False, said=f"{about} is paused", at=broadcast.paused_at)
    elif broadcast.started_at is None:
        yield TraceStep(
            step=StepName.PLAN, so=False, said=f"{about} is {broadcast.state}", at=broadcast.due_at
        )
    else:
        yield TraceStep(step=StepName.PLAN, so=True, said=f"{about} started", at=broadcast.started_at)


def of_device(facts: Evidence, one: DeviceEvidence) -> Iterator[TraceStep]:
    """The checks of one device, in order."""
    yield _known(one)
    if facts.message is not None and facts.message.broadcast is not None:
        yield _audience(facts.message.broadcast, one)
    yield from _owners(facts, one)
    if one.device is not None:
        yield _status(one, one.device)
        yield from _preferences(facts, one.device)
        if facts.message is not None and facts.message.content is not None:
            yield _content(facts, one.device)
        yield _route(one)
    if facts.pause is not None and (one.push is None or one.waiting is not None):
        said = with_reason("all sending of the workspace is paused", facts.pause.reason)
        yield TraceStep(step=StepName.ROUTE, so=False, said=said, at=facts.pause.paused_at)
    if facts.message is not None:
        if one.device is not None and facts.message.broadcast is not None:
            yield from _zone(facts.message.broadcast, one)
        yield _plan(facts, one)
        yield from _attempts(one)
        yield from _reports(one)


def _known(one: DeviceEvidence) -> TraceStep:
    device = one.device
    if device is None:
        gone = next((line for line in one.history if line.event == "deleted"), None)
        return TraceStep(
            step=StepName.KNOWN,
            so=False,
            said="the device was deleted" if gone else "no device with this token",
            at=gone.at if gone else None,
        )
    at = device.registered_at
    said = f"Device found: {device.platform.value}, last used {device.last_used:%Y-%m-%d}"
    return TraceStep(step=StepName.KNOWN, so=True, said=said, at=at)


def _audience(broadcast: Broadcast, one: DeviceEvidence) -> TraceStep:
    planned = one.push is not None or one.waiting is not None or one.held is not None
    if planned:
        return TraceStep(step=StepName.AUDIENCE, so=True, said="the broadcast includes this device")
    if broadcast.named:
        return TraceStep(
            step=StepName.AUDIENCE, so=False, said="the broadcast's list does not include this device"
        )
    if one.clause is not None:
        said = f"does not match the audience now: {one.clause}"
        return TraceStep(step=StepName.AUDIENCE, so=False, said=said, facts={"clause": one.clause})
    return TraceStep(step=StepName.AUDIENCE, so=True, said="matches the audience now")


def _owners(facts: Evidence, one: DeviceEvidence) -> Iterator[TraceStep]:
    for line in reversed(one.history):
        if line.event in {"registered", "imported", "moved", "deleted", "merged"}:
            yield TraceStep(
                step=StepName.OWNER,
                so=None,
                said=f"{line.event} {_between(line)}",
                at=line.at,
                facts={"from": _shown(line.from_person), "to": _shown(line.to_person)},
            )
    person, device = facts.person, one.device
    if person is None or device is None:
        return
    theirs = device.person_id == person.person_id
    yield TraceStep(
        step=StepName.OWNER,
        so=theirs,
        said="Registered to this person" if theirs else "Now registered to another person",
    )


def _between(line: HistoryEvent) -> str:
    before, after = _shown(line.from_person), _shown(line.to_person)
    if line.event in {"registered", "imported"}:
        return f"for {after}"
    return f"by {before}" if line.event == "deleted" else f"from {before} to {after}"


def _shown(person: PersonId | None) -> str | None:
    return None if person is None else cio_id(person)


def _status(one: DeviceEvidence, device: Device) -> TraceStep:
    made = [line for line in one.history if line.event in _MADE_IT][:_SHOWN_LINES]
    since = next((line.at for line in made if line.to_status == device.status.value), None)
    said = f"Last status: {device.status.value or 'unused'}"
    if device.status in {LastStatus.BOUNCED, LastStatus.SUPPRESSED} and device.failure_reason:
        said += f" ({device.failure_reason})"
    return TraceStep(
        step=StepName.STATUS,
        so=device.status is not LastStatus.SUPPRESSED,
        said=said,
        at=since,
        facts={"strikes": device.strikes, "made_by": [_told(line) for line in made]},
    )


def _told(line: HistoryEvent) -> dict[str, object]:
    answer = " ".join(
        str(part) for part in (line.provider, line.provider_status, line.provider_reason) if part
    )
    return {
        "at": line.at,
        "event": line.event,
        "from": line.from_status,
        "to": line.to_status,
        "message": line.message,
        "answer": answer or None,
        "undone": line.undone,
    }


def _preferences(facts: Evidence, device: Device) -> Iterator[TraceStep]:
    for reason in preferences(device_for(facts.person, device)):
        respected = respects(facts.message, reason)
        said = PREFERENCES[reason]
        yield TraceStep(
            step=StepName.PREFERENCE,
            so=not respected,
            said=said if respected else f"{said}; ignored for this message",
        )


def device_for(person: Person | None, device: Device) -> EligibilityDevice:
    """The device with the preferences of its person."""
    return EligibilityDevice(
        is_theirs=person is None or device.person_id == person.person_id,
        status=device.status,
        platform=device.platform,
        unsubscribed=person is not None and person.unsubscribed,
        channel_off=person is not None and person.channel_off,
        no_permission=device.no_permission,
        same_phone=device.same_phone,
    )


def _content(facts: Evidence, device: Device) -> TraceStep:
    against = _FOR_PLATFORM.intersection(skip_reasons(device_for(facts.person, device), facts.message))
    said = "no content for this platform" if against else "Message has content for this platform"
    return TraceStep(step=StepName.CONTENT, so=not against, said=said)


def _route(one: DeviceEvidence) -> TraceStep:
    route = one.route
    if isinstance(route, NoRoute):
        return TraceStep(step=StepName.ROUTE, so=False, said=route.reason)
    if route.pause_reason is not None:
        said = f"{route.name} is paused: {route.pause_reason}"
        return TraceStep(step=StepName.ROUTE, so=False, said=said, at=route.paused_at)
    proved = "is healthy" if route.accepted_at is not None else "is not verified yet"
    return TraceStep(step=StepName.ROUTE, so=True, said=f"Route {route.name} {proved}", at=route.accepted_at)


def with_reason(said: str, reason: str) -> str:
    """A fact and the reason that somebody gave for it, if any."""
    return f"{said}: {reason}" if reason else said


def _zone(broadcast: Broadcast, one: DeviceEvidence) -> Iterator[TraceStep]:
    if broadcast.zone is None:
        return
    known = canonical_zone(one.zone)
    if known is not None:
        said = f"Time zone: {known}"
    elif one.zone is None:
        said = f"No time zone; using {broadcast.zone}"
    else:
        said = f"Unknown time zone {one.zone!r}; using {broadcast.zone}"
    facts = {"zone": known or broadcast.zone, "said": one.zone}
    yield TraceStep(step=StepName.PLAN, so=None, said=said, facts=facts)


def _plan(facts: Evidence, one: DeviceEvidence) -> TraceStep:
    if one.waiting is not None:
        return _in_queue(facts, one.waiting)
    if one.push is not None:
        said = "Processed for this device"
        return TraceStep(step=StepName.PLAN, so=None, said=said, at=one.push.settled_at)
    if one.held is not None:
        return TraceStep(step=StepName.PLAN, so=None, said=f"Rejection on hold: {one.held}")
    return TraceStep(step=StepName.PLAN, so=False, said="not planned for this device")


def _in_queue(facts: Evidence, waiting: QueuedPush) -> TraceStep:
    if waiting.parked:
        return TraceStep(
            step=StepName.PLAN, so=False, said="on hold until it is started or resumed", at=waiting.due_at
        )
    if waiting.claimed:
        return TraceStep(step=StepName.PLAN, so=None, said="Being sent", at=waiting.due_at)
    when = "due since" if waiting.due_at <= facts.now else "due at"
    return TraceStep(step=StepName.PLAN, so=None, said=f"Queued, {when} this time", at=waiting.due_at)


def _attempts(one: DeviceEvidence) -> Iterator[TraceStep]:
    push = one.push
    if push is None:
        return
    facts = {
        "ending": push.ending,
        "code": push.reason,
        "provider": push.provider,
        "status": push.provider_status,
        "reason": push.provider_reason,
        "id": push.provider_id,
        "detail": push.detail,
        "attempts": push.attempts,
    }
    yield TraceStep(
        step=StepName.ATTEMPTS,
        so=push.ending == "accepted",
        said=ended(push),
        at=push.settled_at,
        facts=facts,
    )


def ended(push: Push) -> str:
    """The outcome of a push as a phrase."""
    answer = " ".join(
        str(part) for part in (push.provider, push.provider_status, push.provider_reason) if part
    )
    match push.ending:
        case "accepted":
            return f"accepted: {answer}"
        case "skipped":
            return f"skipped: {push.reason}"
        case "bounced":
            return f"bounced: {answer}"
        case "expired":
            return (
                "expired before it could be sent"
                if push.provider is None
                else f"expired while retrying: {answer}"
            )
        case "unknown":
            return "sent, but the provider's response was lost"
    return " ".join(filter(None, [f"failed: {push.reason}", answer, push.detail]))


def _reports(one: DeviceEvidence) -> Iterator[TraceStep]:
    if one.push is None or one.push.ending != "accepted":
        return
    for metric, at in sorted(one.reports.items(), key=lambda report: report[1]):
        yield TraceStep(step=StepName.REPORTS, so=True, said=f"App reported: {metric}", at=at)
    if not one.reports:
        yield TraceStep(step=StepName.REPORTS, so=None, said="No app events received")
