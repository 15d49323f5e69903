"""`pushkeeper doctor` for a service that is healthy, broken, or not set up yet."""

import json

import pytest

from support.processes import answer, run, running


@pytest.fixture(scope="module")
def service(folder):
    """One of its own: the doctor examines all workspaces, and what other tests left in a shared one may be ill."""
    with running("serve", "--data", folder / "doctor", "--port", "0") as started:
        yield started


def test_where_no_service_has_run_it_says_so_and_makes_nothing(folder):
    nowhere = folder / "nobody"
    said = run("doctor", "--data", nowhere, "--json")
    assert said.returncode == 1
    told = json.loads(said.stdout)
    assert told["healthy"] is False
    (finding,) = told["findings"]
    assert "no service has run" in finding["said"]
    assert not nowhere.exists()


def test_a_database_that_does_not_answer_is_a_finding(folder):
    key = {"PUSHKEEPER_SECRET_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    url = "postgresql://nobody:hunter2@localhost:1/none"
    said = run("doctor", "--data", folder / "away", "--database-url", url, env=key)
    assert said.returncode == 1
    assert "no PostgreSQL answers at localhost:1/none" in said.stdout
    assert "hunter2" not in said.stdout + said.stderr


def test_beside_a_healthy_service_it_ends_with_0_and_shows_no_secret(workspace):
    [token] = workspace.mint("android")
    workspace.register("ann", token, "android")
    told = answer("doctor", *workspace.on)
    assert told["healthy"] is True
    assert {finding["state"] for finding in told["findings"]} <= {"ok", "attention"}
    mine = [finding for finding in told["findings"] if finding["about"].startswith(workspace.name)]
    assert {finding["check"] for finding in mine} == {"routes", "keys", "probe", "clock", "ledger"}
    shown = run("doctor", "--no-probes", *workspace.on)
    assert shown.returncode == 0
    assert "probe" not in shown.stdout
    for secret in (token, workspace.keys["api_key"], workspace.keys["app_api_key"], "PRIVATE KEY"):
        assert secret not in json.dumps(told) + shown.stdout


def test_what_is_wrong_comes_with_what_to_do_and_ends_with_1(workspace):
    workspace.add_apns(**{"--endpoint": "https://localhost:1"})
    try:
        said = run("doctor", *workspace.on)
        assert said.returncode == 1
        lines = said.stdout.splitlines()
        (at,) = [
            n
            for n, line in enumerate(lines)
            if line.startswith("probe") and "wrong" in line and workspace.name in line
        ]
        assert "→ check that this host can reach the provider" in lines[at + 1]
        assert lines[-1].endswith("wrong.")
    finally:
        workspace.add_apns()
