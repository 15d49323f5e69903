"""The last status of a device: what may happen to it, and what it then is.

This table and the SQL of `store/devices/*.sql` are the same rule; a property test holds one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

STRIKES_TO_SUPPRESS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """What a workspace may choose of the table; the defaults are the documented lifecycle.

    Attributes:
        suppress_after: strikes in a row that suppress.
        min_strike_gap_s: a strike that comes sooner after the one before does not count.
        suppress_on_definitive: the first refusal that names the device as gone suppresses it.
        delete_unregistered: such a device is deleted instead.
    """

    suppress_after: int = STRIKES_TO_SUPPRESS
    min_strike_gap_s: int = 0
    suppress_on_definitive: bool = False
    delete_unregistered: bool = False


DOCUMENTED = Suppression()


class LastStatus(StrEnum):
    """The result of the last push."""

    UNUSED = ""  # put there by a registration, or by one that revives a bounced or suppressed device
    SENT = "sent"  # put there by an accepted push; a strike takes it out
    BOUNCED = "bounced"  # put there by the first strike; an accepted push or a registration takes it out
    SUPPRESSED = (
        "suppressed"  # put there by the second strike in a row; no more attempts until registered again
    )


class Event(StrEnum):
    """What can change a last status; whatever else happens changes nothing."""

    ACCEPTED = "accepted"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of a device.

    Here the generation counts the registrations; the store numbers them so that a device which was deleted and
    returns has none of its previous numbers. Generations are only compared for equality.

    `stale_generation` is the generation that already had a rejection older than its registration: a second one is a
    bounce (`apns_unregistered_stale`). `struck_at` is when the last bounce was counted.
    """

    status: LastStatus = LastStatus.UNUSED
    strikes: int = 0
    generation: int = 1
    stale_generation: int | None = None
    struck_at: datetime | None = field(default=None, compare=False)


# Bounces are not in it: how many suppress is a workspace option (`refused`).
_AFTER: dict[tuple[LastStatus, Event], LastStatus] = {
    (LastStatus.UNUSED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.SENT, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.BOUNCED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.SUPPRESSED, Event.ACCEPTED): LastStatus.SENT,
    (LastStatus.UNUSED, Event.IDENTIFIED): LastStatus.UNUSED,
    (LastStatus.SENT, Event.IDENTIFIED): LastStatus.SENT,
    (LastStatus.BOUNCED, Event.IDENTIFIED): LastStatus.UNUSED,
    (LastStatus.SUPPRESSED, Event.IDENTIFIED): LastStatus.UNUSED,
}


def registered(state: DeviceState) -> DeviceState:
    """The state after the same token was registered or identified again: a new generation, without bounces."""
    return DeviceState(
        status=_AFTER[state.status, Event.IDENTIFIED],
        generation=state.generation + 1,
    )


def accepted(state: DeviceState, generation: int) -> DeviceState:
    """The standing after the provider took a push that was sent to this generation."""
    if generation != state.generation:
        return state
    status = _AFTER[state.status, Event.ACCEPTED]
    return replace(state, status=status, strikes=0, stale_generation=None, struck_at=None)


def refused(
    state: DeviceState,
    generation: int,
    *,
    definite: bool = True,
    at: datetime | None = None,
    options: Suppression = DOCUMENTED,
) -> DeviceState | None:
    """The state after a bounce: a push sent to this generation was finally rejected because of the device.

    `definite` means that the provider reports the device as gone, `at` is since when (None: long after the last
    bounce). None when the device is to be deleted.
    """
    if generation != state.generation:
        return state
    if definite and options.delete_unregistered:
        return None
    if state.strikes and _too_soon(state, at, options):
        return state
    strikes = min(state.strikes + 1, options.suppress_after)
    over = (
        strikes == options.suppress_after
        or state.status is LastStatus.SUPPRESSED
        or (definite and options.suppress_on_definitive)
    )
    status = LastStatus.SUPPRESSED if over else LastStatus.BOUNCED
    return replace(state, status=status, strikes=max(strikes, state.strikes), struck_at=at)


def _too_soon(state: DeviceState, at: datetime | None, options: Suppression) -> bool:
    if at is None or state.struck_at is None:
        return False
    return (at - state.struck_at).total_seconds() < options.min_strike_gap_s


def refused_as_stale(
    state: DeviceState,
    generation: int,
    *,
    at: datetime | None = None,
    options: Suppression = DOCUMENTED,
) -> DeviceState | None:
    """The state after a rejection older than the registration: noted the first time, a bounce the second time."""
    if generation != state.generation:
        return state
    if state.stale_generation == generation:
        return refused(state, generation, definite=False, at=at, options=options)
    return replace(state, stale_generation=generation)
