import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from support.processes import running
from support.service import Workspace

NODE = Path(__file__).parent / "node"
OLDEST_NODE = 20


@pytest.fixture(scope="session")
def service(folder):
    """The service as the official clients want it: over https."""
    env = {
        "PUSHKEEPER_WEBHOOKS_MAY_BE_PRIVATE": "true"
    }  # files of imports are fetched from a test's own server
    with running(
        "serve", "--data", folder / "clients", "--port", "0", "--tls-self-signed", env=env
    ) as started:
        yield started


@pytest.fixture
def workspace(service, simulator):
    """A fresh workspace that sends through the simulator."""
    made = Workspace(f"clients-{secrets.token_hex(4)}", service, simulator)
    made.add_fcm()
    made.add_apns()
    return made


@pytest.fixture(scope="session")
def node():
    """Skips where Node, or its clients, are not installed or too old."""
    if not (NODE / "node_modules").exists() or shutil.which("node") is None:
        pytest.skip("Node is not installed")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"the clients need Node {OLDEST_NODE}, this is {said}")


@pytest.fixture
def call(service, node):
    """Makes a client of a library and calls it; what each call answered."""

    def run(module, make, *calls):
        told = {"module": module, "make": make, "calls": calls}
        done = subprocess.run(
            ["node", "call.mjs"],
            cwd=NODE,
            input=json.dumps(told),
            env={**os.environ, "NODE_EXTRA_CA_CERTS": service["ca_file"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def track(call, service, workspace):
    keys = workspace.keys
    make = ["TrackClient", keys["site_id"], keys["api_key"], {"url": f"{service['url']}/api/v1"}]
    return lambda *calls: call("customerio-node", make, *calls)


@pytest.fixture
def app(call, service, workspace):
    make = ["APIClient", workspace.keys["app_api_key"], {"url": f"{service['url']}/v1"}]
    return lambda *calls: call("customerio-node", make, *calls)
