"""Settings: what is not possible refuses to start, and says which."""

import os
import typing
from dataclasses import replace
from pathlib import Path

import pytest

from pushkeeper import config
from pushkeeper.config import Settings
from pushkeeper.core.model import Secret
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
        ("replica_max_lag_s", "-0.1"),
        ("replica_max_lag_s", "61"),
        ("replica_max_lag_s", "nan"),
        ("replica_url", "postgresql://u@replica/x"),
        ("processes", "0"),
        ("processes", "65"),
        ("processes", "many"),
    ],
)
def test_what_is_not_possible_names_its_setting(name, value):
    with pytest.raises(Misconfigured, match=f"(?i){name}"):
        read(**{name: value})


def test_auto_is_one_process_for_every_two_processors_that_it_may_use(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    bound = tmp_path / "cpu.max"
    for quota, expected in (
        ("max 100000", 6),
        ("250000 100000", 3),
        ("10000 100000", 1),
        ("900000 100000", 6),
    ):
        bound.write_text(quota)
        assert config.processors(bound) == expected
    assert config.processors(tmp_path / "none") == 6
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(400)))
    assert config.processors(tmp_path / "none") == 64
    for there, expected in ((2, 1), (7, 3), (16, 8), (64, 8)):
        monkeypatch.setattr(config, "processors", lambda there=there: there)
        assert read(processes="auto").processes == expected
    (tmp_path / "settings.toml").write_text('processes = "auto"\n')
    monkeypatch.setattr(config, "processors", lambda: 1)
    assert config.load({}, file=tmp_path / "settings.toml", environ={}).processes == 1


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
    url = "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(read(database_url=url, replica_url=url))


# What no setting may be without, or beside.
BESIDE: dict[str, dict[str, typing.Any]] = {
    "tls_cert": {"tls_key": Path("/tls/key.pem")},
    "tls_key": {"tls_cert": Path("/tls/chain.pem")},
    "replica_url": {"database_url": "postgresql://u@db/x"},
}
KINDS = typing.get_type_hints(Settings)


def others(name):
    """Values of a setting other than its default, as its type has them."""
    kinds = set(typing.get_args(KINDS[name])) or {KINDS[name]}
    default = getattr(Settings(data_dir=Path()), name)
    found: list[object] = [None] if type(None) in kinds and default is not None else []
    if bool in kinds:
        return [not default]
    if kinds & {int, float}:
        found.append(7 if default is None else default + 1)
    elif Path in kinds:
        found.append(Path("/a folder/ä,=#"))
    elif Secret in kinds:
        found.append(Secret(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
    elif name == "webpush_hosts":
        found += [("push.example.com",), (".example.com", "up.example.org")]
    elif typing.get_origin(KINDS[name]) is tuple:
        found += [("10.20.0.0/16",), ("192.0.2.1", "2001:db8::/32")]
    else:
        found.append("http://host.internal:81/a?b=c,d&e=%20 ")
    return found


@pytest.mark.parametrize("value", ["Push.example.com", "https://a.example", "*", "a.example:443", ".", ""])
def test_a_push_service_that_is_no_host_name_is_named(value):
    with pytest.raises(Misconfigured, match="webpush_hosts"):
        config.Settings(data_dir=Path(), webpush_hosts=(value,))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in KINDS for value in others(name)])
def test_every_setting_reaches_a_child_process_in_its_environment(name, value):
    settings = replace(Settings(data_dir=Path("/data")), **{name: value, **BESIDE.get(name, {})})
    assert getattr(settings, name) != Settings.__dataclass_fields__[name].default
    stale = {"PATH": "/bin", **{f"PUSHKEEPER_{other.upper()}": "stale" for other in KINDS}}
    environ = config.environment(settings, stale)
    assert environ["PATH"] == "/bin"
    assert config.load({}, environ=environ) == settings


def test_settings_of_the_file_the_environment_and_the_command_line_reach_a_child_together(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('keep_pushes_days = "none"\napns_outage_wait_s = 60\nwebhooks_may_be_private = true\n')
    environ = {"PUSHKEEPER_APNS_OUTAGE_WAIT_S": "120", "PUSHKEEPER_WORKERS": "3"}
    settings = config.load({"workers": 2, "data_dir": tmp_path}, file=file, environ=environ)
    child = config.load({}, environ=config.environment(settings, environ))
    assert child == settings
    assert (child.keep_pushes_days, child.apns_outage_wait_s, child.workers) == (None, 120, 2)
