"""The last status of a device: the table of the design, row by row, and what late or old answers may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery import device_status
from pushkeeper.core.delivery.device_status import DeviceState, LastStatus, Suppression

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

THIS = 7
UNUSED = DeviceState(status=LastStatus.UNUSED, strikes=0, generation=THIS)
SENT = DeviceState(status=LastStatus.SENT, strikes=0, generation=THIS)
BOUNCED = DeviceState(status=LastStatus.BOUNCED, strikes=1, generation=THIS)
SUPPRESSED = DeviceState(status=LastStatus.SUPPRESSED, strikes=2, generation=THIS)

# The event, the standing before, the status and the strikes after.
TABLE = [
    ("accepted", UNUSED, "sent", 0),
    ("accepted", SENT, "sent", 0),
    ("accepted", BOUNCED, "sent", 0),
    ("accepted", SUPPRESSED, "sent", 0),
    ("refused", UNUSED, "bounced", 1),
    ("refused", SENT, "bounced", 1),
    ("refused", BOUNCED, "suppressed", 2),
    ("refused", SUPPRESSED, "suppressed", 2),
    ("registered", UNUSED, "", 0),
    ("registered", SENT, "sent", 0),
    ("registered", BOUNCED, "", 0),
    ("registered", SUPPRESSED, "", 0),
]

Outcome = tuple[str, int]  # what a push came to, and how many registrations ago it was sent

OUTCOMES: dict[str, Callable[[DeviceState, int], DeviceState | None]] = {
    "accepted": device_status.accepted,
    "refused": device_status.refused,
    "refused_as_stale": device_status.refused_as_stale,
}
outcomes = st.tuples(st.sampled_from(sorted(OUTCOMES)), st.integers(0, 3))
events = st.lists(outcomes | st.just("registered"), max_size=20)


def happen(event: str, standing: DeviceState) -> DeviceState:
    if event == "registered":
        return device_status.registered(standing)
    return there(OUTCOMES[event](standing, standing.generation))


def there(standing: DeviceState | None) -> DeviceState:
    """The documented lifecycle deletes no device."""
    assert standing is not None
    return standing


def after(happened: Sequence[Outcome | str]) -> DeviceState:
    standing = DeviceState()
    for event in happened:
        if isinstance(event, str):
            standing = device_status.registered(standing)
        else:
            name, ago = event
            standing = there(OUTCOMES[name](standing, standing.generation - ago))
    return standing


@pytest.mark.parametrize(("event", "before", "status_after", "strikes_after"), TABLE)
def test_the_table_row_by_row(event: str, before: DeviceState, status_after: str, strikes_after: int) -> None:
    found = happen(event, before)
    assert (found.status.value, found.strikes) == (status_after, strikes_after)


def test_a_new_device_is_unused_and_of_the_first_generation() -> None:
    assert DeviceState() == DeviceState(
        status=LastStatus.UNUSED, strikes=0, generation=1, stale_generation=None
    )


@pytest.mark.parametrize("before", [UNUSED, SENT, BOUNCED, SUPPRESSED])
def test_a_registration_raises_the_generation_by_one(before: DeviceState) -> None:
    assert device_status.registered(before).generation == THIS + 1


@pytest.mark.parametrize("outcome", OUTCOMES.values())
@pytest.mark.parametrize("before", [UNUSED, SENT, BOUNCED, SUPPRESSED, replace(SENT, stale_generation=THIS)])
@pytest.mark.parametrize("other", [THIS - 1, THIS + 1])
def test_an_answer_to_another_generation_changes_nothing(
    outcome: Callable[[DeviceState, int], DeviceState | None], before: DeviceState, other: int
) -> None:
    assert outcome(before, other) == before


@pytest.mark.parametrize("before", [UNUSED, SENT, BOUNCED, SUPPRESSED])
def test_a_refusal_older_than_the_registration_is_only_noted(before: DeviceState) -> None:
    assert device_status.refused_as_stale(before, THIS) == replace(before, stale_generation=THIS)


@pytest.mark.parametrize("before", [UNUSED, SENT, BOUNCED, SUPPRESSED])
def test_a_second_one_for_the_same_generation_is_a_strike(before: DeviceState) -> None:
    noted = there(device_status.refused_as_stale(before, THIS))
    assert device_status.refused_as_stale(noted, THIS) == device_status.refused(noted, THIS)


@pytest.mark.parametrize("clears", [lambda s: device_status.accepted(s, THIS), device_status.registered])
def test_an_acceptance_and_a_registration_clear_what_was_noted(
    clears: Callable[[DeviceState], DeviceState],
) -> None:
    noted = there(device_status.refused_as_stale(SENT, THIS))
    cleared = clears(noted)
    assert cleared.stale_generation is None
    assert there(device_status.refused_as_stale(cleared, cleared.generation)).status == LastStatus.SENT


def test_two_strikes_with_an_acceptance_between_them_do_not_suppress() -> None:
    assert after([("refused", 0), ("accepted", 0), ("refused", 0)]).status == LastStatus.BOUNCED


@given(events)
def test_bounced_is_one_strike_suppressed_two_and_all_else_none(happened: list[Outcome | str]) -> None:
    standing = after(happened)
    assert standing.strikes == {"": 0, "sent": 0, "bounced": 1, "suppressed": 2}[standing.status.value]


@given(events)
def test_the_generation_counts_the_registrations(happened: list[Outcome | str]) -> None:
    assert after(happened).generation == 1 + happened.count("registered")


@given(events)
def test_nobody_is_suppressed_without_two_refusals_since_the_last_registration(
    happened: list[Outcome | str],
) -> None:
    since = (
        happened[len(happened) - happened[::-1].index("registered") :]
        if "registered" in happened
        else happened
    )
    refusals = [event for event in since if event in {("refused", 0), ("refused_as_stale", 0)}]
    if len(refusals) < device_status.STRIKES_TO_SUPPRESS:
        assert after(happened).status != LastStatus.SUPPRESSED


@given(events)
def test_what_is_noted_is_of_the_present_generation(happened: list[Outcome | str]) -> None:
    standing = after(happened)
    assert standing.stale_generation in {None, standing.generation}


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("needed", [1, 2, 3, 5])
def test_as_many_strikes_suppress_as_the_workspace_says(needed: int) -> None:
    options = Suppression(suppress_after=needed)
    standing, found = UNUSED, []
    for _ in range(needed + 1):
        standing = there(device_status.refused(standing, THIS, options=options))
        found.append(standing.status)
    assert found == [LastStatus.BOUNCED] * (needed - 1) + [LastStatus.SUPPRESSED] * 2


def test_a_strike_that_comes_too_soon_does_not_count() -> None:
    options = Suppression(min_strike_gap_s=3600)
    first = there(device_status.refused(UNUSED, THIS, at=NOON, options=options))
    soon = there(device_status.refused(first, THIS, at=NOON + timedelta(seconds=3599), options=options))
    late = there(device_status.refused(first, THIS, at=NOON + timedelta(seconds=3600), options=options))
    assert (first.status, soon.status, late.status) == ("bounced", "bounced", "suppressed")
    assert soon.struck_at == NOON, "the gap is counted from the strike that counted"


def test_what_is_suppressed_for_one_refusal_stays_so_at_the_next() -> None:
    options = Suppression(suppress_after=3, suppress_on_definitive=True)
    first = there(device_status.refused(SENT, THIS, at=NOON, options=options))
    second = there(device_status.refused(first, THIS, at=NOON, definite=False, options=options))
    assert (second.status, second.strikes) == (LastStatus.SUPPRESSED, 2)


def test_two_strikes_at_the_same_moment_count_unless_a_workspace_asks_for_a_gap() -> None:
    first = there(device_status.refused(SENT, THIS, at=NOON))
    assert there(device_status.refused(first, THIS, at=NOON)).status == LastStatus.SUPPRESSED


def test_strikes_that_were_counted_stay_where_a_workspace_asks_for_fewer() -> None:
    struck = replace(BOUNCED, strikes=3)
    found = there(device_status.refused(struck, THIS, options=Suppression(suppress_after=2)))
    assert (found.status, found.strikes) == (LastStatus.SUPPRESSED, 3)


@pytest.mark.parametrize("known", [None, NOON])
def test_a_strike_at_an_unknown_time_is_long_after_the_last_one(known: datetime | None) -> None:
    options = Suppression(min_strike_gap_s=3600)
    first = there(device_status.refused(UNUSED, THIS, at=known, options=options))
    second = there(device_status.refused(first, THIS, at=None if known else NOON, options=options))
    assert second.status == LastStatus.SUPPRESSED


@pytest.mark.parametrize("clears", [lambda s: device_status.accepted(s, THIS), device_status.registered])
def test_no_gap_is_kept_to_a_strike_that_counts_no_more(
    clears: Callable[[DeviceState], DeviceState],
) -> None:
    options = Suppression(min_strike_gap_s=3600)
    cleared = clears(there(device_status.refused(SENT, THIS, at=NOON, options=options)))
    again = there(device_status.refused(cleared, cleared.generation, at=NOON, options=options))
    assert (again.status, again.strikes, again.struck_at) == (LastStatus.BOUNCED, 1, NOON)


def test_a_strike_for_a_refusal_older_than_the_registration_is_as_the_workspace_chose() -> None:
    def twice(options: Suppression, standing: DeviceState = SENT) -> DeviceState:
        noted = there(device_status.refused_as_stale(standing, THIS, at=NOON, options=options))
        return there(device_status.refused_as_stale(noted, THIS, at=NOON, options=options))

    assert twice(Suppression(suppress_after=1)).status == LastStatus.SUPPRESSED
    assert twice(Suppression()).struck_at == NOON
    soon = replace(BOUNCED, struck_at=NOON - timedelta(seconds=1))
    assert twice(Suppression(min_strike_gap_s=2), soon).strikes == 1
    for options in (Suppression(suppress_on_definitive=True), Suppression(delete_unregistered=True)):
        assert twice(options).status == LastStatus.BOUNCED, "it does not name the device as gone"


@pytest.mark.parametrize(("definite", "after_one"), [(True, "suppressed"), (False, "bounced")])
def test_one_refusal_that_names_the_device_as_gone_may_suppress(definite: bool, after_one: str) -> None:  # noqa: FBT001
    options = Suppression(suppress_on_definitive=True)
    assert there(device_status.refused(SENT, THIS, definite=definite, options=options)).status == after_one


def test_an_unregistered_device_may_be_deleted_and_an_ambiguous_refusal_never_does() -> None:
    options = Suppression(delete_unregistered=True)
    assert device_status.refused(SENT, THIS, definite=True, options=options) is None
    assert there(device_status.refused(SENT, THIS, definite=False, options=options)).status == "bounced"
    assert device_status.refused(SENT, THIS - 1, definite=True, options=options) == SENT


def test_the_options_begin_as_the_documented_lifecycle() -> None:
    assert Suppression() == device_status.DOCUMENTED == Suppression(suppress_after=2, min_strike_gap_s=0)
