"""A benchmark runs, at its smallest size, and leaves nothing running; by `nightly` all do. How fast is not for a test."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import bench
from benchmarks.pages import PAGES
from benchmarks.troubles import TROUBLES
from support.examples import is_nightly, nightly
from support.processes import CLEAN
from support.scratch import PLACE
from support.service import eventually

FIELDS = {"name", "requests_per_s", "cpu_s_per_10k", "rss_mb", "p50_ms", "p95_ms", "p99_ms", "beside", "goal"}
TIMES = ("p50_ms", "p95_ms", "p99_ms")
# How each is made small, and the beginnings of the names of its figures, each of which is to be there.
SMALL = {
    "sender": (["--quick"], ["sender, "]),
    "pipeline": (["--devices", "600"], ["pipeline, 600 devices"]),
    "import": (["--quick"], ["import, "]),
    "ingest": (["--quick"], ["ingest, "]),
    "transactional": (["--quick"], ["transactional, "]),
    "broadcast": (["--quick"], ["broadcast, "]),
    "rendering": (["--quick"], ["Liquid, "]),
    "reading": (["--devices", "1000"], ["count, ", "plan, 1,000 devices", "explain, "]),
    "dashboard": (["--quick"], [f"page, {page.name}" for page in PAGES]),
    "startup": ([], ["serve, "]),
    "webpush": (["--quick"], ["web push, "]),
    "export": (["--quick"], ["export of devices, csv", "export of devices, jsonl", "export of people, "]),
}
# The one that uses most of what the others do: our processes, the simulator, figures beside those of others.
SMOKE = "pipeline"
IN_MEMORY = {"TMPDIR": PLACE} if PLACE else {}
OF_OTHER_SHAPE = {"model", "neighbour", "size"}


def measured(*command):
    """The JSON that a benchmark answers."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command, "--json"],
        capture_output=True,
        text=True,
        env={**CLEAN, **IN_MEMORY},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_benchmark_is_left_out():
    assert set(bench.commands) == SMALL.keys() | OF_OTHER_SHAPE


@pytest.mark.parametrize("name", SMALL if is_nightly() else [SMOKE])
def test_a_benchmark_says_what_it_measured_beside_what(name):
    if name == "sender" and not (shutil.which("nginx") or shutil.which("nghttpd")):
        pytest.skip("no server to send to")
    options, beginnings = SMALL[name]
    found = measured(name, *options)["figures"]
    for beginning in beginnings:
        assert any(figure["name"].startswith(beginning) for figure in found), beginning
    for figure in found:
        assert set(figure) == FIELDS
        assert figure["requests_per_s"] > 0
        times = [figure[time] for time in TIMES if figure[time] is not None]
        assert times == sorted(times)
        assert all(other["requests_per_s"] > 0 for other in figure["beside"])
    if name == "reading":
        assert all(
            one["beside"][0]["name"] == "SQL by hand" for one in found if one["name"].startswith("count, ")
        )
    if name == "sender" and shutil.which("h2load"):
        assert all(one["beside"][0]["name"] == "h2load" for one in found)


@nightly
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


@nightly
def test_what_a_workspace_sees_of_its_neighbours_troubles_is_beside_what_it_sees_in_quiet():
    quiet, *others = measured("neighbour", "--quick")["neighbours"]
    assert [one["trouble"] for one in others] == list(TROUBLES)
    assert quiet["times"] == dict.fromkeys(quiet["felt"], 1.0)
    assert all(value > 0 for one in (quiet, *others) for value in one["felt"].values())


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
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as started:
        process = psutil.Process(started.pid)
        eventually(lambda: process.children() if begun == "a child" else under(place))
        started.terminate()
        assert started.wait(60) == 128 + signal.SIGTERM
    assert under(place) == []
    assert list(place.glob("pk-*")) == []
