"""The commands as a user gives them, and what they say to bad input."""

import json
import re
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from support.processes import answer, ports_in_a_row, refusal, run, running
from support.service import eventually


def test_every_command_has_help_that_says_what_it_does():
    said = run("--help")
    assert said.returncode == 0
    commands = re.findall(r"^  (\w+)  ", said.stdout, re.MULTILINE)
    assert {
        "demo",
        "serve",
        "worker",
        "simulate",
        "migrate",
        "doctor",
        "workspace",
        "credentials",
        "device",
        "audience",
        "send",
    } <= set(commands)
    for command in commands:
        helped = run(command, "--help")
        assert helped.returncode == 0
        assert "--json" in helped.stdout or "Commands:" in helped.stdout or command == "completion"


def test_serve_says_where_it_is(service):
    assert set(service.facts) == {"url", "ca_file", "data_dir", "database_url", "setup_url", "pid"}
    assert service["url"].startswith("http://localhost:")
    assert service["ca_file"] is None
    assert service["database_url"].startswith("postgresql://")


def test_simulate_says_where_it_is(simulator):
    assert set(simulator.facts) == {
        *(
            "fcm_url",
            "oauth_url",
            "apns_url",
            "apns_sandbox_url",
            "webpush_url",
            "control_url",
            "ca_file",
            "service_account_file",
        ),
        *("apns_key_file", "apns_key_id", "apns_team_id", "apns_topic", "client_certificate_file", "pid"),
    }


def test_commands_work_beside_a_running_service(workspace):
    [token] = workspace.mint("android")
    workspace.register("ann", token, "android")
    sent = answer("send", "--workspace", workspace.name, "--to", "ann", "--title", "Hello", *workspace.on)
    eventually(lambda: workspace.status(token) == "sent")
    assert "sent" in workspace.message(sent["delivery_id"])["metrics"]
    shown = answer("device", "show", token, "--workspace", workspace.name, *workspace.on)
    assert (shown["last_status"], shown["platform"]) == ("sent", "android")
    assert shown["generation"] == workspace.device(token)["generation"]
    assert shown["route"].startswith("fcm:")
    history = answer("device", "history", token, "--workspace", workspace.name, *workspace.on)["history"]
    assert [(line["event"], line["provider_status"]) for line in history] == [
        ("accepted", 200),
        ("registered", None),
    ]
    names = [w["workspace"] for w in answer("workspace", "list", *workspace.on)["workspaces"]]
    assert workspace.name in names
    assert answer("migrate", *workspace.on)["applied"] == []


def test_an_audience_is_counted_shown_and_compared(workspace):
    [token] = workspace.mint("android")
    workspace.register("ann", token, "android")
    on = ("--workspace", workspace.name, *workspace.on)
    assert answer("audience", "count", "platform = android", *on) == {"people": 1, "devices": 1}
    condition = {"attribute": {"field": "platform", "operator": "eq", "value": "ios"}}
    assert answer("audience", "count", json.dumps({"device": condition}), *on) == {"people": 0, "devices": 0}
    [device] = answer("audience", "sample", "last_status in (unused, sent)", "--unit", "person", *on)[
        "devices"
    ]
    assert device["token"] == token
    preview = answer("audience", "preview", "platform = android", *on)
    assert (preview["devices"], preview["wrongly_included"], preview["examples"]) == (1, 0, [])
    read = run("audience", "sample", "platform = android", *on).stdout
    assert "android" in read
    assert token not in read
    assert (
        "unexpected end of the filter (character 12): expected a value"
        in refusal("audience", "count", "platform = ", *on)["message"]
    )
    assert "not JSON" in refusal("audience", "count", "{", *on)["message"]


def test_what_people_read_masks_the_token(workspace):
    [token] = workspace.mint("ios")
    workspace.register("ann", token, "ios")
    said = run("device", "show", token, "--workspace", workspace.name, *workspace.on)
    assert said.returncode == 0
    assert token not in said.stdout
    assert "unused" in said.stdout


def test_a_rejected_route_pauses_holds_its_pushes_and_resumes_when_the_key_is_fixed(workspace, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    wrong = tmp_path / "wrong.p8"
    wrong.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    [token] = workspace.mint("ios")
    workspace.register("ann", token, "ios")
    workspace.add_apns(**{"--key": wrong})
    delivery = workspace.push("ann")
    held = eventually(lambda: [r for r in _routes(workspace) if r["waiting"]])
    assert [(r["route"].split(":")[0], r["waiting"], r["pause_kind"]) for r in held] == [
        ("apns", 1, "credentials")
    ]
    assert "InvalidProviderToken" in held[0]["pause_reason"]
    later = workspace.push("ann", title="while it is paused")
    eventually(lambda: [r for r in _routes(workspace) if r["waiting"] == 2])
    assert len(workspace.journal(token)) == 1, "a paused route is not asked again"
    assert workspace.status(token) == ""
    workspace.update_apns()
    for one in (delivery, later):
        eventually(lambda one=one: "sent" in workspace.message(one)["metrics"])
    assert workspace.status(token) == "sent"


def test_there_is_nothing_to_update_before_it_was_added(workspace):
    options = ("--topic", "com.example.none", "--environment", "sandbox", "--key-id", "ABC123DEFG")
    error = refusal(
        *("credentials", "update", "apns", "--workspace", workspace.name, *workspace.on, *options),
        *("--team-id", "TEAM123456", "--key", workspace.simulator["apns_key_file"]),
    )
    assert error["code"] == "not_found"
    assert "credentials add" in error["message"]


def test_an_operator_pauses_a_route_and_lets_it_go_on(workspace):
    [token] = workspace.mint("android")
    workspace.register("ann", token, "android")
    name = next(r["route"] for r in _routes(workspace) if not r["route"].endswith(":apple"))
    route = ("--workspace", workspace.name, *workspace.on)
    answer("routes", "pause", name, "--reason", "maintenance", *route)
    delivery = workspace.push("ann")
    paused = eventually(lambda: [r for r in _routes(workspace) if r["waiting"]])
    assert [(r["route"], r["state"], r["pause_kind"], r["pause_reason"]) for r in paused] == [
        (name, "paused", "operator", "maintenance")
    ]
    assert workspace.message(delivery)["failure_message"] == "on hold: maintenance"
    assert refusal("routes", "pause", name, *route)["code"] == "conflict"
    assert answer("routes", "apply", name, "--yes", *route) == {"route": name, "applied": 0}
    assert answer("routes", "discard", name, "--yes", *route) == {"route": name, "discarded": 0}
    assert answer("routes", "resume", name, *route)["released"] == 1
    eventually(lambda: "sent" in workspace.message(delivery)["metrics"])


def test_what_a_workspace_chose_is_shown_and_changed(workspace):
    command = ("workspace", "options", workspace.name, *workspace.on)
    assert answer(*command)["options"]["suppress_after"] == 2
    chosen = answer(*command, "--suppress-after", "3", "--delete-unregistered", "--max-pushes-per-s", "50")
    assert answer(*command) == chosen
    assert (chosen["options"]["suppress_after"], chosen["options"]["max_pushes_per_s"]) == (3, 50)
    assert chosen["options"]["delete_unregistered"] is True
    assert answer(*command, "--max-pushes-per-s", "0")["options"]["max_pushes_per_s"] is None
    assert "suppress_after" in refusal(*command, "--suppress-after", "0")["message"]


def _routes(workspace):
    return answer("routes", "list", "--workspace", workspace.name, *workspace.on)["routes"]


def test_resuming_a_route_by_hand_releases_what_it_held(workspace):
    tokens = workspace.mint("android", 2)
    for person, token in zip(("ann", "bob"), tokens, strict=True):
        workspace.register(person, token, "android")
    denied = {
        "error": {
            "code": 403,
            "message": "The caller does not have permission",
            "status": "PERMISSION_DENIED",
        }
    }
    workspace.control("POST", "/script", {"token": tokens[0], "answers": [{"status": 403, "body": denied}]})
    delivery = workspace.push("ann")
    eventually(lambda: [r for r in _routes(workspace) if r["waiting"]])
    [route] = {r["route"] for r in _routes(workspace) if r["waiting"]}
    released = answer("routes", "resume", route, "--workspace", workspace.name, *workspace.on)
    assert released == {"route": route, "released": 1}
    eventually(lambda: "sent" in workspace.message(delivery)["metrics"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no key at all", "key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key"),
    ],
)
def test_a_p8_that_is_not_one_is_refused(workspace, tmp_path, content, said):
    file = tmp_path / "AuthKey.p8"
    file.write_text(content)
    error = refusal(
        *("credentials", "add", "apns", "--workspace", workspace.name, *workspace.on, "--key", file),
        *(
            "--key-id",
            "ABC123DEFG",
            "--team-id",
            "DEF123GHIJ",
            "--topic",
            "com.example",
            "--environment",
            "production",
        ),
    )
    assert error["code"] == "malformed"
    assert said in error["message"]
    assert "AAAA" not in error["message"]


def test_a_service_account_without_a_private_key_is_refused(workspace, simulator, tmp_path):
    account = json.loads(Path(simulator["service_account_file"]).read_text())
    del account["private_key"]
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    before = answer("routes", "list", "--workspace", workspace.name, *workspace.on)
    error = refusal(
        *(
            "credentials",
            "add",
            "fcm",
            "--workspace",
            workspace.name,
            *workspace.on,
            "--service-account",
            file,
        )
    )
    assert "private_key" in error["message"]
    assert answer("routes", "list", "--workspace", workspace.name, *workspace.on) == before


def test_a_workspace_that_is_not_there_is_named(service):
    error = refusal(
        "send", "--workspace", "nobody", "--to", "x", "--title", "t", "--data", service["data_dir"]
    )
    assert error == {"code": "not_found", "message": "Workspace 'nobody' not found."}


def test_a_workspace_name_that_is_taken_is_refused(workspace):
    assert refusal("workspace", "create", workspace.name, *workspace.on)["code"] == "conflict"


def test_a_push_to_nobody_or_that_says_nothing_is_refused(workspace):
    to = ("send", "--workspace", workspace.name, *workspace.on, "--to")
    assert refusal(*to, "stranger", "--title", "t")["code"] == "not_found"
    workspace.register("ann", workspace.mint("ios")[0], "ios")
    assert "message" in refusal(*to, "ann")["message"]


def test_a_second_service_on_one_folder_is_refused_and_told_whose_it_is(service):
    error = refusal("serve", "--data", service["data_dir"], "--port", "0")
    assert error["code"] == "conflict"
    assert f"pid {service['pid']}" in error["message"]


def test_a_port_in_use_is_refused(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refusal("serve", "--data", folder / "port", "--port", port)
    assert error["code"] == "conflict"
    assert str(port) in error["message"]


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    error = refusal("serve", "--data", tmp_path / "file" / "data", "--port", "0")
    assert error["code"] == "misconfigured"
    assert "ata folder" in error["message"]


def test_a_certificate_of_ones_own_is_served(folder, tmp_path):
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    with running(
        "serve", "--data", folder / "tls", "--port", "0", "--tls-cert", cert, "--tls-key", key
    ) as service:
        port = int(service["url"].rpartition(":")[2])
        assert service["url"].startswith("https://")
        context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
        with (
            socket.create_connection(("localhost", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}
    error = refusal("serve", "--data", folder / "tls", "--port", "0", "--tls-cert", cert, "--tls-key", cert)
    assert (error["code"], "tls_key" in error["message"]) == ("misconfigured", True)
    assert (
        "tls_key" in refusal("serve", "--data", folder / "tls", "--port", "0", "--tls-cert", cert)["message"]
    )


def test_a_certificate_can_take_the_place_of_a_signing_key(workspace, folder):
    certificate = workspace.simulator["client_certificate_file"]
    replaced = dict.fromkeys(("--key", "--key-id", "--team-id"))
    assert workspace.add_apns(**{"--certificate": certificate}, **replaced)["kind"] == "certificate"
    [token] = workspace.mint("ios")
    workspace.register("ann", token, "ios")
    workspace.push_and_wait("ann")
    assert workspace.status(token) == "sent"
    [asked] = workspace.journal(token)
    assert "authorization" not in asked["headers"]


def test_an_unknown_setting_refuses_to_start(tmp_path):
    file = tmp_path / "pushkeeper.toml"
    file.write_text("prot = 8383\n")
    assert "prot" in refusal("migrate", "--config", file)["message"]
    assert "PUSHKEEPER_PROT" in refusal("migrate", env={"PUSHKEEPER_PROT": "1"})["message"]


def test_no_secret_is_in_the_log(service, workspace, simulator):
    [token] = workspace.mint("ios")
    workspace.register("ann", token, "ios")
    workspace.push_and_wait("ann")
    refused, before = '"status":400', service.log()
    wrong = {"device": {"id": token, "platform": "x"}}
    assert workspace.track.request("PUT", "/api/v1/customers/ann/devices", wrong)[0] == 400
    eventually(lambda: service.log().count(refused) > before.count(refused))
    log = service.log()
    private_key = json.loads(Path(simulator["service_account_file"]).read_text())["private_key"].splitlines()[
        1
    ]
    for secret in (
        *[v for k, v in workspace.keys.items() if k not in {"workspace", "site_id"}],
        token,
        private_key,
    ):
        assert secret not in log


def test_a_simulator_on_ports_that_are_named_is_reached_there_and_a_second_one_is_refused(folder):
    first = ports_in_a_row(6)
    with running("simulate", "--data", folder / "placed", "--port", first, "--host", "127.0.0.1") as placed:
        assert placed["fcm_url"] == f"https://127.0.0.1:{first}"
        assert placed["oauth_url"] == f"https://127.0.0.1:{first + 1}/token"
        assert placed["control_url"] == f"http://127.0.0.1:{first + 4}"
        assert placed["webpush_url"] == f"https://127.0.0.1:{first + 5}"
        again = refusal("simulate", "--data", folder / "placed-2", "--port", first)
        assert (again["code"], str(first) in again["message"]) == ("conflict", True)
