"""Whatever happens to a database machine: writes come back in time, and nothing acknowledged is lost.

Run by `make test-ha`. With PUSHKEEPER_HA_RESULTS=FILE each case appends its figures there, a row of a Markdown table.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from ha.cluster import Cluster
from ha.traffic import REGISTRATIONS_PER_S, SENDS_PER_S, Traffic
from pushkeeper.store.db import embedded
from pushkeeper.store.db.listening import LISTENING
from pushkeeper.worker.worker import MAX_UNSETTLED
from support import crowd
from support.processes import running
from support.service import Workspace, eventually

DEVICES = 8_000
PER_S = 400
ANSWERED_WITHIN_S = 10.0
HEARS_WITHIN_S = 1  # a worker that hears nothing looks every two to five seconds
SETTLED_S = 5  # of undisturbed traffic, before the fault and after it


@pytest.fixture(scope="module")
def cluster(request):
    programs = request.config.getoption("postgres") or embedded.programs()
    with tempfile.TemporaryDirectory(prefix="pk-ha-") as folder:
        started = Cluster(Path(folder), programs)
        yield started
        started.end()


def leads(cluster, wanted):
    return any(
        member["role"] == "leader" and member["state"] == "running" and wanted(member["name"])
        for member in cluster.members()
    )


def another_leads(cluster, former):
    return lambda: leads(cluster, lambda name: name != former.name)


# What happens, how to see that the cluster is through it, and how the machine comes back.


def switchover(cluster):
    former = cluster.primary()
    former.patronictl("switchover", "--force", "pushkeeper")
    return another_leads(cluster, former), lambda: None


def postmaster_killed(cluster):
    primary = cluster.primary()
    killed = primary.postmaster()
    killed.kill()

    def leads_again():
        return leads(cluster, lambda name: name != primary.name or primary.postmaster() not in (None, killed))

    return leads_again, lambda: None


def node_dies(cluster):
    primary = cluster.primary()
    primary.kill()
    return another_leads(cluster, primary), primary.start_patroni


def link_cut(cluster):
    primary = cluster.primary()
    primary.cut()
    return another_leads(cluster, primary), primary.repair


def node_frozen(cluster):
    primary = cluster.primary()
    primary.freeze()
    return another_leads(cluster, primary), primary.thaw


def standby_dies(cluster):
    standby = cluster.standby()
    standby.kill()

    def another_is_synchronous():
        return any(
            member["role"] == "sync_standby" and member["name"] != standby.name
            for member in cluster.members()
        )

    return another_is_synchronous, standby.start_patroni


BOUNDS_S = {
    switchover: 5,
    postmaster_killed: 20,
    node_dies: 20,
    link_cut: 40,
    node_frozen: 40,
    standby_dies: 20,
}


class Fleet:
    """One API, two workers and the push services, on the cluster by one of its entrances."""

    def __init__(self, stack, url):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pk-")))
        env = {
            "PUSHKEEPER_DATABASE_URL": url,
            "PUSHKEEPER_SECRET_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        }
        on = ("--data", folder)
        self.simulator = stack.enter_context(
            running("simulate", "--data", folder / "simulator", "--profile", "friendly")
        )
        self.service = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker", env=env))
        self.workers = [stack.enter_context(running("worker", *on, env=env)) for _ in range(2)]
        self.workspace = Workspace(f"ha-{secrets.token_hex(4)}", self.service, self.simulator, env=env)
        self.workspace.add_fcm()
        self.workspace.add_apns()

    def died(self):
        return [one.facts for one in (self.service, *self.workers) if one.process.poll() is not None]

    def claims_lost(self):
        return sum(len(re.findall('"claims?_lost"', worker.log())) for worker in self.workers)

    def repeats(self):
        return self.workspace.control("GET", "/counts")["repeated_accepts"]

    @contextmanager
    def only(self, worker):
        """The other workers stand still."""
        others = [psutil.Process(one["pid"]) for one in self.workers if one is not worker]
        for other in others:
            other.suspend()
        try:
            yield
        finally:
            for other in others:
                other.resume()


class Broadcast:
    def __init__(self, workspace):
        asked = {
            "content": {"title": "All", "message": "For {{ person.id }}"},
            "audience": {"filter": "platform = ios"},
            "throttle": {"per_second": PER_S},
            "start": True,
        }
        self._workspace = workspace
        self.number = workspace.app("POST", "/api/v1/broadcasts", asked)["broadcast"]["id"]

    def read(self):
        return self._workspace.app("GET", f"/api/v1/broadcasts/{self.number}")["broadcast"]

    def rows(self, url):
        """How its pushes ended: how many rows, and devices."""
        return crowd.query(
            url,
            "select p.ending, count(*), count(distinct p.device_id) from pushes p "
            "join broadcasts b using (message_id) where b.broadcast_id = $1 group by 1",
            self.number,
        )


def lone_pushes_s(fleet, traffic):
    """Of each worker, while it is the only one: how long a single push takes, from the call to the push service.

    The median of five: one that comes just before a worker looks by itself is as fast as one with a notification.
    """
    found = []
    for worker in fleet.workers:
        with fleet.only(worker):
            took = []
            for _ in range(5):
                person, token = traffic.next_target()
                began = time.monotonic()
                fleet.workspace.push(person)
                eventually(lambda token=token: fleet.workspace.journal(token))
                took.append(time.monotonic() - began)
            found.append(median(took))
    return found


@pytest.mark.parametrize("entrance", ["haproxy", "multihost"])
@pytest.mark.parametrize("fault", BOUNDS_S, ids=lambda fault: fault.__name__)
def test_writes_come_back_in_time_and_nothing_acknowledged_is_lost(cluster, fault, entrance):
    cluster.wait_until_whole()
    cluster.empty_database()
    url = cluster.urls[entrance]
    with ExitStack() as stack:
        fleet = Fleet(stack, url)
        workspace = fleet.workspace
        crowd.load(url, workspace.name, workspace.mint("ios", DEVICES))
        traffic = Traffic(workspace, url)
        with traffic:
            broadcast = Broadcast(workspace)
            undisturbed(traffic)
            is_over, come_back = fault(cluster)
            try:
                eventually(is_over, within_s=120)
                undisturbed(traffic)
            finally:
                come_back()
            cluster.wait_until_whole()
            undisturbed(traffic)
        eventually(lambda: broadcast.rows(url) == [("accepted", DEVICES, DEVICES)], within_s=120)
        eventually(lambda: crowd.query(url, "select count(*) from batches") == [(0,)], within_s=60)
        lone_s = lone_pushes_s(fleet, traffic)

        figures = {
            "fault": fault.__name__.replace("_", " "),
            "entrance": entrance,
            "gap_s": round(traffic.longest_gap_s(), 1),
            "slowest_s": round(traffic.slowest().took_s, 1),
            "calls": len(traffic.calls),
            "503": sum(call.status == 503 for call in traffic.calls),
            "lost": traffic.lost(url),
            "repeats": fleet.repeats(),
            "claims_lost": fleet.claims_lost(),
            "listening": crowd.query(
                url, "select count(*) from pg_stat_activity where application_name = $1", LISTENING
            )[0][0],
            "lone_ms": round(max(lone_s) * 1000),
        }
        report(figures)
        assert fleet.died() == []
        assert traffic.refused() == [], figures
        assert traffic.slowest().took_s < ANSWERED_WITHIN_S, traffic.slowest()
        assert figures["lost"] == (0, 0)
        assert broadcast.read()["endings"] == {"accepted": DEVICES}
        assert figures["listening"] >= len(fleet.workers)
        assert max(lone_s) < HEARS_WITHIN_S, lone_s
        assert figures["repeats"] <= (MAX_UNSETTLED * len(fleet.workers) if figures["claims_lost"] else 0)
        assert figures["gap_s"] <= BOUNDS_S[fault], figures


def undisturbed(traffic):
    """Wait until so much more is acknowledged as comes in some seconds without a fault."""
    wanted = SETTLED_S * (REGISTRATIONS_PER_S + SENDS_PER_S)
    since = time.monotonic()
    eventually(lambda: traffic.acknowledged_since(since) >= wanted, within_s=180)


def report(figures):
    if path := os.environ.get("PUSHKEEPER_HA_RESULTS"):
        with Path(path).open("a") as rows:
            rows.write("| " + " | ".join(map(str, figures.values())) + " |\n")
