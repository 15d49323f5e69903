"""Two cells on this machine behind the HAProxy that is shipped, as a user would start them."""

import http.client
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pushkeeper import certificates
from support.processes import CLEAN, Running, answer, ports_in_a_row, run
from support.service import eventually

CONFIG = Path(__file__).parents[2] / "deploy" / "cells" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
TOKEN = "a-token-for-prometheus"


class Cell:
    """One database with its service."""

    def __init__(self, number, folder, port, rig):
        self.number = number
        self.data = folder / f"cell-{number}"
        self.port = port
        self.host = f"cell{number}.localhost"
        self.env = {
            "PUSHKEEPER_PUBLIC_URL": f"https://{self.host}:{rig.tls_port}",
            "PUSHKEEPER_METRICS_TOKEN": TOKEN,
            "PUSHKEEPER_TRUSTED_PROXIES": "127.0.0.1",
        }
        self.process = None

    def make(self):
        """Cell 0 is what every database is by itself."""
        if self.number:
            answer("migrate", "--cell", str(self.number), "--data", self.data)
        self.start()

    def start(self):
        self.process = Running("serve", "--data", self.data, "--port", self.port, env=self.env)

    def metrics(self):
        """Each series of the process, asked for itself."""
        _, text, _ = ask(self.port, "GET", "/metrics", {"authorization": f"Bearer {TOKEN}"})
        return {
            name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
        }

    def calls(self):
        """How many calls its APIs have answered."""
        return sum(
            value
            for name, value in self.metrics().items()
            if name.startswith("pushkeeper_http_requests_total{")
        )

    def misrouted(self):
        return sum(
            value for name, value in self.metrics().items() if name.startswith("pushkeeper_misrouted_total{")
        )


class Rig:
    """The cells, and the proxy with its certificate."""

    def __init__(self, folder):
        first = ports_in_a_row(4)
        self.port, self.tls_port, *ports = range(first, first + 4)
        self.url = f"https://localhost:{self.tls_port}"
        self.folder = folder / "cells"
        self.folder.mkdir()
        self.ca = self.folder / "ca.pem"
        self.cells = [Cell(number, self.folder, port, self) for number, port in enumerate(ports)]
        self.proxy = None
        try:
            with ThreadPoolExecutor() as together:
                list(together.map(Cell.make, self.cells))
            self._start_proxy()
        except BaseException:
            self.end()
            raise

    def _start_proxy(self):
        assert HAPROXY is not None
        cells_map = self.folder / "cells.map"
        cells_map.write_text(run("keys", "map", "0", "1").stdout)
        issued = certificates.issue(
            "Push", ["localhost", "127.0.0.1", *(cell.host for cell in self.cells)], datetime.now(UTC)
        )
        self.ca.write_bytes(issued.ca)
        certificate = self.folder / "push.pem"
        certificate.write_bytes(issued.certificate + issued.key)
        config = self.folder / "haproxy.cfg"
        config.write_text(CONFIG.read_text().replace("# bind", "bind"))
        env = {
            **CLEAN,
            "PUSHKEEPER_BIND": f"127.0.0.1:{self.port}",
            "PUSHKEEPER_BIND_TLS": f"127.0.0.1:{self.tls_port}",
            "PUSHKEEPER_CERTIFICATE": str(certificate),
            "PUSHKEEPER_CELLS_MAP": str(cells_map),
            **{f"PUSHKEEPER_CELL_{cell.number}": f"127.0.0.1:{cell.port}" for cell in self.cells},
        }
        self.proxy = subprocess.Popen(
            [HAPROXY, "-db", "-f", config], env=env, stdout=(self.folder / "haproxy.log").open("wb")
        )
        eventually(self._answers)

    def _answers(self):
        assert self.proxy is not None
        assert self.proxy.poll() is None
        try:
            return ask(self.port, "GET", "/healthz")[0] == 200
        except OSError:
            return False

    def service(self):
        """The one address, as `support.service.Workspace` takes a service."""
        return {"url": self.url, "ca_file": str(self.ca)}

    def log_of_proxy(self):
        return (self.folder / "haproxy.log").read_text()

    def end(self):
        if self.proxy is not None:
            self.proxy.terminate()
            self.proxy.wait()
        for cell in self.cells:
            if cell.process is not None:
                cell.process.end()


@contextmanager
def two_cells(folder):
    rig = Rig(folder)
    try:
        yield rig
    finally:
        rig.end()


def ask(port, method, path, headers=None, body=None):
    """Status, text and headers of one call; a body of bytes or chunks is sent as it is, any other as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        data = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()
