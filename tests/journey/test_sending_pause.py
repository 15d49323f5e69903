"""A pause of all sending outlives a kill -9 of the worker, and nothing is lost by it."""

from contextlib import ExitStack

import pytest

from support import crowd
from support.chaos import Chaos, requests_seen
from support.processes import running
from support.service import Workspace, eventually

DEVICES = 3_000


@pytest.fixture
def own_simulator(folder):
    """Push services whose counts nobody else adds to."""
    with running("simulate", "--data", folder / "pause-simulator") as started:
        yield started


def settled(url, message):
    [(count,)] = crowd.query(url, "select count(*) from pushes where message_id = $1", message)
    return count


def test_a_new_worker_sends_nothing_of_a_paused_workspace_until_it_is_resumed(folder, own_simulator):
    with ExitStack() as stack:
        chaos = Chaos(folder / "pause", stack)
        paused = Workspace("paused", chaos.api, own_simulator)
        paused.add_apns()
        neighbour = Workspace("neighbour", chaos.api, own_simulator)
        neighbour.add_fcm()
        [phone] = neighbour.mint("android")
        neighbour.register("ann", phone, "android")
        url = chaos.api["database_url"]
        workspace_id = crowd.load(url, "paused", paused.mint("ios", DEVICES))
        message = crowd.broadcast(url, workspace_id, "first")
        chaos.add_worker()
        eventually(lambda: requests_seen(paused) >= DEVICES // 6)
        chaos.kill_worker()
        answer = paused.app("POST", "/api/v1/sending/pause", {"reason": "wrong link"})
        assert answer["sending"]["paused"]
        chaos.add_worker()
        neighbour.push_and_wait("ann")
        before = requests_seen(paused)
        neighbour.push_and_wait("ann")
        assert requests_seen(paused) == before < DEVICES
        paused.app("POST", "/api/v1/sending/resume", {})
        eventually(lambda: settled(url, message) == DEVICES, within_s=120)
        endings = crowd.query(url, "select distinct ending from pushes where message_id = $1", message)
        assert endings == [("accepted",)]
