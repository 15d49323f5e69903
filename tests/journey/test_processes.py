"""`serve --processes`: several processes answer as one."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
import urllib.request
from urllib.parse import urlsplit

import psutil
import pytest

from pushkeeper import config
from support.processes import answer, refusal, running
from support.service import Workspace, eventually

PER_S = 20


@pytest.fixture(scope="module")
def service(folder):
    file = folder / "processes.toml"
    file.write_text(
        f'requests_per_s = {PER_S}\nkeep_pushes_days = "none"\nwebhooks_may_go_to = ["10.0.0.0/8"]\n'
    )
    on = ("--data", folder / "processes", "--config", file, "--port", "0")
    env = {"PUSHKEEPER_APNS_OUTAGE_WAIT_S": "60", "PUSHKEEPER_METRICS_TOKEN": "a-token-for-prometheus"}
    with running("serve", *on, "--processes", "2", env=env) as started:
        yield started


@pytest.fixture(scope="module")
def workspace(service, simulator):
    return Workspace("processes", service, simulator)


def children(service, word):
    """The children that run a command, by their names."""
    found = {}
    for child in psutil.Process(service["pid"]).children():
        with contextlib.suppress(psutil.Error):
            words = child.cmdline()
            if word in words and "--child" in words:
                found[words[words.index("--child") + 1]] = child
    return found


class Client:
    """A connection that one of the processes has accepted."""

    def __init__(self, service):
        self._http = http.client.HTTPConnection(urlsplit(service["url"]).netloc, timeout=60)
        self.ask("GET", "/healthz")

    def ask(self, method, path, headers=None, body=None):
        self._http.request(method, path, body and json.dumps(body), headers or {})
        response = self._http.getresponse()
        return response.status, response.read()

    @property
    def port(self):
        sock = self._http.sock
        assert isinstance(sock, socket.socket)
        return sock.getsockname()[1]

    def close(self):
        self._http.close()


@contextlib.contextmanager
def connected(service):
    """A client of each process that answers, by the process's name."""
    clients = []
    found: dict[str, Client] = {}
    try:
        while set(found) != {"api-1", "api-2"}:
            client = Client(service)
            clients.append(client)
            for name, child in children(service, "serve").items():
                if client.port in {one.raddr.port for one in child.net_connections("tcp4") if one.raddr}:
                    found[name] = client
        yield found
    finally:
        for client in clients:
            client.close()


def figures(client):
    """What is said at /metrics, asked of one process."""
    status, text = client.ask("GET", "/metrics", {"authorization": "Bearer a-token-for-prometheus"})
    assert status == 200
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def requests_of(client, path):
    return sum(
        value
        for name, value in figures(client).items()
        if name.startswith("pushkeeper_http_requests_total{") and f'path="{path}"' in name
    )


def test_every_setting_reaches_every_child(service):
    found = {**children(service, "serve"), **children(service, "worker")}
    assert set(found) == {"api-1", "api-2", "worker-1"}
    for child in found.values():
        environ = child.environ()
        ours = {key: value for key, value in environ.items() if key.startswith("PUSHKEEPER_")}
        settings = config.load({}, environ=ours)
        assert (settings.processes, settings.requests_per_s, settings.keep_pushes_days) == (2, PER_S, None)
        assert (settings.apns_outage_wait_s, settings.webhooks_may_go_to) == (60, ("10.0.0.0/8",))
        assert str(settings.data_dir) == service["data_dir"]
        assert "a-token-for-prometheus" not in " ".join(child.cmdline())


def test_whichever_process_is_asked_tells_the_figures_of_all(service, workspace):
    with connected(service) as at:
        for client, calls in ((at["api-1"], 3), (at["api-2"], 4)):
            for _ in range(calls):
                assert client.ask("GET", "/v1/segments", workspace.app.headers)[0] in {200, 429}
        for client in at.values():
            eventually(lambda client=client: requests_of(client, "/v1/segments") == 7)
            told = figures(client)
            assert told["pushkeeper_processes"] == 2
            # Two of 21, and the supervisor's.
            assert told["pushkeeper_database_connections_limit"] == 2 * 21 + 9
            assert told["process_start_time_seconds"] == pytest.approx(
                psutil.Process(service["pid"]).create_time(), abs=2
            )


def test_a_limit_holds_for_all_processes_together_and_one_connection_may_use_all_of_it(service, workspace):
    def taken(clients):
        """How many of the calls that several clients make at once were answered, and how long it took."""
        statuses = []

        def call(client):
            ends_at = time.monotonic() + 2.0
            while time.monotonic() < ends_at:
                statuses.append(client.ask("GET", "/v1/segments", workspace.app.headers)[0])

        began = time.monotonic()
        threads = [threading.Thread(target=call, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 429}
        return statuses.count(200), time.monotonic() - began

    with connected(service) as at:
        for clients in (list(at.values()), [at["api-1"]]):
            count, took_s = taken(clients)
            # What has come meanwhile, and what was left of the time before: a second's worth at most.
            assert PER_S < count <= PER_S * (took_s + 1) + 1


def test_a_key_that_is_revoked_is_refused_by_every_process(service, workspace):
    made = answer("keys", "add", "app", "--workspace", workspace.name, *workspace.on)
    bearer = {"authorization": f"Bearer {made['app_api_key']}"}
    with connected(service) as at:
        for client in at.values():
            eventually(lambda client=client: client.ask("GET", "/v1/segments", bearer)[0] == 200)
        answer(
            "keys",
            "revoke",
            "app",
            made["app_api_key"][:12],
            "--yes",
            "--workspace",
            workspace.name,
            *workspace.on,
        )
        for client in at.values():
            eventually(lambda client=client: client.ask("GET", "/v1/segments", bearer)[0] == 401)


def test_one_that_is_killed_is_missed_by_nobody_and_comes_back(service, workspace):
    with connected(service) as at:
        for client in at.values():
            assert client.ask("GET", "/v1/segments", workspace.app.headers)[0] in {200, 429}
        eventually(lambda: requests_of(at["api-2"], "/v1/segments") > 0)
        before = figures(at["api-2"])
        killed = children(service, "serve")["api-1"]
        killed.kill()
        # Every connection that is made from now on is accepted by the other.
        for _ in range(20):
            with urllib.request.urlopen(f"{service['url']}/readyz") as ready:
                assert ready.status == 200
        eventually(lambda: figures(at["api-2"]).get('pushkeeper_child_exits_total{kind="api"}') == 1)
        eventually(lambda: figures(at["api-2"])["pushkeeper_processes"] == 2)
    after = children(service, "serve")
    assert set(after) == {"api-1", "api-2"}
    assert after["api-1"].pid != killed.pid
    with connected(service) as at:
        for client in at.values():
            told = figures(client)
            for name, value in before.items():
                if name.startswith("pushkeeper_http_requests_total"):
                    assert told[name] >= value, name


def test_one_that_hangs_is_noticed_killed_and_replaced(service):
    hung = children(service, "serve")["api-2"]
    hung.suspend()
    # Nobody waits for it.
    for _ in range(20):
        with urllib.request.urlopen(f"{service['url']}/healthz", timeout=10) as alive:
            assert alive.status == 200
    psutil.wait_procs([hung], timeout=60)
    assert not hung.is_running()
    eventually(lambda: set(children(service, "serve")) == {"api-1", "api-2"})
    said = [json.loads(line) for line in service.log().splitlines() if "child_process_hangs" in line]
    assert [(line["child"], line["pid"], line["silent_s"]) for line in said] == [("api-2", hung.pid, 10.0)]


def test_more_processes_than_the_database_has_connections_for_are_refused(folder):
    said = refusal("serve", "--data", folder / "many", "--port", "0", "--processes", "64")
    assert "max_connections" in said["message"]


def test_each_line_of_the_log_says_which_process_it_is_from(service):
    lines = [json.loads(line) for line in service.log().splitlines()]
    assert {line["process"] for line in lines} >= {"serve", "api-1", "api-2"}
    started = [line["child"] for line in lines if line["event"] == "child_process_started"]
    assert sorted(started) == ["api-1", "api-1", "api-2", "api-2", "worker-1"]


def test_all_end_when_they_are_told_to_and_none_is_left_when_the_supervisor_is_killed(service):
    port = urlsplit(service["url"]).port
    family = [*children(service, "serve").values(), *children(service, "worker").values()]
    assert service.stop(within_s=60) == 0
    assert not any(process.is_running() for process in family)
    assert "child_process_does_not_end" not in service.log()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))

    with running("serve", "--data", service["data_dir"], "--port", "0", "--processes", "2") as again:
        family = psutil.Process(again["pid"]).children(recursive=True)
        assert len(family) >= 3
        again.kill()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(again["url"]).port))
        eventually(lambda: not postmasters(service["data_dir"]))


def postmasters(data_dir):
    """PostgreSQL's processes in a data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and re.match(re.escape(data_dir), process.cwd()):
                found.append(process)
    return found
