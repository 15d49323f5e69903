"""Which indexes could serve a filter."""

import pytest

from pushkeeper.core.filters.from_text import parse
from pushkeeper.store.audiences.filter_index import candidates


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "person.plan = pro",
            [
                "create index concurrently audience_people_plan on people (workspace_id, (attributes ->> 'plan'))"
            ],
        ),
        (
            "app_version < 4.2 and platform = ios",
            [
                (
                    "create index concurrently audience_devices_app_version_version on devices "
                    "(workspace_id, attribute_version(attributes, 'app_version'))"
                )
            ],
        ),
        (
            "person.plan in (pro, 3)",
            [
                "create index concurrently audience_people_plan on people (workspace_id, (attributes -> 'plan'))"
            ],
        ),
        (
            "last_used within 1d",
            ["create index concurrently audience_devices_last_used on devices (workspace_id, last_used)"],
        ),
        (
            "event bought",
            ["create index audience_events_event_bought on events (workspace_id, name, happened_at)"],
        ),
        (
            "person.o'clock >= 3",
            [
                (
                    "create index concurrently audience_people_o_clock_number on people "
                    "(workspace_id, json_number(attributes -> 'o''clock'))"
                )
            ],
        ),
        # Every push may change a status; what may be false whatever a condition says, no index of it finds.
        ("last_status = sent", []),
        ("person.plan = pro or person.plan = plus", []),
        ("not person.plan = pro", []),
        ("person.plan exists", []),
    ],
)
def test_a_condition_that_must_be_true_has_an_index_that_could_find_it(text, made):
    assert [index.sql for index in candidates(parse(text))] == made
