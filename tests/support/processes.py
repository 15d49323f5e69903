"""Real processes: started as a user would, ended by pid."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("PUSHKEEPER_")}


class Running:
    """A `pushkeeper … --json` that has said it is ready."""

    def __init__(self, *command, env=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pushkeeper", *map(str, command), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**CLEAN, **(env or {})},
        )
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate()
            raise AssertionError(f"{command} ended with {self.process.returncode}: {said.decode()}")
        self.facts = json.loads(line)
        assert self.facts["pid"] == self.process.pid

    def __getitem__(self, fact):
        return self.facts[fact]

    def kill(self):
        """kill -9, by pid."""
        self.process.kill()
        self.process.communicate()

    def stop(self):
        """SIGTERM; return the exit code and what was said on standard error."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=15)
        return self.process.returncode, said.decode()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running(*command, env=None):
    started = Running(*command, env=env)
    try:
        yield started
    finally:
        started.end()


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
