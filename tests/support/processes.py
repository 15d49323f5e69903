"""Real processes: started as a user would, ended by pid."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager

CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("PUSHKEEPER_")}


class Running:
    """A `pushkeeper … --json` that has said it is ready."""

    def __init__(self, *command, env=None):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process; closed by end()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pushkeeper", *map(str, command), "--json"],
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
def running(*command, env=None):
    started = Running(*command, env=env)
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


def run(*command, env=None):
    """A command to its end: the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "pushkeeper", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**CLEAN, **(env or {})},
    )


def answer(*command, env=None):
    """The JSON that a command answers."""
    done = run(*command, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(*command, env=None):
    """The error with which a command ends, and nothing on standard output."""
    done = run(*command, "--json", env=env)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    return json.loads(done.stderr.splitlines()[-1])["error"]
