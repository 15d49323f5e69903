"""People are erased by real processes: asked for on the command line, and gone on with after a kill -9."""

import asyncio
import secrets

import asyncpg
import pytest

from support.processes import answer, refusal, running
from support.service import Workspace, eventually

EVENTS = 100_000


def ask(service, query, *args):
    """What the service's database answers."""

    async def asked():
        connection = await asyncpg.connect(service["database_url"])
        try:
            return await connection.fetchval(query, *args)
        finally:
            await connection.close()

    return asyncio.run(asked())


@pytest.fixture
def own_service(folder):
    """A service without a worker, on a folder of its own, so that killing workers disturbs nobody else."""
    with running("serve", "--data", folder / "erasing", "--port", "0", "--no-worker") as started:
        yield started


def test_a_worker_that_is_killed_in_the_middle_leaves_the_rest_to_another(own_service, simulator):
    workspace = Workspace("erasing", own_service, simulator)
    workspace.track("PUT", "/api/v1/customers/ann", {"plan": "pro"})
    workspace.track("PUT", "/api/v1/customers/ben", {})
    ask(
        own_service,
        "insert into events (workspace_id, person_id, kind, name, happened_at) "
        "select i.workspace_id, i.person_id, 'event', 'n', now() from identifiers i, generate_series(1, $1)",
        EVENTS,
    )
    workspace.track("DELETE", "/api/v1/customers/ann")

    def receipt():
        [found] = workspace.app("GET", "/api/v1/erasures?identifier=ann")["erasures"]
        return found

    on = ("--data", own_service["data_dir"])
    with running("worker", *on) as killed:
        eventually(lambda: receipt()["counts"].get("events", 0) > 0)
        killed.kill()
    half = receipt()
    assert half["status"] == "pending"
    assert 0 < half["counts"]["events"] < EVENTS
    left = "select count(*) from events where person_id not in (select person_id from people)"
    assert ask(own_service, left) == EVENTS - half["counts"]["events"], "each page is there with its count"

    with running("worker", *on):
        eventually(lambda: receipt()["status"] == "done", within_s=90)
    assert receipt()["counts"]["events"] == EVENTS
    assert ask(own_service, left) == 0
    assert ask(own_service, "select count(*) from events") == EVENTS, "ben's"


def test_a_person_is_erased_on_the_command_line(workspace):
    name = f"ann-{secrets.token_hex(4)}"
    workspace.track("PUT", f"/api/v1/customers/{name}", {"email": f"{name}@x.example"})
    here = ("--workspace", workspace.name, *workspace.on)
    shown = answer("person", "erase", name, *here)
    assert (shown["erased"], shown["id"], shown["email"]) == (False, name, f"{name}@x.example")
    receipt = answer("person", "erase", f"{name}@x.example", "--yes", *here)
    assert (receipt["status"], receipt["asked_by"]) == ("pending", "command line")
    assert refusal("person", "erase", name, *here)["code"] == "not_found"
    assert answer("person", "erase", name, "--yes", *here)["id"] == receipt["id"], "there is one receipt"
    assert refusal("person", "erase", "nobody", "--yes", *here)["code"] == "not_found"

    def found():
        return answer("person", "receipts", "--of", name, *here)

    eventually(lambda: found()[0]["status"] == "done")
    assert [one["id"] for one in found()] == [receipt["id"]]
    assert answer("person", "receipts", "--of", "nobody", *here) == []
