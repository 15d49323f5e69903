"""What is deployed with it names what there is: metrics, settings, commands."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pushkeeper.config import Settings
from pushkeeper.observability.metrics import Kind, Metric
from support import promql

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "pushkeeper.json"
# Of every series, by Prometheus itself.
GIVEN = {"instance", "job"}


def series():
    """Every name that can be asked for, with its labels."""
    found = {}
    for metric in Metric:
        what = metric.value
        labels = {*what.labels, *GIVEN}
        if what.kind is Kind.HISTOGRAM:
            found[f"{what.name}_bucket"] = labels | {"le"}
            found[f"{what.name}_sum"] = found[f"{what.name}_count"] = labels
        else:
            found[what.exposed] = labels
    return found


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    for panel in panels():
        found += [(panel["title"], target["expr"]) for target in panel["targets"]]
    for annotation in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        found.append((annotation["name"], annotation["expr"]))
    return found


@pytest.mark.parametrize(("name", "expression"), expressions())
def test_an_expression_is_whole_and_asks_for_metrics_that_there_are_by_labels_that_they_have(
    name, expression
):
    known = series()
    read = promql.read(expression)
    assert read.functions <= promql.FUNCTIONS
    assert read.asked
    for asked, labels in read.asked:
        assert asked in known, name
        assert set(labels) <= known[asked], (name, asked)
    assert set(read.grouped) <= set().union(*(known[asked] for asked, _ in read.asked)), name


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("sum(rate(x[5m])", "is missing"),
        ("sum(x))", "closes nothing"),
        ("x{a=b}", "no matcher"),
        ('x{a="1" b="2"}', "no comma"),
        ("x ; y", "not PromQL"),
    ],
)
def test_the_reader_sees_what_is_not_whole(expression, why):
    with pytest.raises(ValueError, match=why):
        promql.read(expression)


def test_the_reader_finds_names_and_labels():
    read = promql.read('sum by (a) (max without (i) (rate(x_total{b=~"c|d",e!="f"}[5m]))) / on (a) y > 0.3')
    assert read.asked == (("x_total", ("b", "e")), ("y", ()))
    assert read.grouped == ("a", "i", "a")
    assert read.functions == {"sum", "max", "rate"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_happened_and_what_to_do(rule):
    assert rule["alert"].startswith("Pushkeeper")
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(rule["annotations"]) == {"summary", "description"}
    read = promql.read(rule["expr"])
    known = series()
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert shown <= set().union(*(known[asked] for asked, _ in read.asked))
    for page in re.findall(r"docs/[\w/.-]+\.md", rule["annotations"]["description"]):
        assert (ROOT / page).exists(), page


def test_alerts_have_names_of_their_own():
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_what_all_processes_say_alike_is_not_added_up():
    """A sum over processes of what is of the whole installation would be as often too great as there are processes."""
    of_all = {
        name
        for name in series()
        if any(m.value.scope == "all" and name.startswith(m.value.name) for m in Metric)
    }
    for name, expression in expressions():
        for asked, _ in promql.read(expression).asked:
            if asked in of_all:
                assert re.search(
                    r"max (without \(instance\)|by \([a-z, ]+\)) ?\(|max\(|absent\(", expression
                ), name


def test_panels_have_places_of_their_own():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert taken.isdisjoint(cells), panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)


def test_prometheus_is_told_to_read_the_rules_and_to_ask_for_metrics():
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert told["rule_files"] == [RULES.name]
    (job,) = told["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("pushkeeper", "/metrics")


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool, of Debian's package prometheus, is not installed"
)
def test_promtool_has_nothing_against_the_rules_and_they_sound_when_they_should(tmp_path):
    tests = (Path(__file__).parent / "alerts_test.yml").read_text().replace("RULES", str(RULES))
    (tmp_path / "tests.yml").write_text(tests)
    for command in (
        ["check", "rules", RULES],
        ["check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        ["test", "rules", tmp_path / "tests.yml"],
    ):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


COMPOSED = {
    file.parent.name: yaml.safe_load(file.read_text()) for file in sorted(DEPLOY.glob("*/compose.yaml"))
}
SERVICES = [(where, name) for where, composed in COMPOSED.items() for name in composed["services"]]


@pytest.mark.parametrize(("where", "name"), SERVICES)
def test_a_container_may_do_no_more_than_it_must(where, name):
    service = COMPOSED[where]["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices"}.isdisjoint(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    mounted = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    assert set(mounted) <= set(COMPOSED[where]["volumes"]), "no folder of the host"
    assert service["tmpfs"]


def test_no_container_runs_as_root():
    for where, name in SERVICES:
        service = COMPOSED[where]["services"][name]
        assert not service["image"].startswith("docker.io/library/postgres") or service["user"] == "postgres"
    lines = (DEPLOY / "container" / "Containerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]


def test_compose_holds_no_secret():
    for where, name in SERVICES:
        for key, value in COMPOSED[where]["services"][name].get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|DATABASE_URL", key):
                assert re.search(r"\$\{[A-Z_0-9]+:\?in \.env\}", value), key


BOUNDED = {"mem_limit", "memswap_limit", "pids_limit"}


@pytest.mark.parametrize(("where", "name"), SERVICES)
def test_a_container_takes_no_more_than_it_is_given(where, name):
    service = COMPOSED[where]["services"][name]
    assert set(service) >= BOUNDED
    assert service["mem_limit"] == service["memswap_limit"], "no swap"


UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_started_again_for_ever(unit):
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", unit.read_text(), re.MULTILINE | re.DOTALL))
    # In another section systemd ignores it, and stops after five starts in ten seconds.
    assert "StartLimitIntervalSec=0" in sections["Unit"].splitlines()
    assert {"Restart=always", "RestartSec=1"} <= set(sections["Service"].splitlines())


@pytest.mark.parametrize(("where", "name"), SERVICES)
def test_a_container_is_started_again(where, name):
    service = COMPOSED[where]["services"][name]
    # A migration ends.
    ends = service.get("command", [""])[0] == "migrate"
    assert service["restart"] == ("on-failure" if ends else "unless-stopped")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_takes_no_more_than_it_is_given(unit):
    lines = [line.partition("=") for line in unit.read_text().splitlines() if not line.startswith("#")]
    said = {name: value for name, _, value in lines}
    high, most = (int(said[name].removesuffix("%")) for name in ("MemoryHigh", "MemoryMax"))
    assert 0 < high < most < 100
    assert said["MemorySwapMax"] == said["LimitCORE"] == "0"
    assert int(said["TasksMax"]) <= 512
    # More than the connections that may be open, and what else a process has.
    assert int(said["LimitNOFILE"]) > Settings(data_dir=ROOT).max_connections + 1_000


HA = DEPLOY / "ha"
PATRONI = yaml.safe_load((HA / "patroni.yml").read_text())
MACHINES = {"db1": "10.0.0.11", "db2": "10.0.0.12", "db3": "10.0.0.13"}


def test_patroni_keeps_what_is_acknowledged_and_replaces_a_primary_as_soon_as_it_can():
    said = PATRONI["bootstrap"]["dcs"]
    assert said["synchronous_mode"] is True
    # Patroni raises a smaller one, and lowers the others until they fit into it.
    assert said["ttl"] == 20
    assert said["loop_wait"] + 2 * said["retry_timeout"] <= said["ttl"]
    assert PATRONI["watchdog"]["mode"] in {"automatic", "required"}


def test_the_files_of_a_cluster_name_the_same_machines():
    assert PATRONI["etcd3"]["hosts"] == [f"{address}:2379" for address in MACHINES.values()]
    etcd = (HA / "etcd.env").read_text()
    peers = ",".join(f"{name}=http://{address}:2380" for name, address in MACHINES.items())
    assert f"ETCD_INITIAL_CLUSTER={peers}\n" in etcd
    servers = re.findall(r"server (\w+) ([\d.]+):5432 check port 8008", (HA / "haproxy.cfg").read_text())
    assert dict(servers) == MACHINES


def test_a_cluster_lets_in_nobody_without_a_password_and_its_files_hold_none():
    for line in PATRONI["postgresql"]["pg_hba"]:
        assert line.split()[-1] == ("peer" if line.startswith("local ") else "scram-sha-256"), line
    passwords = re.findall(r"^PATRONI_\w+_PASSWORD=(.*)$", (HA / "patroni.env").read_text(), re.MULTILINE)
    assert passwords == [""] * 4


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_has_nothing_against_its_file():
    done = subprocess.run(
        ["haproxy", "-c", "-f", HA / "haproxy.cfg"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
