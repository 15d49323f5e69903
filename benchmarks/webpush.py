"""Web Push beside pywebpush: pushes encrypted, signed, sent and answered, to the same server, a core each.

Each push needs a key pair and an ECDH in any implementation, so a second figure gives the share of encryption, beside
OpenSSL's own ECDH.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks import ROOT, peers, servers
from benchmarks.figures import Beside, Done, Figure
from benchmarks.sender import pushes
from pushkeeper.core.delivery.outcome import Accepted
from pushkeeper.core.devices.browser_keys import encoded
from pushkeeper.core.model import Browser, Platform, Token
from pushkeeper.errors import Misconfigured
from pushkeeper.providers.webpush import encryption
from pushkeeper.providers.webpush.client import WebPushClient
from pushkeeper.providers.webpush.origins import Where
from pushkeeper.providers.webpush.vapid import KeyRing, VapidKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.servers import Server
    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import Push

REQUESTS = 20_000
QUICK_REQUESTS = 500
RUNS = 3
_SHARE = 20  # pywebpush is slow: a twentieth of the requests says as much
_BROWSERS = 200
_UNDER_WAY = 400
_PYTHON = ROOT / "tests" / "clients" / "senders" / ".venv" / "bin" / "python"
_TEXT = "b" * 300


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of ours in a process of its own is told, on its standard input; without a port it only encrypts."""

    ca_pem: str
    requests: int
    port: int = 0


def measure(*, requests: int = REQUESTS, runs: int = RUNS) -> list[Figure]:
    """Medians of interleaved runs.

    Raises:
        Misconfigured: there is no nginx, or pywebpush is not installed.
    """
    if "nginx" not in servers.names() or not list(_PYTHON.parents[1].glob("lib/*/site-packages/pywebpush")):
        raise Misconfigured("bench: needs nginx, and pywebpush in tests/clients/senders (`make clients`)")
    ours: list[Done] = []
    alone: list[Done] = []
    theirs: list[Done] = []
    with (
        tempfile.TemporaryDirectory(prefix="pk-bench-") as folder,
        servers.running("nginx", Path(folder), []) as server,
    ):
        ca_pem = server.ca_file.read_text(encoding="ascii")
        for _ in range(runs):
            ours.append(_ours(_Run(ca_pem=ca_pem, port=server.port, requests=requests)))
            alone.append(_ours(_Run(ca_pem=ca_pem, requests=requests)))
            theirs.append(_pywebpush(server, max(requests // _SHARE, 20)))
    found, encrypting, peer = _median(ours), _median(alone), _median(theirs)
    return [
        Figure(
            name="web push, nginx",
            requests_per_s=found.requests_per_s,
            cpu_s_per_10k=found.cpu_s_per_10k,
            rss_mb=found.rss_mb,
            beside=(
                Beside(
                    name="pywebpush", requests_per_s=peer.requests_per_s, cpu_s_per_10k=peer.cpu_s_per_10k
                ),
            ),
            goal="5 x",
        ),
        Figure(
            name="web push, encryption alone",
            requests_per_s=encrypting.requests_per_s,
            cpu_s_per_10k=encrypting.cpu_s_per_10k,
            beside=_openssl(),
        ),
    ]


def _median(runs: Sequence[Done]) -> Done:
    return Done(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in Done.__struct_fields__}
    )


def _ours(told: _Run) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.webpush"],
        input=msgspec.json.encode(told),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=Done)


def _pywebpush(server: Server, requests: int) -> Done:
    subscriptions = [
        {
            "endpoint": f"https://localhost:{server.port}/fcm/send/{number}",
            "keys": {"p256dh": encoded(browser.p256dh), "auth": encoded(browser.auth)},
        }
        for number, browser in enumerate(_browsers())
    ]
    told = {
        "subscriptions": subscriptions,
        "text": _TEXT,
        "requests": requests,
        "ca_file": str(server.ca_file),
        "private_key": encoded(VapidKey.generate().private.value),
    }
    script = ROOT / "benchmarks" / "pywebpush_send.py"
    done = subprocess.run(  # noqa: S603 - a command of our own making
        servers.pinned(peers.CORE, str(_PYTHON), "-W", "ignore", str(script)),
        input=msgspec.json.encode(told),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Done)


def _openssl() -> tuple[Beside, ...]:
    """How many ECDHs OpenSSL does in a second on one core; nothing if it is not installed."""
    if shutil.which("openssl") is None:
        return ()
    done = subprocess.run(  # noqa: S603 - a command of our own making
        servers.pinned(peers.CORE, "openssl", "speed", "-seconds", "1", "ecdhp256"),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"ecdh \(nistp256\)\s+\S+s\s+([\d.]+)", done.stdout)
    return () if found is None else (Beside(name="openssl's ECDHs", requests_per_s=float(found[1])),)


def _browsers() -> list[Browser]:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(_BROWSERS)]
    public = [key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in keys]
    return [Browser(one, os.urandom(16)) for one in public]


class _Load:
    """Keeps the client busy until all pushes are answered."""

    def __init__(self, told: _Run) -> None:
        where = Where(endpoint_url=f"https://localhost:{told.port}", ca_pem=told.ca_pem)
        keys = KeyRing((VapidKey.generate(),))
        self._client = WebPushClient(keys, self._answered, subject="mailto:ops@example.com", where=where)
        self._left = told.requests
        self._pushes = _pushes()
        self._number = 0
        self._unanswered = told.requests
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Send them all.

        Raises:
            Misconfigured: the server refused a push.
        """
        self._send(_UNDER_WAY)
        await self._done
        await self._client.aclose(1.0)

    def _send(self, count: int) -> None:
        count = min(count, self._left)
        self._left -= count
        first, self._number = self._number, self._number + count
        self._client.send([self._pushes[n % len(self._pushes)] for n in range(first, self._number)])

    def _answered(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        refused = [found for _, found in verdicts if not isinstance(found.outcome, Accepted)]
        if refused and not self._done.done():
            self._done.set_exception(Misconfigured(f"bench: a push was not accepted: {refused[0].code}"))
            return
        self._unanswered -= len(verdicts)
        self._send(len(verdicts))
        if not self._unanswered:
            self._done.set_result(None)


def _pushes() -> list[Push]:
    """The same push to browsers of four push services."""
    hosts = (
        "https://fcm.googleapis.com/fcm/send/",
        "https://updates.push.services.mozilla.com/wpush/v2/",
        "https://web.push.apple.com/Q",
        "https://wns2-par02p.notify.windows.com/w/?token=",
    )
    return [
        msgspec.structs.replace(
            push,
            token=Token(f"{hosts[number % len(hosts)]}{push.token.value}"),
            platform=Platform.WEB,
            browser=browser,
        )
        for number, (push, browser) in enumerate(zip(pushes(), _browsers(), strict=False))
    ]


async def _sent(told: _Run) -> None:
    await _Load(told).run()


def _encrypted(told: _Run) -> None:
    browsers = _browsers()
    text = _TEXT.encode()
    for number in range(told.requests):
        encryption.encrypted(text, browsers[number % _BROWSERS])


def main() -> None:
    """One run of ours; leaves its figures as JSON."""
    os.sched_setaffinity(0, {peers.CORE})
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=_Run)
    cpu_s, started = time.process_time(), time.perf_counter()
    if told.port:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_sent(told))
    else:
        _encrypted(told)
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    found = Done(
        requests_per_s=told.requests / elapsed_s,
        cpu_s_per_10k=cpu_s / told.requests * 10_000,
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
