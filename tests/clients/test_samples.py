"""The samples of the guides in JavaScript and Python, run: what verifies webhooks, and what an app reports.

Those in Swift, Kotlin and Dart are not: their compilers are no part of the tests.
"""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pushkeeper.core.model import Secret
from pushkeeper.core.webhook_signature import signature
from support.service import eventually

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"
KEY, BODY = "k" * 64, b'{"metric":"sent","data":{"customer_id":"\xc3\xa4"}}'
SAMPLES = [
    (page.name, number)
    for page in sorted(GUIDES.glob("*.md"))
    for number, _ in enumerate(re.findall(r"^```js\n", page.read_text(encoding="utf-8"), re.MULTILINE))
]


def samples(page, language):
    text = (GUIDES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(code, **env):
    done = subprocess.run(
        ["node", "--input-type=module"],
        input=code,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sign(key, timestamp, body):
    return signature(Secret(key.encode()), timestamp, body)


def calls(timestamp):
    """Timestamp, signature and body, and whether they are valid."""
    good = sign(KEY, timestamp, BODY)
    yield timestamp, good, BODY, True
    yield timestamp, good, BODY + b" ", False
    yield timestamp, sign("x" * 64, timestamp, BODY), BODY, False
    yield timestamp, "", BODY, False
    yield timestamp - 301, sign(KEY, timestamp - 301, BODY), BODY, False


def test_the_python_sample_verifies_webhooks():
    [sample] = samples("webhooks.md", "python")
    names: dict[str, Any] = {}
    exec(sample, names)
    for timestamp, signed, body, valid in calls(int(time.time())):
        assert names["is_valid"](KEY, str(timestamp), signed, body) is valid


def test_the_node_sample_verifies_webhooks(node):
    [sample] = samples("webhooks.md", "js")
    given = [
        (str(timestamp), signed, body.hex(), valid)
        for timestamp, signed, body, valid in calls(int(time.time()))
    ]
    said = run(
        f"{sample}\nfor (const [timestamp, signature, body, _] of {json.dumps(given)})\n"
        f"  console.log(isValid({json.dumps(KEY)}, timestamp, signature, Buffer.from(body, 'hex')));"
    )
    assert said.split() == [str(valid).lower() for *_, valid in given]


@pytest.mark.parametrize(("page", "number"), SAMPLES)
def test_a_sample_is_javascript(node, page, number):
    code = samples(page, "js")[number]
    # Without its imports it needs no library, and a function's body may await.
    body = re.sub(r"^import .*$", "", code, flags=re.MULTILINE).replace("export ", "")
    run(f"new (async () => {{}}).constructor({json.dumps(body)});")


# The library as the sample sees it: one push that arrives, and is tapped. The rest of the sample is run as it is.
MESSAGING = """
const message = { data: JSON.parse(process.env.PUSH) };
const messaging = () => ({
  requestPermission: async () => {}, getToken: async () => "token", onTokenRefresh: () => {},
  onMessage: (heard) => heard(message), setBackgroundMessageHandler: () => {},
  onNotificationOpenedApp: (heard) => heard(message), getInitialNotification: async () => null,
});
const backend = { registerDevice: async () => {} }, Platform = { OS: "android" };
"""


def test_the_react_native_sample_reports_delivered_and_opened(node, service, workspace):
    [token] = workspace.mint("android")
    workspace.register("42", token, "android")
    delivery = workspace.push_and_wait("42", title="Hello")["id"]
    [sample] = samples("sdks.md", "js")
    code = re.sub(r"^import .*$", "", sample, flags=re.MULTILINE).replace(
        "https://push.example.com", service["url"]
    )
    push = {"CIO-Delivery-ID": delivery, "CIO-Delivery-Token": token}
    run(MESSAGING + code, PUSH=json.dumps(push), NODE_EXTRA_CA_CERTS=service["ca_file"])
    eventually(lambda: {"delivered", "opened"} <= set(workspace.message(delivery)["metrics"]))
