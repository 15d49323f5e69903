"""What a service writes down of its calls: enough to find one, and nothing that opens a door."""

import json
import socket
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

from pushkeeper.core.model import Secret, Token
from pushkeeper.observability import logs
from support import processes
from support.service import Http, Workspace

TOKEN = "APA91bSecretOfThisPhone" + "x1" * 60


def test_tokens_and_secrets_are_masked_by_type_by_name_and_however_deep():
    event = {
        "device": Token(TOKEN),
        "secret_key": "hunter2",
        "headers": {"Authorization": "Basic c2l0ZTprZXk=", "accept": "*/*"},
        "devices": [Token(TOKEN), Secret(b"hunter2")],
        "status": 200,
    }
    line = logs.redact(None, "info", event)
    written = json.dumps(line)
    assert TOKEN not in written
    assert "hunter2" not in written
    assert "c2l0ZTprZXk" not in written
    assert (line["status"], line["headers"]["accept"]) == (200, "*/*")
    assert line["device"].startswith(TOKEN[:6])


def test_a_token_in_an_exceptions_message_is_masked():
    said = f"File /a/test_logs.py in test_a_token_in_an_exceptions_message_is_masked\ninvalid: [{TOKEN!r}]"
    line = logs.mask_exception(None, "error", {"exception": said})
    assert line["exception"] == said.replace(TOKEN, "…")


FAILS_TO_LOG = """
import asyncio, logging, sys, threading, warnings
from pushkeeper.observability import logs as telemetry

class Unshowable:
    def __repr__(self):
        raise RuntimeError("no words")

class Last:
    def __del__(self):
        raise RuntimeError("at its end")

telemetry.configure(json=True)
log = telemetry.logger("test")
log.info("unshowable", field=Unshowable())
inner = []
inner.append(inner)
log.info("endless", field=inner)
logging.getLogger("library").warning("%d of %s", "not a number")
logging.getLogger("library").log(35, "at a level of its own")
warnings.warn("outdated", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
Last()

async def main():
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

asyncio.run(main())
print(telemetry.dropped())
raise LookupError("the end")
"""


def test_what_cannot_be_shown_is_logged_all_the_same_and_whatever_fails_aside_is_too():
    done = subprocess.run(
        [sys.executable, "-c", FAILS_TO_LOG], capture_output=True, text=True, check=False, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, done.stdout) == (1, "0\n")
    said = [(line["room"], line["event"].partition(" ")[0], line["level"]) for line in lines]
    assert said == [
        ("test", "unshowable", "info"),
        ("test", "endless", "info"),
        ("library", "%d", "warning"),
        ("library", "at", "warning"),
        ("py.warnings", "<string>:21:", "warning"),
        ("process", "failed_aside", "error"),
        ("process", "failed_aside", "error"),
        ("asyncio", "Exception", "error"),
        ("process", "crashed", "critical"),
    ]
    assert [line["not_shown"] for line in lines[:2]] == ["RuntimeError", "RecursionError"]
    for line, words in zip(lines[5:], ("by zero", "at its end", "by zero", "the end"), strict=True):
        assert words in line["exception"]


def test_a_service_logs_every_call_without_its_token_or_key():
    with (
        tempfile.TemporaryDirectory(prefix="pk-") as folder,
        processes.running("serve", "--data", Path(folder), "--port", "0", "--no-worker") as service,
    ):
        keys = processes.answer("workspace", "create", "logged", "--data", folder)
        basic = b64encode(f"{keys['site_id']}:{keys['api_key']}".encode()).decode()
        track, app = (
            Http(service["url"], f"Basic {basic}"),
            Http(service["url"], f"Bearer {keys['app_api_key']}"),
        )
        wrong = Http(service["url"], f"Bearer {keys['app_api_key'][:-1]}x")
        devices = "/api/v1/customers/somebody@example.com/devices"
        track("PUT", devices, {"device": {"id": TOKEN, "platform": "android"}})
        app("GET", f"/api/v1/devices/{TOKEN}")
        assert track.request("PUT", devices, {"device": {"id": TOKEN}})[0] == 400
        assert wrong.request("GET", f"/api/v1/devices/{TOKEN}")[0] == 401
        assert wrong.request("GET", f"/nowhere/{TOKEN}")[0] == 404
        at = urlsplit(service["url"])
        with socket.create_connection((at.hostname, at.port)) as caller:
            caller.sendall(b"not HTTP\r\n\r\n")
            assert b"400" in caller.recv(100)
        service.stop()
        log = service.log()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["reason"] for line in lines if line["event"] == "request_refused"] == ["malformed"]
    calls = [(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"]
    assert calls == [
        ("PUT", "/api/v1/customers/{identifier}/devices", 200),
        ("GET", "/api/v1/devices/{token}", 200),
        ("PUT", "/api/v1/customers/{identifier}/devices", 400),
        ("GET", "/api/v1/devices/{token}", 401),
        ("GET", None, 404),
    ]
    for secret in (TOKEN[:30], "somebody", keys["api_key"], keys["app_api_key"][:-1], "Basic", "Bearer"):
        assert secret not in log


def test_the_line_of_a_call_about_one_delivery_names_it(simulator):
    with (
        tempfile.TemporaryDirectory(prefix="pk-") as folder,
        processes.running("serve", "--data", Path(folder), "--port", "0", "--no-worker") as service,
    ):
        workspace = Workspace("about", service, simulator)
        workspace.add_fcm()
        workspace.register("ann", TOKEN, "android")
        delivery_id = workspace.push("ann")
        workspace.message(delivery_id)
        open_to_all = Http(service["url"])
        told = {"delivery_id": delivery_id, "metric": "opened", "timestamp": 1_700_000_000}
        open_to_all("POST", "/api/v1/metrics", told)
        open_to_all("POST", "/api/v1/metrics", {**told, "delivery_id": "none of ours"})
        open_to_all("POST", f"/unsubscribe/{delivery_id}", {"unsubscribe": True})
        service.stop()
        lines = [json.loads(line) for line in service.log().splitlines()]
    about = [(line["route"], line.get("delivery_id")) for line in lines if line["event"] == "request"]
    assert about[1:] == [
        ("/v1/send/push", delivery_id),
        ("/v1/messages/{id}", delivery_id),
        ("/api/v1/metrics", delivery_id),
        ("/api/v1/metrics", None),
        ("/unsubscribe/{delivery_id}", delivery_id),
    ]
    assert all(len(line["request_id"]) == 32 for line in lines if line["event"] == "request")
    assert "none of ours" not in json.dumps(lines)
