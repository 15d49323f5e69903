"""What is around the service fails, and comes back: nothing acknowledged is lost, and it goes on by itself."""

import asyncio
import contextlib
import http.client
import json
import secrets
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from support import crowd
from support.disk import fill, small_disk
from support.processes import run, running
from support.service import Http, Workspace, eventually

FILES = 20
PACE_S = 0.01  # of each writer: what they wrote is read again in the end
# A setting of the server also applies to a client that would change it.
WRITING = {"PGOPTIONS": "-c default_transaction_read_only=off"}
UNHINDERED = {"PGOPTIONS": "-c default_transaction_read_only=off -c statement_timeout=0"}


class Writers:
    """Four threads that register devices, one after the other at a pace, and count how each was answered."""

    def __init__(self, workspace):
        self._workspace = workspace
        self._ended = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[tuple[int, int, str]] = []
        self._threads = [threading.Thread(target=self._write) for _ in range(4)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _write(self):
        parts, headers = self._workspace.track.parts, self._workspace.track.headers
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        while not self._ended.wait(PACE_S):
            token = secrets.token_hex(70)
            body = {"device": {"id": token, "platform": "android", "attributes": {"filling": "x" * 900}}}
            path = f"/api/v1/customers/{token[:12]}/devices"
            connection.request("PUT", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 200:
                self.acknowledged.append(token)
            else:
                again_s = int(answer.getheader("retry-after", "0"))
                self.refused.append((answer.status, again_s, said["meta"]["error"]))
        connection.close()

    def go_on(self, count=50):
        """So many more are acknowledged."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) >= before + count)

    def see_refused(self, words, count=20):
        """So many more are refused, with these words among what is said."""
        before = len(self.refused)
        eventually(lambda: sum(words in said for *_, said in self.refused[before:]) >= count)

    def check(self):
        """Rejected callers were told to retry, and everything acknowledged exists."""
        assert {status for status, *_ in self.refused} <= {503}
        assert all(1 <= again_s <= 10 for _, again_s, _ in self.refused), Counter(self.refused)
        app = self._workspace.app
        connection = http.client.HTTPConnection(app.parts.netloc, timeout=60)
        for token in self.acknowledged:
            connection.request("GET", f"/api/v1/devices/{token}", headers=app.headers)
            assert json.loads(connection.getresponse().read())["token"] == token
        connection.close()


def ready(service):
    """What `/readyz` says: its status, and the reason for it."""
    status, said = Http(service["url"]).request("GET", "/readyz")
    return status, said.get("reason", "")


def ready_again(service):
    """Until it is; while it has no files for another connection it closes some before they are answered."""

    def is_ready():
        with contextlib.suppress(ConnectionError):
            return ready(service)[0] == 200
        return False

    eventually(is_ready)


def waits(service, task):
    """Whether the log says that a task of the worker waited for the database."""
    lines = [line for line in service.log().splitlines() if '"event":"task_waits_for_the_database"' in line]
    return any(f'"task":"{task}"' in line for line in lines)


def psql(service, *statements, env=None):
    asked = [word for statement in statements for word in ("-c", statement)]
    done = run("postgres", "--data", service["data_dir"], "--", "psql", "-Atq", *asked, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def postmaster(service):
    file = Path(service["data_dir"], "postgres", "postmaster.pid")
    return psutil.Process(int(file.read_text().split("\n")[0]))


def ends_for_want_of_room(service, server, ballast):
    """Whether it has ended; the room that came free, and what is there of the log, are used up until it has."""
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    written = "select pg_logical_emit_message(false, 'filling', 'x'), pg_switch_wal()"
    run("postgres", "--data", service["data_dir"], "--", "psql", "-c", written)
    return not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_a_full_disk_refuses_writes_until_there_is_room_and_loses_nothing(simulator):
    with (
        small_disk() as disk,
        running("serve", "--data", disk / "data", "--port", "0", fresh=True) as service,
    ):
        workspace = Workspace("full", service, simulator)
        workspace.add_fcm()
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        with Writers(workspace) as writers:
            writers.go_on()
            ballast = fill(disk)
            writers.see_refused("no room left on its disk", count=200)
            eventually(lambda: ready(service) == (503, "the database has no room left on its disk"))
            assert Http(service["url"])("GET", "/healthz") == {"status": "ok"}
            assert workspace.device(token)["token"] == token  # what is there can be read
            ballast.unlink()
            ready_again(service)
            writers.go_on()
            # Where there is no room for the write-ahead log PostgreSQL ends, and does not start again.
            ballast = fill(disk)
            server = postmaster(service)
            eventually(lambda: ends_for_want_of_room(service, server, ballast))
            writers.see_refused("does not answer")
            eventually(lambda: ready(service) == (503, "the database does not answer"))
            assert Http(service["url"])("GET", "/healthz") == {"status": "ok"}
            ballast.unlink()
            ready_again(service)
            writers.go_on()
        workspace.push_and_wait("ann")
        assert len(workspace.journal(token)) == 1
        writers.check()
        assert '"event":"database_cannot_answer"' in service.log()
        assert '"event":"request_failed"' not in service.log()


@pytest.fixture(scope="module")
def own(folder):
    """A service whose database is taken away from it."""
    with running("serve", "--data", folder / "surroundings", "--port", "0") as started:
        yield started


@pytest.fixture
def shop(own, simulator):
    made = Workspace(f"shop-{secrets.token_hex(4)}", own, simulator)
    made.add_fcm()
    return made


def test_a_read_only_server_refuses_writes_and_what_was_sent_meanwhile_is_not_sent_again(own, shop):
    [token] = shop.mint("android")
    shop.register("ann", token, "android")
    shop.control("POST", "/script", {"token": token, "answers": [{"status": 200, "delay_ms": 3_000}]})
    with Writers(shop) as writers:
        writers.go_on()
        delivery = shop.push("ann")
        eventually(lambda: shop.journal(token))  # it is on its way, and its answer comes later
        psql(own, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
        try:
            writers.see_refused("is read-only")
            assert ready(own) == (503, "the database is read-only")
            assert shop.device(token)["token"] == token
            # Whose answer cannot be written is not sent again when its lease is over.
            eventually(lambda: waits(own, "settle"))
            lapsed = "select min(lease_until) < now() from batches where lease_until is not null"
            eventually(lambda: psql(own, lapsed) == "t")
        finally:
            psql(
                own,
                "alter system reset default_transaction_read_only",
                "select pg_reload_conf()",
                env=WRITING,
            )
        ready_again(own)
        writers.go_on()
    eventually(lambda: "sent" in shop.message(delivery)["metrics"])
    assert len(shop.journal(token)) == 1
    writers.check()


def test_a_broadcast_outlives_a_server_that_is_read_only_and_one_that_cancels_all_and_repeats_nothing(
    own, simulator
):
    name = f"crowd-{secrets.token_hex(4)}"
    shop = Workspace(name, own, simulator)
    shop.add_apns()
    devices = 3_000
    workspace_id = crowd.load(own["database_url"], name, shop.mint("ios", devices))
    before = asked(shop)
    message = crowd.broadcast(own["database_url"], workspace_id, "to all")
    settled = "select count(*), count(distinct device_id), count(*) filter (where ending = 'accepted') from pushes where message_id = $1"
    for setting in ("default_transaction_read_only = on", "statement_timeout = '3ms'"):
        eventually(lambda: asked(shop) > before)
        psql(own, f"alter system set {setting}", "select pg_reload_conf()")
        try:
            waited = own.log().count('"event":"task_waits_for_the_database"')
            eventually(
                lambda seen=waited: own.log().count('"event":"task_waits_for_the_database"') > seen + 3
            )
        finally:
            name = setting.partition(" ")[0]
            psql(own, f"alter system reset {name}", "select pg_reload_conf()", env=UNHINDERED)
        ready_again(own)
    eventually(lambda: crowd.query(own["database_url"], settled, message) == [(devices,) * 3])
    assert asked(shop) - before == devices
    assert own.process.poll() is None


def asked(workspace):
    """How many pushes APNs was asked for."""
    return workspace.control("GET", "/counts")["providers"].get("apns", 0)


def test_a_server_that_is_killed_and_one_without_connections_lose_nothing(own, shop):
    [token] = shop.mint("android")
    shop.register("ann", token, "android")
    with Writers(shop) as writers:
        writers.go_on()
        psql(own, "alter system set max_connections = 30")
        postmaster(own).kill()
        writers.see_refused("does not answer", count=1)
        ready_again(own)
        writers.go_on()
        with all_connections_taken(own):
            writers.see_refused("no connection left", count=1)
            assert Http(own["url"])("GET", "/healthz") == {"status": "ok"}
        ready_again(own)
        writers.go_on()
    shop.push_and_wait("ann")
    assert shop.status(token) == "sent"
    writers.check()


@contextmanager
def all_connections_taken(service):
    """Hold all connections that the server has, as others than the service might; it has none itself."""
    url = json.loads(run("postgres", "--data", service["data_dir"], "--", "sh", "-c", SAID).stdout)
    with asyncio.Runner() as runner:
        held: list[asyncpg.Connection] = []

        async def take():
            while True:
                try:
                    held.append(await asyncpg.connect(**url))
                except asyncpg.TooManyConnectionsError:
                    if ready(service)[0] == 503:
                        return
                    await held[0].execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where application_name = 'pushkeeper'"
                    )

        async def give_back():
            for connection in held:
                await connection.close()

        runner.run(take())
        try:
            yield
        finally:
            runner.run(give_back())


SAID = """printf '{"host":"%s","user":"%s","database":"%s"}' "$PGHOST" "$PGUSER" "$PGDATABASE" """


def test_without_free_file_descriptors_it_goes_on_with_what_it_has_and_recovers(folder, simulator):
    with running("serve", "--data", folder / "files", "--port", "0") as service:
        workspace = Workspace("files", service, simulator)
        parts = workspace.track.parts
        before = http.client.HTTPConnection(parts.netloc, timeout=60)
        before.request("GET", "/healthz")
        assert before.getresponse().read() == b'{"status":"ok"}'
        process = psutil.Process(service["pid"])
        # Fewer than it reckoned with when it started: others of its user may have opened them.
        limit = process.num_fds() + FILES
        process.rlimit(psutil.RLIMIT_NOFILE, (limit, process.rlimit(psutil.RLIMIT_NOFILE)[1]))
        with contextlib.ExitStack() as strangers:
            for _ in range(5 * FILES):
                strangers.enter_context(socket.create_connection((parts.hostname, parts.port)))
            eventually(lambda: process.num_fds() >= limit - 1)
            used_s = sum(process.cpu_times()[:2])
            # Who was there before is served as ever.
            for _ in range(100):
                before.request("GET", "/healthz")
                assert before.getresponse().read() == b'{"status":"ok"}'
            assert sum(process.cpu_times()[:2]) - used_s < 2
        ready_again(service)
        [token] = workspace.mint("android")
        workspace.register("ann", token, "android")
        assert workspace.device(token)["token"] == token
        assert service.stop() == 0
