"""Who is measured beside our sender, where it is installed: each in a process of its own, on the core that is ours."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks import servers
from benchmarks.figures import Done
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.servers import Server
    from pushkeeper.core.model import Content
    from pushkeeper.providers.transport.response import Request

CORE = 0
_NODE_SHARE = 6  # it is slow: a sixth of the requests says as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The server that all send to, a folder for files, our own requests in turn, and what they say."""

    server: Server
    folder: Path
    asked: Sequence[Request]
    content: Content


def installed() -> Mapping[str, Callable[[Race, int, int, int], Done]]:
    """The peers that are here; each is called with a race, connections, streams on each, and requests."""
    found: dict[str, Callable[[Race, int, int, int], Done]] = {}
    if shutil.which("h2load"):
        found["h2load"] = _h2load
    if _node_path() is not None:
        found["node-apn"] = _node_apn
    return found


def _h2load(race: Race, connections: int, streams: int, requests: int) -> Done:
    body, uris = race.folder / "body", race.folder / "uris"
    body.write_bytes(race.asked[0].body)
    uris.write_bytes(
        b"\n".join(
            b"https://localhost:%d%s" % (race.server.port, dict(request.headers)[b":path"])
            for request in race.asked
        )
    )
    fields = [
        f"-H{name.decode()}: {value.decode()}"
        for name, value in race.asked[0].headers
        if not name.startswith(b":")
    ]
    command = ["h2load", "-n", str(requests), "-c", str(connections), "-m", str(streams)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = _run(*command, *fields, "-d", str(body), "-i", str(uris)).stdout.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"([\d.]+) req/s", said)
    if found is None or f"{requests} succeeded" not in said:
        raise Misconfigured(f"bench: h2load was not answered: {said[-300:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(requests_per_s=float(found[1]), cpu_s_per_10k=cpu_s / requests * 10_000)


def _node_apn(race: Race, connections: int, streams: int, requests: int) -> Done:
    """It keeps to one connection, whatever is asked."""
    tokens = [dict(request.headers)[b":path"].decode().removeprefix("/3/device/") for request in race.asked]
    told = {
        "port": race.server.port,
        "ca_pem": race.server.ca_file.read_text(encoding="ascii"),
        "key_pem": race.server.ca_file.with_name("signing.pem").read_text(encoding="ascii"),
        "requests": max(requests // _NODE_SHARE, 1),
        "at_once": connections * streams,
        "tokens": tokens,
        "title": race.content.title,
        "body": race.content.message,
        "link": race.content.link,
    }
    with resources.as_file(resources.files("benchmarks") / "node_apn.cjs") as script:
        done = _run("node", str(script), told=msgspec.json.encode(told))
    return msgspec.json.decode(done.stdout, type=Done)


def _run(*command: str, told: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A command on our core; what it says on standard error is shown."""
    environment = {**os.environ, "NODE_PATH": _node_path() or ""}
    pinned = servers.pinned(CORE, *command)
    return subprocess.run(pinned, input=told, stdout=subprocess.PIPE, env=environment, check=True)  # noqa: S603 - our own


@cache
def _node_path() -> str | None:
    """Where Node finds node-apn: in this folder, where NODE_PATH says, or among npm's global packages."""
    if not shutil.which("node"):
        return None
    roots = [str(Path.cwd() / "node_modules"), os.environ.get("NODE_PATH", "")]
    if shutil.which("npm"):
        found = subprocess.run(["npm", "root", "--global"], capture_output=True, text=True, check=False)  # noqa: S607 - the one on PATH
        roots.append(found.stdout.strip())
    path = os.pathsep.join(filter(None, roots))
    looked = subprocess.run(
        ["node", "-e", "require.resolve('@parse/node-apn')"],  # noqa: S607 - the one on PATH
        env={**os.environ, "NODE_PATH": path},
        capture_output=True,
        check=False,
    )
    return path if looked.returncode == 0 else None
