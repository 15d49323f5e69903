"""The last status of a device: what may happen to it, and what it then is.

This table and the SQL of `store/sql/devices.sql` are the same rule; a property test holds one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

STRIKES_TO_SUPPRESS = 2


class LastStatus(StrEnum):
    """What the push service said of the last push."""

    UNUSED = ""  # put there by a registration, or by one that revives a bounced or suppressed device
    SENT = "sent"  # put there by an accepted push; a strike takes it out
    BOUNCED = "bounced"  # put there by the first strike; an accepted push or a registration takes it out
    SUPPRESSED = (
        "suppressed"  # put there by the second strike in a row; no more attempts until registered again
    )


class Event(StrEnum):
    """What can change a last status; whatever else happens changes nothing."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a device stands.

    Here the generation counts the registrations; the store numbers them so that a device which was deleted and comes
    back has none of its former numbers. Only whether two are the same is ever asked.

    `stale_generation` is the generation that has already had a refusal older than its registration: a second one is a
    strike (row P3 of the decision table).
    """

    status: LastStatus = LastStatus.UNUSED
    strikes: int = 0
    generation: int = 1
    stale_generation: int | None = None


_AFTER: dict[tuple[LastStatus, Event], LastStatus] = {
    (LastStatus.UNUSED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.SENT, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.BOUNCED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.SUPPRESSED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.UNUSED, Event.REFUSED): LastStatus.BOUNCED,
    (LastStatus.SENT, Event.REFUSED): LastStatus.BOUNCED,
    (LastStatus.BOUNCED, Event.REFUSED): LastStatus.SUPPRESSED,
    (LastStatus.SUPPRESSED, Event.REFUSED): LastStatus.SUPPRESSED,
    (LastStatus.UNUSED, Event.IDENTIFIED): LastStatus.UNUSED,
    (LastStatus.SENT, Event.IDENTIFIED): LastStatus.SENT,
    (LastStatus.BOUNCED, Event.IDENTIFIED): LastStatus.UNUSED,
    (LastStatus.SUPPRESSED, Event.IDENTIFIED): LastStatus.UNUSED,
}


def registered(standing: Standing) -> Standing:
    """The standing after the same token was registered or identified again: a new generation, without strikes."""
    return Standing(
        status=_AFTER[standing.status, Event.IDENTIFIED],
        generation=standing.generation + 1,
    )


def accepted(standing: Standing, generation: int) -> Standing:
    """The standing after the provider took a push that was sent to this generation."""
    if generation != standing.generation:
        return standing
    return replace(standing, status=_AFTER[standing.status, Event.ACCEPTED], strikes=0, stale_generation=None)


def refused(standing: Standing, generation: int) -> Standing:
    """The standing after a strike: a push sent to this generation was finally refused because of the device."""
    if generation != standing.generation:
        return standing
    return replace(
        standing,
        status=_AFTER[standing.status, Event.REFUSED],
        strikes=min(standing.strikes + 1, STRIKES_TO_SUPPRESS),
    )


def refused_as_stale(standing: Standing, generation: int) -> Standing:
    """The standing after a refusal that is older than the registration: noted once, a strike the second time."""
    if generation != standing.generation:
        return standing
    if standing.stale_generation == generation:
        return refused(standing, generation)
    return replace(standing, stale_generation=generation)
