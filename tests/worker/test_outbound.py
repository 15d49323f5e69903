"""Calls to addresses that users name go to what was checked, and say the same of all that they don't reach."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpcore
import pytest
from structlog.testing import capture_logs

from pushkeeper.core.destination import Destinations
from pushkeeper.worker.http_client import CANNOT_CALL, Checked

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPPORT = Path(__file__).parents[1] / "support"
NAMESPACES = ("unshare", "--map-root-user", "--net", "--mount")


def may_have_namespaces() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def live() -> Any:
    """The outcome of each attack where every address and every name is ours (see the script)."""
    if not may_have_namespaces():
        pytest.skip("network namespaces can't be made here")
    done = subprocess.run(
        [*NAMESPACES, sys.executable, SUPPORT / "namespace.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "log": done.stderr}


def test_every_attack_would_reach_something_without_the_guard(live: Any) -> None:
    unreached = {one["host"] for one in live["unguarded"] if not one["reached"]}
    # These are refused by the resolver itself.
    assert unreached == {"127.0.0.1.", "localhost.", "[fe80::a9fe:a9fe%25lo]"}
    assert len(live["unguarded"]) > 50


def test_no_attack_reaches_anything_and_all_are_told_the_same(live: Any) -> None:
    assert [one["host"] for one in live["guarded"] if one["reached"]] == []
    assert {one["said"] for one in live["guarded"]} == {f"ConnectError: {CANNOT_CALL}"}


def test_public_hosts_are_reached_by_name_and_by_address(live: Any) -> None:
    assert [(one["said"], len(one["reached"])) for one in live["good"]] == [("200", 1)] * len(live["good"])


def test_a_name_that_resolves_to_another_address_each_time_never_leads_to_a_private_one(live: Any) -> None:
    reached = [address for one in live["rebinding"] for address in one["reached"]]
    assert set(reached) == {"93.184.216.34"}
    assert 0 < len(reached) < len(live["rebinding"])


def test_even_where_private_addresses_may_be_called_metadata_services_are_not(live: Any) -> None:
    reached = {one["host"] for one in live["lenient"] if one["reached"]}
    assert {"127.0.0.1", "10.0.0.1", "[fec0::1]", "private.test"} <= reached
    assert reached.isdisjoint(
        {
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "100.100.100.200",
            "[fd00:ec2::254]",
            "metadata.test",
        }
    )
    assert [bool(one["reached"]) for one in live["listed"]] == [True, True, False]


def test_the_log_says_which_address_was_refused_and_why(live: Any) -> None:
    lines = [json.loads(line) for line in live["log"].splitlines()]
    refused = {line["host"]: line["refused"] for line in lines if line["event"] == "address_refused"}
    assert refused["private.test"] == ["10.0.0.1"]
    assert refused["mixed.test"] == ["10.0.0.1"]
    assert any(line["event"] == "host_not_resolved" and line["host"] == "localhost." for line in lines)


class Servers:
    """Servers on two addresses of the loopback at one port, and how often each was connected to."""

    def __init__(self) -> None:
        self.connected = {"127.0.0.1": 0, "127.0.0.2": 0}
        self.port = 0

    async def start(self) -> list[asyncio.Server]:
        first = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = first.sockets[0].getsockname()[1]
        return [first, await asyncio.start_server(self._serve, "127.0.0.2", self.port)]

    async def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected[writer.get_extra_info("sockname")[0]] += 1
        writer.close()


async def test_a_name_is_resolved_once_for_each_connection() -> None:
    """The address that was checked is the one that is connected to, whatever the next answer would have been."""
    servers = Servers()
    running = await servers.start()
    asked = 0

    async def resolve(_: str, __: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.2"] if asked % 2 else ["127.0.0.1"]

    guard = Checked(Destinations.of(["127.0.0.2"]), resolve=resolve)
    for number in range(20):
        if number % 2:
            with pytest.raises(httpcore.ConnectError):
                await guard.connect_tcp("rebinding.test", servers.port, 5.0)
        else:
            await (await guard.connect_tcp("rebinding.test", servers.port, 5.0)).aclose()
    for server in running:
        server.close()
    assert asked == 20
    assert servers.connected == {"127.0.0.1": 0, "127.0.0.2": 10}


async def test_an_address_that_does_not_accept_does_not_keep_the_next_one_from_being_tried() -> None:
    servers = Servers()
    running = await servers.start()

    async def resolve(_: str, __: int) -> Sequence[str]:
        return ["127.0.0.3", "127.0.0.1", "127.0.0.3"]  # nobody listens on the third

    stream = await Checked(Destinations(private=True), resolve=resolve).connect_tcp("x", servers.port, 5.0)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()
    for server in running:
        server.close()


WRONG = (
    *(
        ("nobody.invalid", 80),
        ("a..b", 80),
        ("a" * 64, 80),
        ("x", 99_999),
        ("", 80),
        ("\0", 80),
        ("\ud800", 80),
    ),
    *(("127.0.0.1", 1), ("[", 80), ("127.0.0.1%lo", 80)),
)


@pytest.mark.parametrize(
    ("host", "port", "private"),
    [*((*one, False) for one in WRONG), *((*one, True) for one in WRONG), ("10.0.0.1", 80, False)],
    ids=ascii,
)
async def test_whatever_is_wrong_with_an_address_the_text_is_the_same(
    host: str, port: int, *, private: bool
) -> None:
    with capture_logs() as lines, pytest.raises(httpcore.ConnectError) as refused:
        await Checked(Destinations(private=private)).connect_tcp(host, port, 1.0)
    assert str(refused.value) == CANNOT_CALL
    assert [line["host"] for line in lines] == [host]


async def test_names_that_do_not_resolve_for_long_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookups of push services go by the event loop's own threads, of which there are four."""
    release, waiting = threading.Event(), threading.Semaphore(0)

    def getaddrinfo(host: str, *_: object, **__: object) -> object:
        waiting.release()
        release.wait()
        raise OSError(host)

    guard = Checked(Destinations())
    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    calls = [asyncio.create_task(guard.connect_tcp(f"slow-{n}.test", 80, 1.0)) for n in range(40)]
    for _ in calls:
        await asyncio.to_thread(waiting.acquire)
    monkeypatch.undo()
    found = await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80), 5)
    assert found
    release.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in ended} == {httpcore.ConnectError}
