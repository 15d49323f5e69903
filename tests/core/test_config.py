"""Settings: what is not possible refuses to start, and says which."""

import pytest

from pushkeeper import config
from pushkeeper.errors import Misconfigured


def read(**environ):
    return config.load({}, environ={f"PUSHKEEPER_{key.upper()}": value for key, value in environ.items()})


def test_what_is_kept_has_a_number_of_days_or_is_kept_for_ever():
    assert read().keep_pushes_days == 90
    assert read().keep_history_days == 400
    assert read(keep_pushes_days="7").keep_pushes_days == 7
    assert read(keep_pushes_days="none", keep_history_days="None").keep_pushes_days is None


def test_none_is_a_word_in_toml_too(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('keep_events_days = "none"\nkeep_exports_days = 3\n')
    settings = config.load({}, file=file, environ={})
    assert (settings.keep_events_days, settings.keep_exports_days) == (None, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keep_pushes_days", "0"),
        ("keep_pushes_days", "-1"),
        ("keep_pushes_days", "36501"),
        ("keep_outbox_days", "for ever"),
        ("keep_exports_days", "1.5"),
        ("metrics_token", "short"),
        ("max_connections", "15"),
        ("max_requests", "0"),
        ("max_body_memory_mb", "31"),
        ("port", "none"),
    ],
)
def test_what_is_not_possible_names_its_setting(name, value):
    with pytest.raises(Misconfigured, match=f"(?i){name}"):
        read(**{name: value})


def test_a_token_is_a_secret_that_no_repr_shows():
    settings = read(metrics_token="a-token-for-prometheus")
    assert settings.metrics_token.value == b"a-token-for-prometheus"
    assert "a-token" not in repr(settings)


def test_where_webhooks_may_go_is_a_list_or_separated_by_commas(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('webhooks_may_go_to = ["10.20.0.0/16", "hooks.internal"]\n')
    listed = config.load({}, file=file, environ={})
    assert listed.webhooks_may_go_to == ("10.20.0.0/16", "hooks.internal")
    assert (
        read(webhooks_may_go_to=" 10.20.0.0/16, hooks.internal,").webhooks_may_go_to
        == listed.webhooks_may_go_to
    )
    assert listed.destinations.permit("x", "10.20.1.1")
    assert not listed.destinations.permit("x", "10.21.1.1")
    assert read(webhooks_may_go_to="").webhooks_may_go_to == ()


@pytest.mark.parametrize("value", ["10.0.0.1/8", "https://hooks.internal", "hooks.internal:8080", "*"])
def test_where_webhooks_can_not_go_is_named(value):
    with pytest.raises(Misconfigured, match=r"webhooks_may_go_to: '.*' is neither"):
        read(webhooks_may_go_to=f"10.0.0.0/8,{value}")


def test_a_password_of_the_database_is_in_no_repr():
    assert "hunter2" not in repr(read(database_url="postgresql://u:hunter2@db/x"))
