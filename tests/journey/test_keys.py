"""Keys of a workspace from the command line: changed while clients go on to call."""

import json

import pytest

from support.processes import answer, refusal, run
from support.service import Http, eventually

OK, REFUSED = 200, 401


@pytest.fixture
def on(workspace):
    return ("--workspace", workspace.name, *workspace.on)


def status_by(service, key):
    status, _ = Http(service["url"], f"Bearer {key}", service["ca_file"]).request("GET", "/api/v1/keys")
    return status


def test_a_key_is_changed_without_a_call_refused(service, workspace, on):
    former = workspace.keys["app_api_key"]
    made = answer("keys", "add", "app", *on)
    assert status_by(service, former) == status_by(service, made["app_api_key"]) == OK
    listed = answer("keys", "list", *on)["keys"]
    assert [one["kind"] for one in listed] == ["track", "app", "app", "cdp"]
    assert made["app_api_key"] not in json.dumps(listed)
    [old] = [one["key_id"] for one in listed if former.startswith(one["key_id"])]
    assert old in run("keys", "list", *on).stdout
    answer("keys", "revoke", "app", old, "--yes", *on)
    eventually(lambda: status_by(service, former) == REFUSED)
    assert status_by(service, made["app_api_key"]) == OK


def test_a_site_has_its_id_and_what_is_made_is_said_for_people_once(workspace, on):
    made = answer("keys", "add", "track", *on)
    assert set(made) == {"site_id", "api_key"}
    told = run("keys", "add", "cdp", *on).stdout
    assert "write_key" in told
    assert "only its hash is stored" in told
    ids = [one["key_id"] for one in answer("keys", "list", *on)["keys"] if one["kind"] == "track"]
    assert made["site_id"] in ids


def test_what_is_not_there_and_the_last_of_a_kind_are_refused(workspace, on):
    [last] = [one["key_id"] for one in answer("keys", "list", *on)["keys"] if one["kind"] == "cdp"]
    assert refusal("keys", "revoke", "cdp", last, "--yes", *on)["code"] == "conflict"
    assert refusal("keys", "revoke", "cdp", "nobodys", "--yes", *on)["code"] == "not_found"
    assert refusal("keys", "add", "app", "--workspace", "nowhere", *workspace.on)["code"] == "not_found"
    assert len(answer("keys", "list", *on)["keys"]) == 3
