"""A database that breaks in mid-broadcast, while several send: each push ends once, and nothing ends that should go on."""

import contextlib
import threading

from support import crowd
from support.disk import fill, small_disk
from support.processes import running
from support.service import Workspace, eventually

DEVICES = 12_000
UNDER_WAY = 1_500
BY_US = "application_name like 'pushkeeper%' and pid <> pg_backend_pid()"


class Sending:
    """A service, some that send, and a broadcast to everybody."""

    def __init__(self, stack, folder, name, workers, disk=None):
        simulator = stack.enter_context(running("simulate", "--data", folder / f"{name}-simulator"))
        on = ("--data", (disk or folder) / name)
        self.service = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker"))
        self.url = self.service["database_url"]
        self.workspace = Workspace("broken", self.service, simulator)
        self.workspace.add_apns()
        tokens = self.workspace.mint("ios", DEVICES)
        self.workspace_id = crowd.load(self.url, "broken", tokens)
        self.workers = [stack.enter_context(running("worker", *on)) for _ in range(workers)]

    def begin(self):
        self.message = crowd.broadcast(self.url, self.workspace_id, "to all")
        eventually(lambda: self.asked() > UNDER_WAY, within_s=60)

    def asked(self):
        """How many pushes the push services were sent."""
        return self.workspace.control("GET", "/counts")["providers"].get("apns", 0)

    def query(self, sql, *args):
        """The rows of a query; none while the server does not answer."""
        try:
            return crowd.query(self.url, sql, *args)
        except (OSError, crowd.asyncpg.PostgresError, crowd.asyncpg.InterfaceError):
            return []

    def waits(self, task):
        """Whether each worker said that a task of it waits for the database."""
        words = '"event":"task_waits_for_the_database"', f'"task":"{task}"'
        return all(
            any(all(word in line for word in words) for line in worker.log().splitlines())
            for worker in self.workers
        )

    def finish(self):
        settled = "select count(*) from pushes where message_id = $1"
        eventually(lambda: self.query(settled, self.message) == [(DEVICES,)], within_s=120)

    def check(self):
        """Each push has one ending, the right one, and what was sent twice is what somebody lost the claim of."""
        eventually(lambda: self.query("select count(*) from batches") == [(0,)], within_s=60)
        by_ending = (
            "select ending, count(*), count(distinct device_id) from pushes where message_id = $1 group by 1"
        )
        assert self.query(by_ending, self.message) == [("accepted", DEVICES, DEVICES)]
        assert self.query("select status, count(*) from devices group by 1") == [("sent", DEVICES)]
        # The route's counts are of those same pushes, and each request is an attempt that a row counts.
        [(rows, attempts)] = self.query(
            "select count(*), sum(attempts) from pushes where provider is not null"
        )
        assert self.query("select sum(accepted)::int from route_hours") == [(rows,)]
        repeated = self.asked() - attempts
        assert repeated == 0 or any("claims_lost" in worker.log() for worker in self.workers), repeated
        for process in (self.service, *self.workers):
            assert process.process.poll() is None
            assert '"event":"task_failed"' not in process.log()
            assert '"event":"request_failed"' not in process.log()
        assert [worker.stop() for worker in self.workers] == [0] * len(self.workers)


def test_while_the_disk_is_full_several_workers_keep_what_they_know_and_send_nothing_twice(folder):
    with small_disk(256) as disk, contextlib.ExitStack() as stack:
        sending = Sending(stack, folder, "full", workers=3, disk=disk)
        sending.begin()
        ballast = fill(disk)
        eventually(lambda: sending.waits("settle"), within_s=60)
        ballast.unlink()
        sending.finish()
        sending.check()


def test_connections_that_are_ended_again_and_again_cost_nothing_but_time(folder):
    with contextlib.ExitStack() as stack:
        sending = Sending(stack, folder, "ended", workers=2)
        client = stack.enter_context(crowd.Sender(sending.workspace, ["p0", "p1", "p2"]))
        ended = threading.Event()
        killed = []

        def end_them():
            while not ended.wait(0.2):
                killed.append(
                    sending.query(
                        f"select count(pg_terminate_backend(pid)) from pg_stat_activity where {BY_US}"
                    )
                )

        ending = threading.Thread(target=end_them)
        sending.begin()
        ending.start()
        try:
            sending.finish()
        finally:
            ended.set()
            ending.join()
        client.__exit__()
        eventually(lambda: sending.query("select count(*) from batches") == [(0,)], within_s=60)
        assert sum(rows[0][0] for rows in killed if rows) > 20
        assert {status for status, _ in client.refused} <= {503}
        for delivery in client.acknowledged:
            assert "sent" in sending.workspace.message(delivery)["metrics"]
        sending.check()
