"""The files in deploy/ run unchanged, except for addresses: no container engine and no systemd is needed for that."""

import re
import secrets
import shutil
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from pushkeeper import config
from support import crowd
from support.command_line import parsed
from support.processes import answer, running
from support.service import Workspace, eventually

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "container" / "compose.yaml"
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
FILLED_IN = {
    "PUSHKEEPER_SECRET_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "PUSHKEEPER_METRICS_TOKEN": "a-token-for-prometheus",
    "POSTGRES_PASSWORD": "hunter2",
}


def composed():
    """The services of the compose file, with what `.env` would fill in."""
    text = re.sub(r"\$\{(\w+):\?in \.env\}", lambda found: FILLED_IN[found[1]], COMPOSE.read_text())
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert "${" not in text
    return yaml.safe_load(text)["services"]


def test_the_commands_of_the_compose_file_are_commands_of_ours_and_its_settings_settings():
    services = composed()
    ours = {name: service for name, service in services.items() if service["image"] == "pushkeeper"}
    assert set(ours) == {"api", "worker", "simulator"}
    assert ours["worker"]["deploy"]["replicas"] == 2
    for service in ours.values():
        context = parsed(service["command"])
        settings = config.load({}, environ=service["environment"])
        if context.info_name == "serve":
            assert context.params["no_worker"] is True
            assert settings.metrics_token is not None
        for name, needed in service.get("depends_on", {}).items():
            assert needed["condition"] == "service_started" or "healthcheck" in services[name]
    assert all(
        port.startswith("127.0.0.1:") for service in ours.values() for port in service.get("ports", [])
    )


def test_what_is_to_be_filled_in_is_what_the_example_names():
    example = (COMPOSE.parent / "env.example").read_text()
    named = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert named == set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy/container/.env" in ignored
    assert "deploy/container/.env" in (ROOT / ".dockerignore").read_text().splitlines()


def test_what_the_compose_file_starts_sends_a_push(database_url, folder):
    services = composed()
    name = f"composed_{secrets.token_hex(4)}"
    crowd.query(database_url, f"create database {name}")
    here = {"PUSHKEEPER_DATABASE_URL": database_url.replace("/postgres?", f"/{name}?")}
    with ExitStack() as stack:

        def start(service, *words, **replaced):
            command = [replaced.get(word, word) for word in service["command"]]
            return stack.enter_context(running(*command, *words, env={**service["environment"], **here}))

        simulator = start(
            services["simulator"],
            **{"simulator": "127.0.0.1", "8390": "0", "/var/lib/pushkeeper/simulator": folder / "composed"},
        )
        api = start(services["api"], "--port", "0", "--data", folder / "api", **{"0.0.0.0": "127.0.0.1"})
        for number in range(services["worker"]["deploy"]["replicas"]):
            start(services["worker"], "--data", folder / f"worker-{number}")
        port = crowd.query(here["PUSHKEEPER_DATABASE_URL"], "select 1") and api_port(api)
        check = services["api"]["healthcheck"]["test"]
        assert check[:3] == ["CMD", "/opt/pushkeeper/bin/python", "-c"]
        code = check[3].replace(":8383", f":{port}")
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
        env = {**services["api"]["environment"], **here}
        reached = {**api.facts, "url": f"http://127.0.0.1:{port}"}
        workspace = Workspace(name, reached, simulator, env=env)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        workspace.push_and_wait("ann")
        assert workspace.status(token) == "sent"
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"authorization": "Bearer a-token-for-prometheus"}
        )
        with urllib.request.urlopen(request) as told:
            assert b"pushkeeper_workers 2.0" in told.read()
        found = answer("doctor", "--no-probes", *workspace.on, env=env)
        assert found["healthy"] is True


def api_port(api):
    """Where it listens; its public URL is that of the proxy in front of it."""
    import psutil

    (port,) = {
        connection.laddr.port
        for connection in psutil.Process(api["pid"]).net_connections("tcp4")
        if connection.status == psutil.CONN_LISTEN
    }
    return port


def test_the_image_is_made_of_what_is_there():
    text = CONTAINERFILE.read_text()
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]
    assert sources
    left_out = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not any(source == line or source.startswith(f"{line}/") for line in left_out), source
    (words,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert parsed(yaml.safe_load(words)).params["host"] == "0.0.0.0"
    assert "--require-hashes -r /tmp/runtime.lock" in text
    script = (CONTAINERFILE.parent / "pushkeeper").read_text()
    assert "/opt/pushkeeper/bin/python -m pushkeeper" in script


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_units_command_is_a_command_of_ours_and_its_settings_settings(unit):
    text = unit.read_text()
    (command,) = re.findall(r"^ExecStart=/opt/pushkeeper/bin/pushkeeper (.*)$", text, re.MULTILINE)
    parsed(command.split())
    environ = dict(
        word.split("=", 1)
        for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
        for word in line.split()
    )
    settings = config.load(
        {}, environ={key: value for key, value in environ.items() if key.startswith("PUSHKEEPER_")}
    )
    assert str(settings.data_dir) == "/var/lib/pushkeeper"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_against_the_units(unit, tmp_path):
    program = Path(sys.executable).parent / "pushkeeper"
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text().replace("/opt/pushkeeper/bin/pushkeeper", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if unit.name.partition("@")[0] in line] == []
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", copy], capture_output=True, text=True, check=False
    )
    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", scored.stdout)
    assert float(exposure) < 2.0


def test_the_unit_starts_a_healthy_service_that_stops_in_time(folder):
    (unit,) = [unit for unit in UNITS if unit.name == "pushkeeper.service"]
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", unit.read_text(), re.MULTILINE)
    with running(*command.split(), "--data", folder / "unit", "--port", "0", fresh=True) as service:
        found = eventually(lambda: well(folder / "unit"))
        assert found["healthy"] is True
        assert service.stop(within_s=45) == 0


def well(data):
    found = answer("doctor", "--data", data)
    workers = next(finding for finding in found["findings"] if finding["check"] == "workers")
    return found if workers["said"] == "2 running" else None
