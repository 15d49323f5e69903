"""kill -9 of every process in mid-broadcast: nothing acknowledged is lost, and little is sent twice."""

import random
from contextlib import ExitStack

import pytest

from pushkeeper.worker.worker import MAX_UNSETTLED
from support import crowd
from support.chaos import Chaos, requests_seen
from support.processes import running
from support.service import Workspace, eventually

DEVICES = 20_000
GONE = 2_000  # uninstalled before the first broadcast, and as many between the two
FINAL = {"accepted", "bounced"}


@pytest.fixture
def own_simulator(folder):
    """Push services whose counts nobody else adds to."""
    with running("simulate", "--data", folder / "chaos-simulator") as started:
        yield started


def settled(url, message):
    try:
        [(count,)] = crowd.query(url, "select count(*) from pushes where message_id = $1", message)
    except OSError:
        return 0
    return count


def test_a_broadcast_survives_kill_9_of_worker_api_and_postgresql_one_by_one_and_all_at_once(
    folder, own_simulator, record_property
):
    moments = random.Random(20_000)
    with ExitStack() as stack:
        chaos = Chaos(folder / "chaos", stack)
        workspace = Workspace("chaos", chaos.api, own_simulator)
        workspace.add_apns()
        url = chaos.api["database_url"]
        tokens = workspace.mint("ios", DEVICES)
        workspace_id = crowd.load(url, "chaos", tokens)
        first_gone, second_gone = tokens[:GONE], tokens[GONE : 2 * GONE]
        well = [f"p{number}" for number in range(2 * GONE, DEVICES)]

        def reach(low, high):
            """Wait until the push services have seen a number of requests in this range."""
            target = moments.randint(low, high)
            eventually(lambda: requests_seen(workspace) >= target, within_s=90)

        client = stack.enter_context(crowd.Sender(workspace, well))
        workspace.control("POST", "/uninstall", {"tokens": first_gone})
        first = crowd.broadcast(url, workspace_id, "first")
        chaos.add_worker()
        chaos.add_worker()
        reach(1_500, 4_000)
        chaos.kill_worker()
        chaos.add_worker()
        reach(6_000, 8_000)
        chaos.api.kill()
        client.workspace = workspace = workspace.at(chaos.start_api())
        reach(10_000, 12_000)
        _kill_postgres_and_see_it_refuse(chaos, client)
        eventually(lambda: settled(url, first) == DEVICES, within_s=90)

        workspace.control("POST", "/uninstall", {"tokens": second_gone})
        before = requests_seen(workspace)
        second = crowd.broadcast(url, workspace_id, "second")
        reach(before + 3_000, before + 9_000)
        chaos.kill_everything()
        assert settled(url, second) < DEVICES
        client.workspace = workspace = workspace.at(chaos.start_api())
        chaos.add_worker()
        eventually(lambda: settled(url, second) == DEVICES, within_s=90)
        client.__exit__()
        eventually(lambda: crowd.query(url, "select count(*) from batches") == [(0,)], within_s=60)

        _every_push_is_settled_once(url, first, second)
        expected = dict.fromkeys(tokens, "sent")
        expected |= dict.fromkeys(first_gone, "suppressed") | dict.fromkeys(second_gone, "bounced")
        assert dict(crowd.query(url, "select token, status from devices")) == expected
        _nothing_acknowledged_is_lost(chaos, workspace, client)
        repeated = _requests_beyond_the_rows(workspace, url)
        record_property("repeated", repeated)
        assert 0 <= repeated <= chaos.workers_killed * MAX_UNSETTLED


def _kill_postgres_and_see_it_refuse(chaos, client):
    """The API says 503 for as long as it is away, and the process that uses it starts it again."""
    refusals, acknowledged = len(client.refused), len(client.acknowledged)
    killed = chaos.kill_postgres()
    eventually(lambda: len(client.refused) > refusals)
    eventually(lambda: chaos.pgdata.joinpath("postmaster.pid").exists() and chaos.postmaster() != killed)
    eventually(lambda: len(client.acknowledged) > acknowledged + 5)
    assert chaos.api.process.poll() is None
    assert all(worker.process.poll() is None for worker in chaos.workers)
    logs = [chaos.api.log(), *(worker.log() for worker in chaos.workers)]
    assert sum(log.count("postgres_was_gone_and_runs_again") for log in logs) == 1


def _requests_beyond_the_rows(workspace, url):
    """How many requests the push services had that no row counts: in flight at a kill, and sent again."""
    [(attempts,)] = crowd.query(url, "select sum(attempts) from pushes where provider is not null")
    return requests_seen(workspace) - attempts


def _nothing_acknowledged_is_lost(chaos, workspace, client):
    assert client.acknowledged
    for delivery in client.acknowledged:
        assert "sent" in workspace.message(delivery)["metrics"]
    assert {status for status, _ in client.refused} == {503}, chaos.exceptions()
    assert all(retry_after for _, retry_after in client.refused)


def _every_push_is_settled_once(url, *messages):
    rows = crowd.query(
        url,
        "select message_id, count(*), count(distinct device_id) from pushes "
        "where message_id = any ($1) group by 1",
        list(messages),
    )
    assert {(message, pushes, of) for message, pushes, of in rows} == {
        (message, DEVICES, DEVICES) for message in messages
    }
    endings = {ending for (ending,) in crowd.query(url, "select distinct ending from pushes")}
    assert endings == FINAL
