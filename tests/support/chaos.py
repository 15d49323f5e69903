"""Processes that are killed with kill -9 and started again, while the push services count."""

from pathlib import Path

import psutil

from support.processes import running


class Chaos:
    """One API, two workers and their PostgreSQL, each of which can be killed and is started again."""

    def __init__(self, data, stack):
        self._on = ("--data", data)
        self._stack = stack
        self.apis = []
        self.start_api()
        self.workers = []
        self.workers_killed = 0
        self.pgdata = Path(self.api["data_dir"]) / "postgres"

    def _start(self, *command):
        return self._stack.enter_context(running(*command))

    def exceptions(self):
        """What the APIs and workers that still have a log say went wrong in them."""
        return [line for api in self.apis for line in api.log().splitlines() if "exception" in line]

    def add_worker(self):
        self.workers.append(self._start("worker", *self._on))

    def kill_worker(self):
        self.workers.pop(0).kill()
        self.workers_killed += 1

    def kill_everything(self):
        self.kill_postgres()
        self.api.kill()
        while self.workers:
            self.kill_worker()

    def start_api(self):
        self.api = self._start("serve", *self._on, "--port", "0", "--no-worker")
        self.apis.append(self.api)
        return self.api

    def postmaster(self):
        return psutil.Process(int((self.pgdata / "postmaster.pid").read_text().split("\n")[0]))

    def kill_postgres(self):
        postmaster = self.postmaster()
        postmaster.kill()
        return postmaster


def requests_seen(workspace):
    return workspace.control("GET", "/counts")["providers"].get("apns", 0)
