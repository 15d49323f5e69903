"""A broadcast of 20,000, by `nightly` of 50,000: throttled, paused, resumed and cancelled, while its workers are killed with kill -9."""

from contextlib import ExitStack

import pytest

from pushkeeper.worker.worker import MAX_UNSETTLED
from support import crowd
from support.chaos import Chaos, requests_seen
from support.examples import devices
from support.processes import running
from support.service import Workspace, eventually

DEVICES = devices(20_000)
PER_S = DEVICES // 12


@pytest.fixture
def own_simulator(folder):
    """Push services whose counts nobody else adds to."""
    with running("simulate", "--data", folder / "fifty-simulator") as started:
        yield started


class Campaign:
    """One broadcast, from outside."""

    def __init__(self, workspace, url, **asked):
        self._workspace = workspace
        self._url = url
        made = workspace.app.request(
            "POST",
            "/api/v1/broadcasts",
            {
                "content": {"title": "All", "message": "For {{ person.id }}"},
                "audience": {"filter": "everybody"},
                "throttle": {"per_second": PER_S},
                "start": True,
                **asked,
            },
        )
        assert made[0] == 201, made
        self.number = made[1]["broadcast"]["id"]

    def do(self, what):
        return self._workspace.app("POST", f"/api/v1/broadcasts/{self.number}/{what}")["broadcast"]

    def read(self):
        return self._workspace.app("GET", f"/api/v1/broadcasts/{self.number}")["broadcast"]

    def is_over(self):
        return self.read()["progress"]["unknown"] == "over"

    def endings(self):
        """How its pushes ended, and how many devices that were."""
        rows = crowd.query(
            self._url,
            "select p.ending, push_reason(p.ending, p.provider, p.reason), count(*), count(distinct p.device_id) from pushes p "
            "join broadcasts b using (message_id) where b.broadcast_id = $1 group by 1, 2",
            self.number,
        )
        return {(ending, reason): (pushes, devices) for ending, reason, pushes, devices in rows}

    def spread_s(self):
        """From its first push until its last."""
        [(seconds,)] = crowd.query(
            self._url,
            "select extract(epoch from max(p.settled_at) - min(p.settled_at))::float8 from pushes p "
            "join broadcasts b using (message_id) where b.broadcast_id = $1",
            self.number,
        )
        return seconds


def test_a_broadcast_ends_as_it_was_told_to_whatever_happens_to_its_workers(
    folder, own_simulator, record_property
):
    with ExitStack() as stack:
        chaos = Chaos(folder / "fifty", stack)
        workspace = Workspace("fifty", chaos.api, own_simulator)
        workspace.add_apns()
        url = chaos.api["database_url"]
        crowd.load(url, "fifty", workspace.mint("ios", DEVICES))
        chaos.add_worker()
        chaos.add_worker()
        whole = Campaign(workspace, url)
        _paused_while_workers_change(chaos, workspace, url, whole)
        eventually(whole.is_over, within_s=120)
        assert whole.endings() == {("accepted", "apns_accepted"): (DEVICES, DEVICES)}
        assert whole.spread_s() > DEVICES / PER_S - 1
        assert whole.read()["endings"] == {"accepted": DEVICES}
        repeated = requests_seen(workspace) - DEVICES
        record_property("repeated", repeated)
        assert 0 <= repeated <= chaos.workers_killed * MAX_UNSETTLED + 1

        _cancelled_in_mid_flight(chaos, workspace, Campaign(workspace, url), record_property)


def _paused_while_workers_change(chaos, workspace, url, whole):
    """A worker dies while it sends, and the others while nothing is to be sent; those after them obey too."""
    eventually(lambda: requests_seen(workspace) > DEVICES * 0.16, within_s=60)
    chaos.kill_worker()
    eventually(lambda: requests_seen(workspace) > DEVICES * 0.32, within_s=60)
    whole.do("pause")
    claimed = "select count(*) from batches where lease_until > now()"
    eventually(lambda: crowd.query(url, claimed) == [(0,)], within_s=60)
    held = requests_seen(workspace)
    assert held < DEVICES
    in_flight = chaos.workers_killed
    while chaos.workers:
        chaos.kill_worker()
    chaos.workers_killed = in_flight  # the others had nothing to repeat
    chaos.add_worker()
    chaos.add_worker()
    delivery = workspace.push("p1", title="Alone")
    eventually(lambda: "sent" in workspace.message(delivery)["metrics"], within_s=60)
    assert requests_seen(workspace) == held + 1
    assert whole.read()["state"] == "paused"
    whole.do("resume")
    eventually(lambda: requests_seen(workspace) > held + DEVICES * 0.08, within_s=60)
    chaos.kill_worker()


def _cancelled_in_mid_flight(chaos, workspace, cut, record_property):
    before = requests_seen(workspace)
    eventually(lambda: requests_seen(workspace) > before + DEVICES * 0.16, within_s=60)
    chaos.kill_worker()
    chaos.add_worker()
    killed = chaos.workers_killed
    cut.do("cancel")
    at_cancel = requests_seen(workspace)
    eventually(cut.is_over, within_s=60)
    endings = cut.endings()
    accepted, _ = endings[("accepted", "apns_accepted")]
    skipped, _ = endings[("skipped", "cancelled")]
    assert set(endings) == {("accepted", "apns_accepted"), ("skipped", "cancelled")}
    assert accepted + skipped == DEVICES
    after = requests_seen(workspace) - at_cancel
    record_property("after_the_cancel", after)
    assert after < PER_S  # a second's worth, where four times as many waited
    assert 0 <= requests_seen(workspace) - before - accepted <= killed * MAX_UNSETTLED
    assert cut.read()["state"] == "cancelled"
