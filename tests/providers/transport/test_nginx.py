"""The pool against a server that we did not write."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import Response

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

SETTINGS = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  log_format asked '$request_uri'; access_log {folder}/asked.log asked;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests {requests};
  server {{
    listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams {streams};
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    location / {{ return 200 "{{}}"; }}
  }}
}}
"""


@pytest.fixture
def nginx(authority):
    """Start an nginx that ends a connection after so many requests, and takes so many streams on each."""
    ended = []

    def start(*, requests, streams):
        folder = Path(tempfile.mkdtemp(prefix="pk-"))
        leaf = authority.issue_cert("localhost")
        leaf.cert_chain_pems[0].write_to_path(folder / "server.pem")
        leaf.private_key_pem.write_to_path(folder / "server.key")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = folder / "nginx.conf"
        settings.write_text(SETTINGS.format(folder=folder, port=port, requests=requests, streams=streams))
        process = subprocess.Popen(["nginx", "-c", str(settings)], stderr=subprocess.DEVNULL)
        ended.append((process, folder))
        while not _answers(port):
            assert process.poll() is None, "nginx has ended"
        return SimpleNamespace(port=port, asked=lambda: (folder / "asked.log").read_text().split())

    yield start
    for process, folder in ended:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("requests", "streams", "connections"), [(100, 128, 1), (100, 128, 4), (1_000_000, 3, 2), (7, 2, 3)]
)
async def test_every_request_is_answered_and_asked_once_whatever_nginx_ends_or_bounds(
    nginx, connect, requests, streams, connections
):
    server = nginx(requests=requests, streams=streams)
    limits = Limits(max_connections=connections, max_streams=1_000, first_streams=1_000)
    client = connect(server, limits)
    client.send(*range(1_000))
    answers = await client.answered(1_000)
    assert {answer.status for answer in answers.values() if isinstance(answer, Response)} == {200}
    assert [answer for answer in answers.values() if not isinstance(answer, Response)] == []
    asked = server.asked()
    assert len(asked) == len(set(asked)) == 1_000
