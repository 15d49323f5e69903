"""The servers that senders are measured against, each on a core of its own: they write their answers differently."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushkeeper import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CORE = 1
_PATIENCE_S = 10.0
_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams 1000;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    location / {{ add_header apns-id 6a5f8c2e-0d43-4a57-9b1e-3f1f0c5d7a21; return 200 ""; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, and who vouches for it."""

    name: str
    port: int
    ca_file: Path


def names() -> tuple[str, ...]:
    """The servers that are installed here."""
    return tuple(name for name in ("nghttpd", "nginx") if shutil.which(name))


@contextmanager
def running(name: str, folder: Path, paths: Sequence[str]) -> Iterator[Server]:
    """Start one of `names`, which answers these paths with 200, and end it."""
    match name:
        case "nghttpd":
            command, port = _nghttpd(folder, paths)
        case _:
            command, port = _nginx(folder)
    process = subprocess.Popen(  # noqa: S603 - a command of our own making
        pinned(CORE, *command), stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield Server(name, port, folder / "ca.pem")
    finally:
        process.terminate()
        process.wait()


def pinned(core: int, *command: str) -> list[str]:
    """The command, to run on this core alone."""
    return ["taskset", "-c", str(core), *command]


def _nghttpd(folder: Path, paths: Sequence[str]) -> tuple[list[str], int]:
    _write_certificates(folder)
    # It serves files: each path that will be asked for is one, empty as the body of a push that APNs took.
    for path in paths:
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    port = _free_port()
    key, certificate = str(folder / "server.key"), str(folder / "server.pem")
    return ["nghttpd", "-m", "1000", "-d", str(folder), str(port), key, certificate], port


def _nginx(folder: Path) -> tuple[list[str], int]:
    _write_certificates(folder)
    port = _free_port()
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port))
    return ["nginx", "-c", str(settings)], port


def _write_certificates(folder: Path) -> None:
    issued = certificates.issue("Pushkeeper benchmarks", certificates.LOOPBACK, datetime.now(UTC))
    (folder / "ca.pem").write_bytes(issued.ca)
    (folder / "server.pem").write_bytes(issued.certificate)
    (folder / "server.key").write_bytes(issued.key)
    # node-apn signs its requests with an elliptic key; the servers look at none.
    signing = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (folder / "signing.pem").write_bytes(signing)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
