"""Two cells behind one address, told apart by the proxy that is shipped: every API, every client, and one of them killed."""

import gzip
import json
import os
import secrets
import shutil
import ssl
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from customerio import APIClient, CustomerIO, SendPushRequest

from pushkeeper.core.cell import first_number, key_prefix
from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.model import PersonId, Secret, WorkspaceId
from pushkeeper.store.admin.workspaces import NewKeys
from support.cells import HAPROXY, TOKEN, ask, two_cells
from support.inside import routes_of
from support.processes import answer, refusal
from support.requests import SAMPLES, filled, is_of_cdp, key_of
from support.service import Workspace, eventually, good

CLIENTS = Path(__file__).parents[1] / "clients"
CDP = CLIENTS / "cdp" / ".venv" / "bin" / "python"
NODE = CLIENTS / "node"

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed")


@pytest.fixture(scope="module")
def rig(folder):
    with two_cells(folder) as started:
        yield started


@pytest.fixture(scope="module", params=[0, 1])
def cell(rig, request):
    return rig.cells[request.param]


@pytest.fixture(scope="module")
def workspaces(rig, simulator):
    """One of each cell, called by the one address, that sends through the simulator."""
    made = [
        Workspace(f"of-cell-{cell.number}", {**rig.service(), "data_dir": cell.data}, simulator)
        for cell in rig.cells
    ]
    for one in made:
        one.add_fcm()
    return made


@pytest.fixture
def workspace(workspaces, cell):
    return workspaces[cell.number]


def test_a_cell_is_named_by_its_metrics_and_its_keys(cell, workspace):
    assert cell.metrics()[f'pushkeeper_cell_info{{cell="{cell.number}"}}'] == 1.0
    for key in ("site_id", "api_key", "app_api_key", "write_key"):
        assert workspace.keys[key].startswith("k001") == (cell.number == 1)


def test_a_cell_is_named_by_its_doctor_and_its_map_and_stays_that_cell(rig):
    on = ("--data", rig.cells[1].data)
    found = answer("doctor", "--no-probes", *on)["findings"]
    assert [one["said"] for one in found if one["check"] == "cell"] == ["1"]
    assert answer("keys", "map", *on)["map"] == dict.fromkeys(["cell1.", "k001", "AAAB"], "cell1")
    said = refusal("migrate", "--cell", "0", *on)
    assert (said["code"], "is cell 1" in said["message"]) == ("conflict", True)


def test_every_route_reaches_the_cell_that_the_key_or_the_id_names(rig, cell, routes_of_all):
    """Asked with what nobody has: the wrong cell would say that it is the wrong one, and count the call."""
    prefix = key_prefix(cell.number)
    keys = NewKeys(*(f"{prefix}{secrets.token_hex(size)}" for size in (10, 16, 20, 20)))
    number = first_number(cell.number)
    delivery = DeliveryIds(Secret(bytes(32))).text(WorkspaceId(number), uuid4(), PersonId(number))
    wrong_before, before, tried = [one.misrouted() for one in rig.cells], cell.calls(), 0
    for route in routes_of_all:
        method, path = route.split()
        path = path.replace("{key}", keys.write_key).replace("{delivery_id}", delivery)
        path = filled(path.replace("{link}", f"{prefix}." * bool(prefix) + secrets.token_urlsafe(40)))
        headers = {"content-type": "application/json", **key_of(route, keys)}
        (body, *_) = SAMPLES.get(route, [None])
        if "delivery_id" in (body or {}):
            body = {**body, "delivery_id": delivery}
        wanted = (
            {401}
            if "authorization" in headers and not path.startswith(("/v1/projects", "/exports"))
            else {200, 404}
        )
        status, text, _ = ask(rig.port, method, path, headers, body)
        assert status in wanted, (route, status, text)
        assert "but this is cell" not in text, route
        tried += 1
        if is_of_cdp(route):
            status, text, _ = ask(
                rig.port, method, path, {"x-strict-mode": "1"}, {**body, "writeKey": keys.write_key}
            )
            assert (status, "but this is cell" in text) == (401, False), route
            tried += 1
    assert tried > 150
    assert cell.calls() - before == tried
    assert [one.misrouted() for one in rig.cells] == wrong_before


@pytest_asyncio.fixture(scope="module")
async def routes_of_all():
    """`METHOD path` of what every cell answers for its own workspaces."""
    from pushkeeper import wiring
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database

    database = Database("postgresql://nobody@localhost/none", DeliveryIds(Secret(bytes(32))))
    app = wiring.api(wiring.Store(database, Vault(Secret(bytes(32))), None, ()), "http://localhost")
    of_any = {
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
        "/api/docs/errors",
        "/webpush/cio-webpush-sw.js",
        "/v1/info/ip_addresses",
    }
    return [
        f"{method} {path}"
        for method, path in routes_of(app)
        if method not in {"HEAD", "OPTIONS"} and path not in of_any
    ]


@pytest.fixture
def token(workspace):
    """Of a phone that the simulator knows and its person has registered."""
    [minted] = workspace.mint("android")
    workspace.register("ann", minted, "android")
    return minted


def test_a_push_is_registered_sent_reported_and_unsubscribed_from(rig, cell, workspace, token):
    message = workspace.push_and_wait("ann")
    assert workspace.status(token) == "sent"
    delivery = message["id"]
    for path, body in (
        ("/api/v1/metrics", {"delivery_id": delivery, "metric": "delivered", "recipient": token}),
        ("/push/events", {"delivery_id": delivery, "event": "opened", "device_id": token}),
        ("//api/v1/push/events", {"event": "clicked", "device_id": token, "delivery_id": delivery}),
        (f"/unsubscribe/{delivery}", {"unsubscribe": True}),
    ):
        status, _, _ = ask(rig.port, "POST", path, {}, body)
        assert status == 200
    assert {"delivered", "opened", "clicked"} <= set(workspace.message(delivery)["metrics"])
    person = workspace.app("GET", "/v1/customers/ann/attributes")["customer"]
    assert person["unsubscribed"] is True
    # The number of the person too, and so of any person created in this cell.
    assert int(person["identifiers"]["cio_id"], 16) >> 40 == cell.number
    workspace.track("PUT", "/api/v1/customers/ann", {"unsubscribed": False})


def test_an_export_is_downloaded_by_its_link(rig, workspace):
    made = workspace.app("POST", "/v1/exports/customers", {"filters": {"and": []}})["export"]
    eventually(lambda: workspace.app("GET", f"/v1/exports/{made['id']}")["export"]["status"] == "done")
    link = urlsplit(workspace.app("GET", f"/v1/exports/{made['id']}/download")["url"]).path
    status, text, _ = ask(rig.port, "GET", link)
    assert (status, text.startswith("id,")) == (200, True)


def test_customer_ios_client_for_python(rig, cell, workspace, token):
    track = CustomerIO(
        workspace.keys["site_id"], workspace.keys["api_key"], host="localhost", port=rig.tls_port
    )
    app = APIClient(workspace.keys["app_api_key"], url=rig.url)
    track.http.verify = app.http.verify = str(rig.ca)
    track.http.trust_env = app.http.trust_env = False
    track.identify(id="python", plan="pro")
    track.track(customer_id="python", name="bought", data={"price": 3})
    assert person(workspace, "python")["attributes"]["plan"] == "pro"
    sent = app.send_push(
        SendPushRequest(
            transactional_message_id="3", identifiers={"id": "ann"}, title="Hello", message="from python"
        )
    )
    assert workspace.message(sent["delivery_id"])["id"] == sent["delivery_id"]


@pytest.mark.skipif(not CDP.exists(), reason="`make test` installs it")
@pytest.mark.parametrize("zipped", [True, False])
def test_customer_ios_pipelines_client_for_python(rig, workspace, zipped):
    name = f"cdp-{zipped}"
    told = {
        "write_key": workspace.keys["write_key"],
        "host": rig.url,
        "sync_mode": True,
        "gzip": zipped,
        "calls": [["identify", {"user_id": name, "traits": {"plan": "pro"}}]],
    }
    done = subprocess.run(
        [CDP, "call.py"],
        cwd=CLIENTS / "cdp",
        input=json.dumps(told),
        env={**os.environ, "REQUESTS_CA_BUNDLE": str(rig.ca)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]"), done.stderr
    assert person(workspace, name)["attributes"]["plan"] == "pro"


@pytest.mark.skipif(
    not (NODE / "node_modules").exists() or shutil.which("node") is None, reason="Node is not installed"
)
def test_customer_ios_client_for_node(rig, workspace, token):
    keys = workspace.keys

    def call(make, *calls):
        done = subprocess.run(
            ["node", "call.mjs"],
            cwd=NODE,
            input=json.dumps({"module": "customerio-node", "make": make, "calls": calls}),
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(rig.ca)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return good(json.loads(done.stdout))

    request = {"identifiers": {"id": "ann"}, "transactional_message_id": 1, "title": "Hello", "message": "x"}
    [sent] = call(
        ["APIClient", keys["app_api_key"], {"url": f"{rig.url}/v1"}],
        ["sendPush", {"$new": ["SendPushRequest", request]}],
    )
    delivery = sent["delivery_id"]
    eventually(lambda: "sent" in workspace.message(delivery)["metrics"])
    call(
        ["TrackClient", keys["site_id"], keys["api_key"], {"url": f"{rig.url}/api/v1"}],
        ["identify", "node", {"plan": "pro"}],
        ["trackPush", {"delivery_id": delivery, "event": "opened", "device_id": token}],
    )
    assert person(workspace, "node")["attributes"]["plan"] == "pro"
    assert "opened" in workspace.message(delivery)["metrics"]


def batch(workspace, name, padding=0):
    """A batch as iPhones send it: the key is behind all the rest."""
    item = {"type": "identify", "userId": name, "traits": {"plan": "pro"}, "messageId": secrets.token_hex(8)}
    filler = {"type": "track", "event": "x", "userId": name, "properties": {"text": "x" * 30_000}}
    return json.dumps(
        {"batch": [item, *[filler] * padding], "writeKey": workspace.keys["write_key"]}
    ).encode()


@pytest.mark.parametrize("padding", [0, 16], ids=["small", "480 KB"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_batch_whose_key_is_in_its_body(rig, workspace, padding, chunked):
    name = f"ios-{padding}-{chunked}"
    body = batch(workspace, name, padding)
    given = iter([body[:100], body[100:]]) if chunked else body
    status, text, _ = ask(rig.port, "POST", "/v1/b", {"content-type": "text/plain"}, given)
    assert (status, text) == (200, "{}\n")
    assert person(workspace, name)["attributes"]["plan"] == "pro"


def test_an_sdk_that_compresses_its_batches_learns_its_cells_own_host(rig, cell, workspace):
    """The proxy cannot read the key in such a body. What comes to the wrong cell is kept by the SDK, for the right one."""
    key = workspace.keys["write_key"]
    status, text, _ = ask(rig.port, "GET", f"/v1/projects/{key}/settings")
    told = json.loads(text)["integrations"]["Customer.io Data Pipelines"]
    assert (status, told["apiHost"]) == (200, f"{cell.host}:{rig.tls_port}/v1")
    headers = {"content-encoding": "gzip", "content-type": "text/plain"}
    body = gzip.compress(batch(workspace, "android"))
    status, text, answered = ask(rig.port, "POST", "/v1/b", headers, body)
    if cell.number:
        assert (status, answered["retry-after"]) == (503, "60")
        assert f"The key belongs to cell {cell.number}, but this is cell 0" in text
    status, text, _ = ask(rig.port, "POST", "/v1/b", {**headers, "host": cell.host}, body)
    assert (status, text) == (200, "{}\n")
    assert person(workspace, "android")["attributes"]["plan"] == "pro"


def test_the_host_of_another_cell_says_so(rig, cell, workspace):
    other = rig.cells[1 - cell.number]
    headers = {"authorization": f"Bearer {workspace.keys['app_api_key']}", "host": other.host}
    status, text, _ = ask(rig.port, "GET", "/api/v1/options", headers)
    assert (status, json.loads(text)["error"]["code"]) == (401, "wrong_cell")
    assert f"The key belongs to cell {cell.number}, but this is cell {other.number}" in text


def test_the_dashboard_of_each_cell_is_at_the_cells_own_host(rig, cell):
    status, text, _ = ask(rig.port, "GET", "/login", {"host": cell.host})
    assert (status, "Pushkeeper" in text) == (200, True)


def test_http_2(rig, workspace):
    context = ssl.create_default_context(cafile=str(rig.ca))
    with httpx.Client(http2=True, verify=context, trust_env=False) as client:
        headers = {"authorization": f"Bearer {workspace.keys['app_api_key']}"}
        found = client.get(f"{rig.url}/api/v1/options", headers=headers)
        assert (found.status_code, found.http_version) == (200, "HTTP/2")


@pytest.mark.parametrize("header", ["Basic {0}", "basic {0}", "Basic {1}"], ids=["padded", "lower", "bare"])
def test_basic_authentication_as_clients_write_it(rig, workspace, header):
    pair = b64encode(f"{workspace.keys['site_id']}:{workspace.keys['api_key']}".encode()).decode()
    authorization = header.format(pair, pair.rstrip("="))
    status, _, _ = ask(rig.port, "GET", "/api/v1/accounts/region", {"authorization": authorization})
    assert status == 200


def test_what_only_processes_are_asked_is_not_passed_on(rig, cell):
    headers = {"host": cell.host, "authorization": f"Bearer {TOKEN}"}
    assert ask(rig.port, "GET", "/metrics", headers)[0] == 404


def test_the_log_of_the_proxy_has_no_paths(rig, workspace, token):
    ask(
        rig.port,
        "GET",
        f"/api/v1/devices/{token}",
        {"authorization": f"Bearer {workspace.keys['app_api_key']}"},
    )
    log = eventually(rig.log_of_proxy)
    assert "cell0/api" in log or "cell1/api" in log
    assert token not in log
    assert "/api/v1" not in log


def test_a_cell_that_is_killed_takes_no_other_with_it_and_comes_back(rig, workspaces):
    ours, theirs = workspaces
    killed = rig.cells[1]
    killed.process.kill()
    for number in range(1, 21):
        ours.track("PUT", f"/api/v1/customers/{number}", {"plan": "pro"})
        path, headers = f"/api/v1/customers/{number}", theirs.track.headers
        status, text, told = ask(rig.port, "PUT", path, headers, {"plan": "pro"})
        assert (status, told["retry-after"]) == (503, "5"), text
        assert json.loads(text)["meta"]["error"] == "the service does not answer now"
    assert person(ours, "20")["attributes"]["plan"] == "pro"
    killed.process.end()
    killed.start()
    eventually(lambda: ask(rig.port, "GET", "/v1/segments", theirs.app.headers)[0] == 200)
    theirs.track("PUT", "/api/v1/customers/back", {"plan": "pro"})
    assert person(theirs, "back")["attributes"]["plan"] == "pro"
    assert [one.app.request("GET", "/v1/customers/back/attributes")[0] for one in workspaces] == [404, 200]


def person(workspace, identifier):
    return workspace.app("GET", f"/v1/customers/{identifier}/attributes")["customer"]
