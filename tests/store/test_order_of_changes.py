"""However changes arrive, a person is what they come to in the order of their own times; of equal ones the later arrival counts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.services.people import People, PersonUpdate
from pushkeeper.store.people import people
from pushkeeper.store.people.people import AttributeChange, PersonReference
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId

PREFERENCES = "cio_subscription_preferences"
ENTRIES = (f"{PREFERENCES}.topics.topic_1", f"{PREFERENCES}.topics.a.b", f"{PREFERENCES}.channels.push")

wholes = st.sampled_from(
    [
        {"topics": {"topic_1": True}},
        {"topics": {"topic_1": False, "a.b": True}, "channels": {}},
        {"topics": 5},
        '{"topics": {}}',
    ]
)


@st.composite
def changes(draw: st.DrawFn, times: st.SearchStrategy[float]) -> AttributeChange:
    """A change of some of a few attributes and preferences."""
    said: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "plan": st.one_of(st.none(), st.integers(0, 3)),
                "city": st.one_of(st.none(), st.sampled_from(["Ulm", {"in": None}])),
                PREFERENCES: st.one_of(st.none(), wholes),
            },
        )
    )
    return AttributeChange(
        attributes={name: value for name, value in said.items() if value is not None},
        removed=tuple(name for name, value in said.items() if value is None),
        preferences=draw(
            st.dictionaries(st.sampled_from(ENTRIES), st.sampled_from([True, False, None]), max_size=2)
        ),
        unsubscribed=draw(st.sampled_from([None, True, False])),
        changed_at=draw(times),
    )


# With all known to the second, and all known more precisely: what is known only to the second counts for all of it.
histories = st.one_of(
    st.lists(changes(st.integers(1, 4)), min_size=1, max_size=6),
    st.lists(changes(st.sampled_from([1.25, 1.5, 1.75, 2.125])), min_size=1, max_size=6),
)


def folded(history: list[AttributeChange]) -> tuple[dict[str, Any], bool]:
    """What changes come to one after the other."""
    attributes: dict[str, Any] = {}
    unsubscribed = False
    for change in history:
        attributes |= change.attributes
        for name in change.removed:
            attributes.pop(name, None)
        if change.preferences:
            whole = attributes.get(PREFERENCES)
            preferences = whole if isinstance(whole, dict) else {}
            for name, value in change.preferences.items():
                _, group, entry = name.split(".", 2)
                former = preferences.get(group)
                preferences = {
                    **preferences,
                    group: {**(former if isinstance(former, dict) else {}), entry: value},
                }
            attributes[PREFERENCES] = without_nulls(preferences)
        if change.unsubscribed is not None:
            unsubscribed = change.unsubscribed
    return attributes, unsubscribed


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(one) for name, one in value.items() if one is not None}


def telling(tenant: WorkspaceId, person: str, change: AttributeChange) -> PersonUpdate:
    naming = PersonReference(workspace_id=tenant, path=Identifier(IdentifierKind.ID, person))
    return PersonUpdate(workspace_id=tenant, naming=naming, change=change)


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories)
async def test_a_person_is_what_changes_come_to_by_time_and_arrival(
    registry: People, tenant: WorkspaceId, history: list[AttributeChange]
) -> None:
    expected = folded(sorted(history, key=lambda change: change.changed_at))
    at_once, one_by_one = secrets.token_hex(8), secrets.token_hex(8)
    await registry.do_all([telling(tenant, at_once, change) for change in history])
    for change in history:
        await registry.do(telling(tenant, one_by_one, change))
    for person in (at_once, one_by_one):
        found = await registry.person(tenant, Identifier(IdentifierKind.ID, person))
        assert (found.attributes, found.unsubscribed) == expected


async def test_a_time_without_a_fraction_may_be_any_of_its_second(
    registry: People, tenant: WorkspaceId
) -> None:
    for at, value, expected in ((7.5, 1, 1), (7, 2, 2), (7.25, 3, 3), (7.125, 4, 3), (6, 5, 3)):
        change = AttributeChange(attributes={"plan": value}, changed_at=at)
        await registry.do(telling(tenant, "anna", change))
        found = await registry.person(tenant, Identifier(IdentifierKind.ID, "anna"))
        assert found.attributes == {"plan": expected}


async def test_no_more_times_are_kept_than_there_is_room_for(registry: People, tenant: WorkspaceId) -> None:
    stays = AttributeChange(attributes={"stays": 1}, changed_at=1)
    await registry.do(telling(tenant, "anna", stays))
    for at in range(2, 8):
        removed = tuple(f"{at}-{n}" for n in range(people.MAX_ATTRIBUTES))
        await registry.do(telling(tenant, "anna", AttributeChange(removed=removed, changed_at=at)))
    anna = await registry.person(tenant, Identifier(IdentifierKind.ID, "anna"))
    assert len(anna.changed_at) == people.MAX_TIMES
    assert anna.changed_at["stays"] == 1
    assert sum(at == 7 for at in anna.changed_at.values()) == people.MAX_ATTRIBUTES
    for at, expected in ((6, {"stays": 1}), (7, {"stays": 1, "7-1": 2})):
        late = AttributeChange(attributes={"7-1": 2}, changed_at=at)
        await registry.do(telling(tenant, "anna", late))
        found = await registry.person(tenant, Identifier(IdentifierKind.ID, "anna"))
        assert found.attributes == expected
