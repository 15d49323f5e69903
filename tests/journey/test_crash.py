"""kill -9 at the worst moment loses nothing that was acknowledged."""

import pytest

from support.processes import running
from support.service import Workspace, eventually

PEOPLE = 150
SLOW = 60  # fewer than the streams of one connection, so that all of them are on their way at once


@pytest.fixture(scope="module")
def own_service(folder):
    """A service without a worker, on a folder of its own, so that killing workers disturbs nobody else."""
    with running("serve", "--data", folder / "crash", "--port", "0", "--no-worker") as started:
        yield started


def test_a_worker_killed_in_mid_send_loses_nothing_and_repeats_only_what_was_in_flight(
    own_service, simulator
):
    workspace = Workspace("crash", own_service, simulator)
    workspace.add_fcm()
    tokens = workspace.mint("android", PEOPLE)
    for person, token in enumerate(tokens):
        workspace.register(f"p{person}", token, "android")
    slow = tokens[-SLOW:]
    for token in slow:
        # Accepted by the push service, whose answer is still on its way when the worker dies.
        workspace.control(
            "POST", "/script", {"token": token, "answers": [{"status": 200, "delay_ms": 60_000}]}
        )
    deliveries = [workspace.push(f"p{person}") for person in range(PEOPLE)]

    on = ("--data", own_service["data_dir"])
    with running("worker", *on) as killed:
        eventually(lambda: all(workspace.journal(token) for token in slow))
        eventually(lambda: sum(workspace.pushes().values()) >= PEOPLE - len(slow))
        killed.kill()
    assert sum(workspace.pushes().values()) == PEOPLE - len(slow)

    with running("worker", *on):
        eventually(lambda: sum(workspace.pushes().values()) >= PEOPLE, within_s=60)
    assert workspace.pushes() == {("accepted", "fcm_accepted"): PEOPLE}
    assert all("sent" in workspace.message(delivery)["metrics"] for delivery in deliveries)
    assert {workspace.status(token) for token in tokens} == {"sent"}
    repeated = {token: len(workspace.journal(token)) for token in tokens}
    assert all(repeated[token] == 1 for token in tokens[:-SLOW])
    assert all(repeated[token] == 2 for token in slow)
    for token in slow:
        tags = [
            request["body"]["message"]["android"]["notification"]["tag"]
            for request in workspace.journal(token)
        ]
        assert len(set(tags)) == 1, "a repeat replaces itself on the phone"


def test_sigterm_drains_and_exits_0(own_service, simulator):
    workspace = Workspace("drain", own_service, simulator)
    workspace.add_fcm()
    [token] = workspace.mint("android")
    workspace.register("ann", token, "android")
    workspace.control("POST", "/script", {"token": token, "answers": [{"status": 200, "delay_ms": 1_000}]})
    with running("worker", "--data", own_service["data_dir"]) as worker:
        delivery = workspace.push("ann")
        eventually(lambda: workspace.journal(token))
        assert worker.stop() == 0
    assert "sent" in workspace.message(delivery)["metrics"]


def test_a_killed_service_starts_again_with_all_that_it_acknowledged(folder, simulator):
    data = folder / "killed"
    with running("serve", "--data", data, "--port", "0") as service:
        workspace = Workspace("killed", service, simulator)
        workspace.add_apns()
        [token] = workspace.mint("ios")
        workspace.register("ann", token, "ios")
        delivery = workspace.push("ann")
        service.kill()
    with running("serve", "--data", data, "--port", "0") as service:
        again = workspace.at(service)
        eventually(lambda: "sent" in again.message(delivery)["metrics"], within_s=60)
        assert again.status(token) == "sent"
