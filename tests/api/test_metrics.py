"""Prometheus metrics: exactly those of the table, for authorised callers."""

import asyncio
import re
import secrets

import pytest

from pushkeeper.api.metrics import Prometheus, exposition
from pushkeeper.core.model import Secret
from pushkeeper.observability.meters import Histogram, Series
from pushkeeper.observability.metrics import Kind, Metric
from pushkeeper.services import metrics_snapshot
from pushkeeper.services.metrics_snapshot import CachedAnswer, MetricsSnapshot

TOKEN = "d9G-secret-of-this-phone_" + "x1" * 60
SECRET = Secret(b"a-token-for-prometheus")


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """What takes long on a busy machine, over the devices of all tests, is told all the same."""
    monkeypatch.setattr(metrics_snapshot, "PATIENCE_S", 60.0)
    monkeypatch.setattr(metrics_snapshot, "FIRST_ANSWER_WITHIN_S", 60.0)


async def scraped(door, **headers):
    status, body, answered = await door.raw("GET", "/metrics", None, **headers)
    assert status == 200, body
    return body.decode(), answered["content-type"]


def value(text, name, **labels):
    """The value of the series with these labels; 0 without one."""
    for line in text.splitlines():
        if (found := re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)) is not None:
            has = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if has == labels:
                return float(found[2])
    return 0.0


async def test_what_is_told_is_the_table_and_the_table_is_what_is_told(door):
    text, kind = await scraped(door)
    assert kind.startswith("text/plain; version=0.0.4")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    gauges = {Kind.INFO: "gauge"}
    assert types == {m.value.exposed: gauges.get(m.value.kind, m.value.kind.value) for m in Metric}
    assert set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE)) == set(types)
    told = set(re.findall(r"^(\w+)", re.sub(r"^#.*$", "", text, flags=re.MULTILINE), re.MULTILINE))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in told} - set(types) == set()


async def test_each_series_has_the_labels_of_its_metric(door):
    await door.app("GET", "/api/v1/options")
    for series in await MetricsSnapshot(door.database).gather():
        assert len(series.labels) == len(series.metric.value.labels), series
        assert isinstance(series.value, Histogram) is (series.metric.value.kind is Kind.HISTOGRAM)


def test_names_are_as_prometheus_asks_for():
    for metric in Metric:
        what = metric.value
        assert re.fullmatch(r"(pushkeeper|process|python)(_[a-z]+)+", what.name)
        assert what.name.endswith(what.unit)
        assert not what.name.endswith(("_total", "_bucket", "_sum", "_count", "_info"))
        assert what.help[0].isupper() or what.help[0] in "1`"
        assert what.help.endswith(".")
        assert list(what.bounds) == sorted(set(what.bounds))
        assert bool(what.bounds) is (what.kind is Kind.HISTOGRAM)
        assert "le" not in what.labels
    assert len({metric.value.name for metric in Metric}) == len(Metric)


async def test_openmetrics_is_told_to_who_asks_for_it_and_text_to_who_asks_for_nonsense(door):
    text, kind = await scraped(door, accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    for accept in ("application/openmetrics-text; version=x", "text/plain; version=1.x", "*/*", "\xff"):
        _, kind = await scraped(door, accept=accept)
        assert kind.startswith("text/plain")


async def test_calls_are_counted_by_the_template_of_their_path(door):
    before, _ = await scraped(door)
    await door.track("PUT", f"/api/v1/customers/{secrets.token_hex(8)}/devices", {"device": {"id": TOKEN}})
    status, _ = await door.track(
        "PUT", "/api/v1/customers/ann/devices", {"device": {"id": TOKEN, "platform": "ios"}}
    )
    assert status == 200
    after, _ = await scraped(door)
    for status, more in (("200", 1), ("400", 1)):
        labels = {
            "surface": "track_v1",
            "path": "/api/v1/customers/{identifier}/devices",
            "method": "PUT",
            "status": status,
        }
        name = "pushkeeper_http_requests_total"
        assert value(after, name, **labels) == value(before, name, **labels) + more
    durations = "pushkeeper_http_request_duration_seconds_count"
    assert value(after, durations, surface="track_v1", status="2xx") >= 1
    commits = "pushkeeper_commit_calls_count"
    assert value(after, commits, room="registry") > value(before, commits, room="registry")


async def test_no_token_no_identifier_and_no_made_up_method_becomes_a_label(door):
    await door.app("GET", f"/api/v1/devices/{TOKEN}")
    await door.app("GET", f"/nowhere/{TOKEN}")
    await door.raw("BREW", "/api/v1/customers/somebody/devices")
    text, _ = await scraped(door)
    assert TOKEN[:20] not in text
    assert "BREW" not in text
    assert "somebody" not in text
    assert value(
        text, "pushkeeper_http_requests_total", surface="none", path="", method="other", status="404"
    )


async def test_devices_are_counted_by_workspace_platform_and_status(door, workspace):
    await door.track("PUT", "/api/v1/customers/ann/devices", {"device": {"id": TOKEN, "platform": "ios"}})
    made, _ = workspace
    series = await MetricsSnapshot(door.database).gather()
    counted = {s.labels: s.value for s in series if s.metric is Metric.DEVICES}
    assert counted[made.name, "ios", "unused"] == 1.0


async def test_who_is_elsewhere_or_comes_by_a_proxy_is_not_told_without_a_token(door):
    for header in (
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "via",
        "x-real-ip",
    ):
        status, body, headers = await door.raw("GET", "/metrics", None, **{header: "203.0.113.9"})
        assert status == 401
        assert b"metrics_token" in body
        assert headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("client", "token", "authorization", "status"),
    [
        ("127.0.0.1", None, b"", 200),
        ("::1", None, b"", 200),
        ("::ffff:127.0.0.1", None, b"", 200),
        ("203.0.113.9", None, b"", 401),
        ("not an address", None, b"", 401),
        ("203.0.113.9", None, b"Bearer a-token-for-prometheus", 401),
        ("203.0.113.9", SECRET, b"Bearer a-token-for-prometheus", 200),
        ("203.0.113.9", SECRET, b"bearer  a-token-for-prometheus", 200),
        ("127.0.0.1", SECRET, b"Bearer a-token-for-prometheus", 200),
        ("127.0.0.1", SECRET, b"", 401),
        ("203.0.113.9", SECRET, b"Bearer a-token-for-prometheuS", 401),
        ("203.0.113.9", SECRET, b"Basic a-token-for-prometheus", 401),
        ("203.0.113.9", SECRET, b"\xff\xfe", 401),
    ],
)
async def test_the_door_to_metrics(database, client, token, authorization, status):
    headers = [(b"host", b"localhost:8383"), *([(b"authorization", authorization)] if authorization else [])]
    assert await _asked(database, token, client=(client, 1234), headers=headers) == status


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [
        ([b"localhost"], "1.1", 200),
        ([b"LocalHost:8383"], "1.1", 200),
        ([b"127.0.0.1:8383"], "1.1", 200),
        ([b"127.8.9.1"], "1.1", 200),
        ([b"[::1]:8383"], "1.1", 200),
        ([b"evil.test"], "1.1", 401),
        ([b"localhost.evil.test"], "1.1", 401),
        ([b"127.0.0.1.evil.test:8383"], "1.1", 401),
        ([b"localhost@evil.test"], "1.1", 401),
        ([b"203.0.113.9"], "1.1", 401),
        ([b"[::1"], "1.1", 401),
        ([b""], "1.1", 401),
        ([], "1.1", 401),
        ([b"localhost", b"evil.test"], "1.1", 401),
        ([b"127.0.0.1:8383"], "1.0", 401),  # nginx, as it comes
    ],
)
async def test_who_calls_this_machine_by_another_name_is_elsewhere(database, hosts, version, status):
    headers = [(b"host", host) for host in hosts]
    assert await _asked(database, None, headers=headers, http_version=version) == status
    headers.append((b"authorization", b"Bearer a-token-for-prometheus"))
    assert await _asked(database, SECRET, headers=headers, http_version=version) == 200


async def _asked(database, token, **about):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("there is no body to be read")

    scope = {"type": "http", "client": ("127.0.0.1", 1234), "http_version": "1.1", **about}
    await Prometheus(MetricsSnapshot(database), token)(scope, receive, send)
    return sent[0]["status"]


async def test_a_database_that_is_away_leaves_out_what_is_its_and_the_rest_is_told(lonely):
    door, postgres = lonely
    before, _ = await scraped(door)
    assert value(before, "pushkeeper_database_up") == 1.0
    assert "pushkeeper_database_bytes " in before
    await asyncio.to_thread(postgres.stop)
    text = ""
    while value(text, "pushkeeper_database_up") or not text:
        text, _ = await scraped(door)
    assert value(text, "process_resident_memory_bytes") > 1e6


def test_a_spread_counts_what_is_up_to_each_bound():
    spread = Histogram((1.0, 2.0))
    for observed in (0.5, 1.0, 1.5, 2.5, 9.0):
        spread.observe(observed)
    text = exposition([Series(Metric.COMMIT_CALLS, ("x",), spread)], "").body.decode()
    name = "pushkeeper_commit_calls"
    assert value(text, f"{name}_bucket", room="x", le="1.0") == 2
    assert value(text, f"{name}_bucket", room="x", le="2.0") == 3
    assert value(text, f"{name}_bucket", room="x", le="+Inf") == value(text, f"{name}_count", room="x") == 5
    assert value(text, f"{name}_sum", room="x") == 14.5


def test_a_label_may_hold_any_character():
    series = Series(Metric.QUEUE_BATCHES, ('a "quoted"\\\nname', "0", "due"), 1.0)
    text = exposition([series], "").body.decode()
    assert 'workspace="a \\"quoted\\"\\\\\\nname"' in text


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("times", "asked"), [(0.0, 3), (1e12, 1)])
async def test_what_takes_long_is_asked_for_a_bounded_share_of_the_time(fails, times, asked):
    began = 0

    async def scan():
        nonlocal began
        began += 1
        if fails:
            raise TimeoutError
        return began

    kept = CachedAnswer(scan, fresh_for_s=0.0, times=times)
    for _ in range(3):
        await kept.last(within_s=60.0)
        for _ in range(5):  # what is asked beside an old answer begins, ends, and is taken note of
            await asyncio.sleep(0)
    assert began == asked
