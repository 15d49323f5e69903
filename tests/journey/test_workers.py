"""Many workers on one database: they share the work, and what one leaves behind another takes up."""

import contextlib

import psutil
import pytest

from pushkeeper.cli.children import LONGEST_PAUSE_S, pause_s
from pushkeeper.worker.worker import MAX_UNSETTLED
from support import crowd
from support.processes import refusal, running
from support.service import Workspace, eventually

DEVICES = 12_000


def test_serve_runs_workers_beside_it_restarts_what_dies_and_drains_all(folder, simulator):
    with running("serve", "--data", folder / "fleet", "--port", "0", "--workers", "2") as service:
        serving = psutil.Process(service["pid"])
        first, second = eventually(lambda: two_of(serving))
        workspace = Workspace("fleet", service, simulator)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        workspace.push_and_wait("ann")
        assert workspace.status(token) == "sent"

        first.kill()
        replaced = eventually(lambda: [w for w in two_of(serving) if w not in {first, second}])
        workspace.push_and_wait("ann")
        assert service.stop(within_s=60) == 0
        assert not any(process.is_running() for process in (second, *replaced))
        log = service.log()
    assert '"event":"child_process_ended"' in log
    assert f'"pid":{first.pid}' in log
    # They end with what they did last: told to, not killed.
    assert "child_process_does_not_end" not in log


def test_workers_end_with_the_service_that_was_killed(folder):
    with running("serve", "--data", folder / "orphans", "--port", "0", "--workers", "2") as service:
        workers = eventually(lambda: two_of(psutil.Process(service["pid"])))
        service.kill()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert (len(gone), alive) == (2, [])


def two_of(serving):
    """The worker processes of a service, once there are two."""
    workers = []
    for child in serving.children():
        with contextlib.suppress(psutil.Error):
            if "--child" in child.cmdline():
                workers.append(child)
    return workers if len(workers) == 2 else []


@pytest.mark.parametrize(("deaths", "wait_s"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (8, LONGEST_PAUSE_S)])
def test_who_dies_again_and_again_is_started_less_and_less_often(deaths, wait_s):
    assert pause_s(deaths) == wait_s


def test_a_number_of_workers_that_makes_no_sense_is_refused(folder):
    on = ("serve", "--data", folder / "refused", "--port", "0")
    assert "workers" in refusal(*on, "--workers", "-1")["message"]
    assert "workers" in refusal(*on, "--workers", "2", "--no-worker")["message"]


def test_four_workers_of_which_two_are_killed_send_a_broadcast_to_everyone(folder):
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(running("simulate", "--data", folder / "four-simulator"))
        on = ("--data", folder / "four")
        service = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker"))
        workspace = Workspace("four", service, simulator)
        workspace.add_apns()
        url = service["database_url"]
        tokens = workspace.mint("ios", DEVICES)
        workspace_id = crowd.load(url, "four", tokens)
        workers = [stack.enter_context(running("worker", *on)) for _ in range(4)]
        message = crowd.broadcast(url, workspace_id, "to all")
        eventually(lambda: asked(workspace) > 2_000, within_s=60)
        workers[0].kill()
        workers[1].kill()
        settled = "select count(*), count(distinct device_id) from pushes where message_id = $1"
        eventually(lambda: crowd.query(url, settled, message) == [(DEVICES, DEVICES)], within_s=180)
        # What is sent once more, as its claim ran out, may be the last to be settled.
        eventually(lambda: crowd.query(url, "select count(*) from batches") == [(0,)])
        endings = crowd.query(url, "select ending, count(*) from pushes group by 1")
        assert endings == [("accepted", DEVICES)]
        assert crowd.query(url, "select distinct status from devices") == [("sent",)]
        assert 0 <= asked(workspace) - DEVICES <= 2 * MAX_UNSETTLED
        assert [worker.stop() for worker in workers[2:]] == [0, 0]


def asked(workspace):
    return workspace.control("GET", "/counts")["providers"].get("apns", 0)


def test_a_postgresql_of_ones_own_is_shared_by_services_and_workers(database_url, folder, simulator):
    crowd.query(database_url, "create database own")
    url = database_url.replace("/postgres?", "/own?")
    assert url != database_url
    env = {
        "PUSHKEEPER_DATABASE_URL": url,
        "PUSHKEEPER_SECRET_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    with (
        running("serve", "--data", folder / "own-a", "--port", "0", "--no-worker", env=env) as one,
        running("serve", "--data", folder / "own-b", "--port", "0", "--no-worker", env=env) as other,
        running("worker", "--data", folder / "own-c", env=env),
    ):
        workspace = Workspace("own", one, simulator, env=env)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        workspace.at(other).push_and_wait("ann")
        assert workspace.status(token) == "sent"
        for name in ("own-a", "own-b", "own-c"):
            assert not (folder / name / "postgres").exists()
