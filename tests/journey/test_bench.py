"""The benchmarks run, say what they are to say, and leave nothing running. How fast is not for a test."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from benchmarks.pages import PAGES
from benchmarks.troubles import TROUBLES
from support.processes import CLEAN
from support.service import eventually

FIELDS = {"name", "requests_per_s", "cpu_s_per_10k", "rss_mb", "p50_ms", "p95_ms", "p99_ms", "beside", "goal"}


def measured(*command):
    """The JSON that a benchmark answers."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command, "--json"],
        capture_output=True,
        text=True,
        env=CLEAN,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def figures(*command):
    found = measured(*command)["figures"]
    for figure in found:
        assert set(figure) == FIELDS
        assert figure["requests_per_s"] > 0
    return found


@pytest.mark.skipif(not (shutil.which("nginx") or shutil.which("nghttpd")), reason="no server to send to")
def test_the_sender_is_measured_against_each_server_in_each_shape():
    found = figures("sender", "--quick")
    assert len(found) in {3, 6}
    assert all(figure["p99_ms"] >= figure["p50_ms"] > 0 for figure in found)
    if shutil.which("h2load"):
        assert all(figure["beside"][0]["name"] == "h2load" for figure in found)


def test_the_pipeline_is_measured_with_the_cpu_and_the_memory_that_it_took():
    [figure] = figures("pipeline", "--devices", "600")
    assert figure["name"] == "pipeline, 600 devices"
    assert figure["cpu_s_per_10k"] > 0
    assert figure["rss_mb"] > 10


def test_every_hot_call_is_measured_beside_the_empty_one():
    *beside, half, items = figures("ingest", "--quick")
    assert [other["name"] for figure in beside for other in figure["beside"]] == ["/healthz"] * 5
    assert half["name"].endswith("half load")
    assert items["name"] == "ingest, items of /v1/b by 100"


def test_transactional_pushes_are_timed_from_accepted_to_the_provider():
    [figure] = figures("transactional", "--quick")
    assert figure["p99_ms"] >= figure["p50_ms"] >= 0


def test_broadcasts_are_timed_from_their_start_and_after_their_cancel():
    first, last = figures("broadcast", "--quick")
    assert first["p50_ms"] > 0
    assert last["p50_ms"] >= 0
    assert first["rss_mb"] > 10


def test_liquid_is_measured_beside_the_library_alone():
    variables, *others = figures("rendering", "--quick")
    assert variables["beside"][0]["name"] == "python-liquid alone"
    assert [figure["beside"][0]["name"] for figure in others] == ["in this process"] * 2


def test_audiences_are_counted_beside_sql_by_hand_that_comes_to_the_same():
    found = figures("reading", "--devices", "1000")
    counts = [figure for figure in found if figure["name"].startswith("count, ")]
    assert len(counts) == 6
    assert all(figure["beside"][0]["name"] == "SQL by hand" for figure in counts)
    assert any(figure["name"] == "plan, 1,000 devices" for figure in found)
    assert sum(figure["name"].startswith("explain, ") for figure in found) == 2


def test_what_grows_with_devices_is_measured_with_what_it_costs():
    found = measured("size", "--devices", "1000")
    costs = {cost["name"]: cost for cost in found["costs"]}
    for name in ("register a new device", "register a known device", "push"):
        assert costs[name]["wal_bytes"] > costs[name]["operations"]
        assert costs[name]["ours_cpu_s"] > 0
    tables = {(one["table"], one["index"]): one["churned"] for one in found["relations"]}
    assert tables["devices", None] > tables["devices", "devices_pkey"] > 0


def test_sizes_are_computed_for_any_number_of_devices():
    [small, large] = measured("model", "--devices", "500k", "--devices", "50M")["sizes"]
    assert (small["devices"], large["devices"]) == (500_000, 50_000_000)
    assert small["cells"] < large["cells"]


def test_what_a_workspace_sees_of_its_neighbours_troubles_stands_beside_what_it_sees_in_quiet():
    quiet, *others = measured("neighbour", "--quick")["neighbours"]
    assert [one["trouble"] for one in others] == list(TROUBLES)
    assert quiet["times"] == dict.fromkeys(quiet["felt"], 1.0)
    assert all(value > 0 for one in (quiet, *others) for value in one["felt"].values())


def test_each_page_of_the_dashboard_is_opened_and_timed():
    found = figures("dashboard", "--quick")
    pages = [figure["name"] for figure in found if figure["name"].startswith("page")]
    assert pages == [f"page, {page.name}" for page in PAGES]
    assert all(figure["p95_ms"] >= figure["p50_ms"] > 0 for figure in found)


def under(folder):
    """The processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


@pytest.mark.parametrize("begun", ["a child", "a server"])
def test_a_benchmark_that_is_ended_takes_with_it_what_it_started(folder, begun):
    place = folder / f"ended-{begun.partition(' ')[2]}"
    place.mkdir()
    place.chmod(0o755)  # the embedded PostgreSQL of root's is another user's
    command = [sys.executable, "-m", "benchmarks", "reading", "--quick"]
    env = {**CLEAN, "TMPDIR": str(place)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as bench:
        process = psutil.Process(bench.pid)
        eventually(lambda: process.children() if begun == "a child" else under(place))
        bench.terminate()
        assert bench.wait(60) == 128 + signal.SIGTERM
    assert under(place) == []
    assert list(place.glob("pk-*")) == []
