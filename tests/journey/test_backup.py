"""The guide to backup and restore, followed; and what it says of a restore to an earlier moment, seen."""

import json
import secrets
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from pushkeeper.store.db.embedded import programs
from support import crowd
from support.pages import Shell, blocks
from support.processes import running
from support.service import Workspace, eventually

PAGE = "how-to/back-up-and-restore.md"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def section(under):
    return "".join(blocks(PAGE, under=under))


def identities(workspace, token):
    return {request["headers"]["apns-id"] for request in workspace.journal(token)}


@pytest.fixture
def shell(folder):
    """On data folders of its own, which have to have short paths."""
    made = folder / f"b{secrets.token_hex(3)}"
    yield Shell(made, PUSHKEEPER_DATA_DIR=str(made / "data"))
    shutil.rmtree(made)


def test_pushes_queued_at_the_dump_are_sent_again_with_the_same_identity_or_expire_on_request(
    shell, simulator
):
    on = ("--data", shell.env["PUSHKEEPER_DATA_DIR"])
    with running("serve", *on, "--port", "0", "--no-worker") as service:
        workspace = Workspace("before", service, simulator)
        workspace.add_apns()
        workspace.add_fcm()
        iphone, android = workspace.mint("ios")[0], workspace.mint("android")[0]
        workspace.register("ann", iphone, "ios")
        workspace.register("ben", android, "android")
        waiting = workspace.push("ann")
        shell.run(section("Back up"))
        # All that follows is after the moment of the dump.
        lost = workspace.push("ben")
        workspace.register("cleo", workspace.mint("android")[0], "android")
        with running("worker", *on):
            eventually(lambda: sum(workspace.pushes().values()) == 2)
        assert "sent" in workspace.message(waiting)["metrics"]
        assert "sent" in workspace.message(lost)["metrics"]
    assert len(workspace.journal(iphone)) == 1

    shutil.rmtree(shell.env["PUSHKEEPER_DATA_DIR"])  # the disk is gone
    restored(shell)
    with running("serve", *on, "--port", "0") as service:
        workspace = workspace.at(service)
        eventually(lambda: sum(workspace.pushes().values()) == 1)
        assert "sent" in workspace.message(waiting)["metrics"]
        assert workspace.app.request("GET", f"/v1/messages/{lost}")[0] == 404
        assert workspace.app.request("GET", "/v1/customers/cleo/attributes")[0] == 404
    assert len(workspace.journal(iphone)) == 2
    assert len(identities(workspace, iphone)) == 1, "the phone shows it once"

    restored(shell)
    shell.run(section("Effects of restoring"))
    with running("serve", *on, "--port", "0") as service:
        workspace = workspace.at(service)
        eventually(lambda: workspace.pushes() == {("expired", "expired"): 1})
    assert len(workspace.journal(iphone)) == 2


def restored(shell):
    """As the page has it: the doctor, at its end, finds nothing wrong but that nobody sends yet."""
    *commands, doctor = blocks(PAGE, under="Restore")
    shell.run("".join(commands))
    found = json.loads(shell.run(doctor.strip() + " --json || true"))["findings"]
    assert {finding["check"] for finding in found if finding["state"] == "wrong"} <= {"workers", "queue"}
    assert {finding["state"] for finding in found if finding["check"] in {"keys", "probe"}} == {"ok"}


def test_a_postgresql_of_ones_own_is_dumped_and_restored_by_the_same_commands(shell, simulator, database_url):
    name, other = f"own_{secrets.token_hex(4)}", f"restored_{secrets.token_hex(4)}"
    crowd.query(database_url, f"create database {name}")
    crowd.query(database_url, f"create database {other}")
    # The programs of the server's version, as the page asks for.
    shell.env["PATH"] = f"{shell.env['PATH'].split(':')[0]}:{programs()}:{shell.env['PATH']}"
    shell.env["PUSHKEEPER_SECRET_KEY"] = KEY
    shell.env["PUSHKEEPER_DATABASE_URL"] = database_url.replace("/postgres?", f"/{name}?")
    env = {key: shell.env[key] for key in ("PUSHKEEPER_SECRET_KEY", "PUSHKEEPER_DATABASE_URL")}
    with running("serve", "--data", shell.folder / "a", "--port", "0", env=env) as service:
        workspace = Workspace("own", service, simulator, env=env)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        workspace.push_and_wait("ann")
        history = workspace.history(token)
        shell.run(blocks(PAGE, under="Back up")[0])
    shell.env["PUSHKEEPER_DATABASE_URL"] = database_url.replace("/postgres?", f"/{other}?")
    text = blocks(PAGE, under="Restore")[1].replace("template1 postgres", f"template1 {other}")
    shell.run(text.replace("--dbname=postgres", f"--dbname={other}"))
    with ExitStack() as stack:
        env["PUSHKEEPER_DATABASE_URL"] = shell.env["PUSHKEEPER_DATABASE_URL"]
        service = stack.enter_context(running("serve", "--data", shell.folder / "b", "--port", "0", env=env))
        workspace = workspace.at(service)
        assert workspace.history(token) == history
        workspace.push_and_wait("ann")
        assert workspace.status(token) == "sent"


def test_a_dump_without_its_key_is_told_by_the_doctor(shell, simulator):
    data = Path(shell.env["PUSHKEEPER_DATA_DIR"])
    with running("serve", "--data", data, "--port", "0", "--no-worker") as service:
        workspace = Workspace("keyless", service, simulator)
        workspace.add_fcm()
    (data / "secret.key").unlink()
    shell.run("pushkeeper migrate")  # makes another key
    said = shell.run("pushkeeper doctor || true")
    assert "encrypted with another key" in said
    assert "restore the secret key" in said
