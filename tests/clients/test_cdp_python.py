"""Customer.io's `customerio-cdp-analytics`, unmodified, in the environment of its own that its name asks for."""

import json
import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "cdp"
PYTHON = FOLDER / ".venv" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="`make test` installs it")


@pytest.mark.parametrize("sync_mode", [True, False])
@pytest.mark.parametrize("gzip", [True, False])
def test_people_events_and_devices_are_sent(service, workspace, sync_mode, gzip):
    told = {
        "write_key": workspace.keys["write_key"],
        "host": service["url"],
        "sync_mode": sync_mode,
        "gzip": gzip,
        "calls": [
            ["identify", {"user_id": "42", "traits": {"plan": "pro", "email": "ann@example.com"}}],
            [
                "track",
                {
                    "user_id": "42",
                    "event": "Device Created or Updated",
                    "properties": {"app_version": "3.1"},
                    "context": {"device": {"token": "t1", "type": "android"}},
                },
            ],
            ["track", {"user_id": "42", "event": "bought", "properties": {"price": 3}}],
            ["page", {"user_id": "42", "name": "home"}],
            ["screen", {"user_id": "42", "name": "start"}],
            ["group", {"user_id": "42", "group_id": "g"}],
            ["alias", {"previous_id": "a1", "user_id": "42"}],
        ],
    }
    done = subprocess.run(
        [PYTHON, "call.py"],
        cwd=FOLDER,
        input=json.dumps(told),
        env={**os.environ, "REQUESTS_CA_BUNDLE": service["ca_file"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]"), done.stderr
    found = workspace.app("GET", "/v1/customers/42/attributes")["customer"]
    assert (found["attributes"]["plan"], found["identifiers"]["email"]) == ("pro", "ann@example.com")
    [device] = found["devices"]
    assert (device["id"], device["attributes"]["app_version"]) == ("t1", "3.1")
