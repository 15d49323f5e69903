"""Whatever becomes of standard error and standard output, the service goes on, and ends when it is told to."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from benchmarks import load
from support.processes import CLEAN, answer, provide
from support.service import Workspace, eventually

PIPE_BYTES = 4096
PUSHKEEPER = (sys.executable, "-m", "pushkeeper")
WITHOUT_STANDARD_FILES = ("/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")


@contextmanager
def full_disk():
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@contextmanager
def pipe(*, read=False, blocking=True):
    """The end of a small pipe that nobody reads: because the other end is closed, or because it stalls."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writing, blocking)
    if not read:
        os.close(reading)
    yield writing
    os.close(writing)
    if read:
        os.close(reading)


BROKEN = {
    "full disk": full_disk,
    "closed pipe": pipe,
    "stalled pipe": lambda: pipe(read=True),
    "stalled pipe that does not block": lambda: pipe(read=True, blocking=False),
}


@contextmanager
def serving(folder, stdout, stderr, *options):
    """A service with such a standard output and error: where it listens, it cannot say."""
    provide(folder)
    command = [*PUSHKEEPER, "serve", "--data", str(folder), "--port", "0", "--json", *options]
    if stdout is stderr is None:
        command = [*WITHOUT_STANDARD_FILES, *command]
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=CLEAN)
    try:
        url = f"http://127.0.0.1:{eventually(lambda: port_of(process))}"
        yield process, {"url": url, "data_dir": str(folder), "ca_file": None}
    finally:
        process.terminate()
        assert process.wait(30) == 0


def port_of(process):
    """The port on which a process listens, once it does."""
    assert process.poll() is None
    sockets = psutil.Process(process.pid).net_connections("tcp")
    return next((found.laddr.port for found in sockets if found.status == psutil.CONN_LISTEN), None)


def ask(url):
    with urllib.request.urlopen(url, timeout=30) as said:
        return said.read().decode()


def metric(url, name):
    return float(
        next(line for line in ask(f"{url}/metrics").splitlines() if line.startswith(name)).split()[-1]
    )


def not_found(port, count, connections=64):
    """Calls of which each leaves a line in the log."""
    request = load.request("GET", "/nowhere", "")
    return load.run(load.Plan(port=port, requests=[request] * count, connections=connections))


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_log_that_cannot_be_written_ends_and_hangs_nothing(folder, simulator, broken):
    with ExitStack() as opened:
        output, errors = (opened.enter_context(BROKEN[broken]()) for _ in range(2))
        data = folder / "logs" / broken.replace(" ", "-")
        process, service = opened.enter_context(serving(data, output, errors, "--workers", "1"))
        workspace = Workspace("logs", service, simulator)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        port = urlsplit(service["url"]).port
        # Some 250 bytes each: many times what such a pipe holds. The old log failed at the first, or stopped after 16.
        seen = await not_found(port, 2_000)
        assert seen.statuses == {404: 2_000}
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"what a library logs\r\n\r\n")
            assert b"400" in caller.recv(100)
        # The process that sends has the same standard error.
        workspace.push_and_wait("ann")
        assert workspace.status(token) == "sent"
        [worker] = [child for child in psutil.Process(process.pid).children() if "worker" in child.cmdline()]
        worker.kill()  # is logged, and another is started
        workspace.push_and_wait("ann")


def test_closed_standard_files_are_not_taken_for_the_next_ones_that_are_opened(folder):
    """Their numbers would be given to sockets of the database, and what is printed or logged would go there."""
    with serving(folder / "logs" / "none", None, None) as (process, service):
        files = {number: str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (1, 2)}
        assert files == {1: os.devnull, 2: os.devnull}
        assert json.loads(ask(f"{service['url']}/readyz")) == {"status": "ok"}


async def test_what_was_dropped_is_counted_in_the_log_and_in_the_metrics(folder):
    """The reader stalls until all is sent; then it reads all: what is there and what is missing is what was logged."""
    reading, writing = os.pipe()
    calls = 25_000
    lines: list[dict[str, object]] = []
    with serving(folder / "logs" / "stalls", subprocess.DEVNULL, writing, "--no-worker") as (_, service):
        os.close(writing)
        seen = await not_found(urlsplit(service["url"]).port, calls)
        assert seen.statuses == {404: calls}
        dropped = metric(service["url"], "pushkeeper_log_lines_dropped_total")
        assert 0 < dropped < calls

        def read():
            with os.fdopen(reading) as file:
                lines.extend(json.loads(line) for line in file)

        reader = threading.Thread(target=read)
        reader.start()
        # What fits again is logged again, and where something is missing it says so.
        eventually(lambda: [line for line in lines if line["event"] == "log_lines_dropped"], within_s=60)
        assert (await not_found(urlsplit(service["url"]).port, 1)).statuses == {404: 1}
    reader.join()
    [gap] = [line for line in lines if line["event"] == "log_lines_dropped"]
    assert (gap["lines"], gap["level"], gap["room"]) == (dropped, "warning", "log")
    logged = [line["event"] for line in lines]
    assert logged.count("request") == calls + 1 - dropped
    assert logged.index("log_lines_dropped") < len(logged) - 1  # it goes on after the gap


def test_a_command_whose_reader_left_ends_quietly_as_other_programs_do(service):
    with pipe() as output:
        done = subprocess.run(
            [*PUSHKEEPER, "workspace", "list", "--data", service["data_dir"]],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            env=CLEAN,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_command_whose_output_cannot_be_written_says_so(service):
    with full_disk() as output:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pushkeeper",
                "workspace",
                "list",
                "--data",
                service["data_dir"],
                "--json",
            ],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            env=CLEAN,
        )
    assert done.returncode == 1
    assert json.loads(done.stderr)["error"]["code"] == "misconfigured"


def test_a_command_without_standard_files_does_what_it_is_told(service, folder):
    command = [*PUSHKEEPER, "workspace", "create", "unheard", "--data", service["data_dir"]]
    done = subprocess.run([*WITHOUT_STANDARD_FILES, *command], check=False, env=CLEAN)
    assert done.returncode == 0
    names = [
        found["workspace"]
        for found in answer("workspace", "list", "--data", service["data_dir"])["workspaces"]
    ]
    assert "unheard" in names
