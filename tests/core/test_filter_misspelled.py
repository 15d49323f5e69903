"""A misspelled field is told from an attribute that no device has yet."""

import pytest

from pushkeeper.core.filters.from_text import misspelled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("platfrom = ios", ("platfrom", "platform")),
        ("lst_status != suppressed", ("lst_status", "last_status")),
        ("person.plan = pro and (app_versoin < 4 or x = 1)", ("app_versoin", "app_version")),
        ("any(enviroment = sandbox)", ("enviroment", "environment")),
    ],
)
def test_a_field_close_to_a_known_one_is_found(text, found):
    assert misspelled(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "everybody",
        "platform = ios and last_used within 7d",
        "device.platfrom = ios",
        '"platfrom" = ios',
        "person.platfrom = x",
        "locale = de and theme = dark",
        "segment 7 and event bought > 2",
        "push_enabled = false",
    ],
)
def test_anything_else_is_left_alone(text):
    assert misspelled(text) is None
