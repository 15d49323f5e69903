"""Real processes: started as a user would, ended by pid."""

import atexit
import contextlib
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from support.scratch import PLACE

# Hundreds of processes are started: what the first of them compiles the others only read.
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith("PUSHKEEPER_") and key != "PYTHONDONTWRITEBYTECODE"
}


class Running:
    """A `pushkeeper … --json` that has said it is ready.

    A service on a new data folder finds its database there already, migrated by the command for that: to make each from
    nothing takes longer than most tests. With `fresh` it makes it itself.
    """

    def __init__(self, *command, env=None, fresh=False):
        words = [*map(str, command)]
        elsewhere = "PUSHKEEPER_DATABASE_URL" in (env or {}) or "--database-url" in words
        if words[0] in {"serve", "worker"} and not (fresh or elsewhere):
            provide(Path(words[words.index("--data") + 1]))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process; closed by end()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pushkeeper", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**CLEAN, **(env or {})},
        )
        assert self.process.stdout is not None
        self._said = self.process.stdout
        line = self._said.readline()
        if not line:
            raise AssertionError(f"{command} ended with {self.process.wait()}: {self.log()}")
        self.facts = json.loads(line)
        assert self.facts["pid"] == self.process.pid

    def __getitem__(self, fact):
        return self.facts[fact]

    def log(self):
        """What was said on standard error so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def kill(self):
        """kill -9, by pid."""
        self.process.kill()
        self.process.wait()

    def stop(self, within_s=60):
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def end(self):
        if self.process.poll() is None:
            try:
                self.stop(within_s=15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._said.close()
        self._log.close()


@contextmanager
def running(*command, env=None, fresh=False):
    started = Running(*command, env=env, fresh=fresh)
    try:
        yield started
    finally:
        started.end()


def ports_in_a_row(count):
    """The first of so many free ports, found by holding them all at once; none of those that calls go out from."""
    while True:
        first = random.randrange(20_000, 32_000)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


@functools.cache
def _migrated():
    """A PostgreSQL that is stopped, with an empty database of this release."""
    folder = tempfile.TemporaryDirectory(prefix="pk-", dir=PLACE)
    atexit.register(folder.cleanup)
    assert answer("migrate", "--data", folder.name)["applied"]
    return Path(folder.name) / "postgres"


def provide(data):
    """Copy the database into a data folder without one."""
    if not (data / "postgres").exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", _migrated(), data / "postgres"], check=True)


class _Warm:
    """The process that forks for each command (support/warm.py); it ends with this one."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="pk-")
        self._at = str(Path(self._folder.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm.py"), self._at],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=CLEAN,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self.end)

    def run(self, words, env, within_s):
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
        ):
            asked.settimeout(within_s)
            asked.connect(self._at)
            told = {
                "words": words,
                "environment": env,
                "folder": str(Path.cwd()),
            }
            socket.send_fds(asked, [json.dumps(told).encode()], [output.fileno(), errors.fileno()])
            pid = int(asked.recv(32))
            try:
                status = int(asked.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            for file in (output, errors):
                file.seek(0)
            said, complained = output.read().decode(), errors.read().decode()
            return subprocess.CompletedProcess(["pushkeeper", *words], status, said, complained)

    def end(self):
        self._process.communicate()
        self._folder.cleanup()


_warm = functools.cache(_Warm)


def run(*command, env=None):
    """A command to its end: the finished process."""
    return _warm().run([*map(str, command)], {**CLEAN, **(env or {})}, within_s=120)


def answer(*command, env=None):
    """The JSON that a command answers."""
    done = run(*command, "--json", env=env)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def refusal(*command, env=None):
    """The error with which a command ends, and nothing on standard output."""
    done = run(*command, "--json", env=env)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    return json.loads(done.stderr.splitlines()[-1])["error"]
