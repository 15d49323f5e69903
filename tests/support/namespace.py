"""Run inside network and mount namespaces of its own, where every address is this machine's and names are what we say.

    unshare --map-root-user --net --mount python namespace.py

Reads nothing, and prints as JSON which of the attacks below reached the server that listens on all addresses: without the
guard (so that the attack is one) and with it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import dns.message
import dns.rrset
import httpcore

from pushkeeper.core.destination import Destinations
from pushkeeper.observability import logs
from pushkeeper.worker.http_client import CANNOT_CALL, Checked

PUBLIC, PUBLIC_V6, OWN = "93.184.216.34", "2606:4700::1111", "5.6.7.8"
# Each is asked for in turn, again and again.
ANSWERS = {
    "public.test": [[PUBLIC]],
    "both.test": [[PUBLIC, PUBLIC_V6]],
    "nat64.test": [["64:ff9b::808:808"]],
    "private.test": [["10.0.0.1"]],
    "metadata.test": [["169.254.169.254"]],
    "mixed.test": [[PUBLIC, "10.0.0.1"]],
    "mixed-v6.test": [[PUBLIC, "fd00::1"]],
    "mapped.test": [["::ffff:10.0.0.1"]],
    "nat64-metadata.test": [["64:ff9b::a9fe:a9fe"]],
    "own.test": [[OWN]],
    "rebinding.test": [[PUBLIC], ["10.0.0.1"]],
}
ATTACKS = (
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "localhost",
    ),
    *(
        "localhost.",
        "LOCALHOST",
        "user@127.0.0.1",
        f"{PUBLIC}@127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
    ),
    *("169.254.169.254", "192.0.0.192", "168.63.129.16", "100.100.100.200", "100.64.0.1", "198.18.0.1"),
    *("192.88.99.1", "240.0.0.1", OWN, "[::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]"),
    *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::169.254.169.254]"),
    *("[64:ff9b:1::169.254.169.254]", "[64:ff9b:1:a9fe:a9:fe00::]", "[2002:7f00:1::1]", "[2002:a9fe:a9fe::]"),
    *(
        "[2001:0:7f00:1::]",
        "[2001::5601:5601]",
        "[2606:4700::5efe:10.0.0.1]",
        "[2606:4700::200:5efe:10.0.0.1]",
    ),
    *(
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[fe80::a9fe:a9fe%25lo]",
        "[fe80::1%lo]",
        "[100::1]",
        "[5f00::1]",
        "[::]",
    ),
    *("[2001:db8::1]", "[3fff::1]", "[4000::1]"),
    *(name for name in ANSWERS if name not in {"public.test", "both.test", "nat64.test", "rebinding.test"}),
)
GOOD = (
    PUBLIC,
    f"[{PUBLIC_V6}]",
    "[64:ff9b::8.8.8.8]",
    "public.test",
    "both.test",
    "nat64.test",
    "PUBLIC.test.",
)
CALLS = 60


class Names(threading.Thread):
    """A name server that gives other answers each time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._asked: dict[tuple[str, str], int] = {}

    def run(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(4096)
            asked = dns.message.from_wire(query)
            answer = dns.message.make_response(asked)
            [question] = asked.question
            name, kind = str(question.name).rstrip(".").lower(), "A" if question.rdtype == 1 else "AAAA"
            answers = ANSWERS.get(name, [[]])
            number = self._asked[name, kind] = self._asked.get((name, kind), -1) + 1
            found = [one for one in answers[number % len(answers)] if (":" in one) is (kind == "AAAA")]
            if found:
                answer.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, *found))
            self._socket.sendto(answer.to_wire(), sender)


class Server:
    """Answers on every address, and remembers on which it was reached."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.port = 0

    async def start(self) -> None:
        self._four = await asyncio.start_server(self._serve, "0.0.0.0", 0)
        self.port = self._four.sockets[0].getsockname()[1]
        self._six = await asyncio.start_server(self._serve, "::", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.append(writer.get_extra_info("sockname")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


def prepare(folder: Path) -> None:
    """Make every address this machine's, and our server the one that is asked for names."""
    files = {
        "resolv.conf": "nameserver 127.0.0.1\n",
        "nsswitch.conf": "hosts: files dns\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", folder / name, Path("/etc", name)], check=True)
    for words in (
        "link set lo up",
        f"address add {OWN}/32 dev lo",
        "route add local default dev lo",
        "-6 route add local default dev lo",
    ):
        subprocess.run(["ip", *words.split()], check=True)


async def call(host: str, port: int, backend: httpcore.AsyncNetworkBackend | None) -> str:
    """The outcome."""
    try:
        async with httpcore.AsyncConnectionPool(network_backend=backend) as http, asyncio.timeout(5):
            return str((await http.request("GET", f"http://{host}:{port}/")).status)
    except Exception as error:  # noqa: BLE001 - whatever it is is looked at
        return f"{type(error).__name__}: {error}"


async def main() -> None:
    server = Server()
    await server.start()

    async def tried(host: str, backend: httpcore.AsyncNetworkBackend | None) -> dict[str, object]:
        server.reached.clear()
        said = await call(host, server.port, backend)
        return {"host": host, "said": said, "reached": list(server.reached)}

    guard = Checked(Destinations())
    lenient = Checked(Destinations(private=True))
    listed = Checked(Destinations.of(["10.0.0.0/8", "own.test", "0.0.0.0/0", "metadata.test"]))
    answers = {
        "unguarded": [await tried(host, None) for host in ATTACKS],
        "guarded": [await tried(host, guard) for host in ATTACKS],
        "good": [await tried(host, guard) for host in GOOD],
        "rebinding": [await tried("rebinding.test", guard) for _ in range(CALLS)],
        "lenient": [await tried(host, lenient) for host in ATTACKS],
        "listed": [await tried(host, listed) for host in ("private.test", "own.test", "169.254.169.254")],
        "text": CANNOT_CALL,
    }
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    logs.configure(json=True)
    with tempfile.TemporaryDirectory() as temporary:
        prepare(Path(temporary))
        Names().start()
        asyncio.run(main())
