"""Users from the command line: made, listed, let in and kept out, and the link by which the first admin is made."""

import http.client
import secrets
from urllib.parse import urlsplit

import pytest

from support.processes import answer, refusal, run, running


def status_of(url):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", parts.path)
    return connection.getresponse().status


@pytest.fixture(scope="module")
def on(folder):
    return ("--data", folder / "users")


@pytest.fixture(scope="module")
def started(on):
    with running("serve", *on, "--port", "0", "--no-worker") as service:
        yield service


def test_the_first_start_prints_a_link_that_makes_the_first_admin(started):
    assert started["setup_url"].startswith(f"{started['url']}/link/")
    assert status_of(started["setup_url"]) == 200
    assert "setup_url" not in started.log()
    assert started["setup_url"].rpartition("/")[2] not in started.log()


def test_a_user_is_made_listed_changed_and_kept_out(started, on):
    name = f"ann-{secrets.token_hex(3)}@example.com"
    made = answer("user", "add", name, "--role", "operator", *on)
    assert made["role"] == "operator"
    token = made["url"].rpartition("/")[2]
    assert status_of(f"{started['url']}/link/{token}") == 200
    # There is a user now: the first link is useless to anybody who finds it.
    assert status_of(started["setup_url"]) == 404
    assert answer("user", "role", name, "viewer", *on) == {"name": name, "role": "viewer"}
    again = answer("user", "link", name, *on)
    assert status_of(f"{started['url']}/link/{token}") == 404
    assert answer("user", "disable", name, *on)["disabled"] is True
    assert status_of(f"{started['url']}/link/{again['url'].rpartition('/')[2]}") == 404
    listed = {user["name"]: user for user in answer("user", "list", *on)["users"]}
    assert (listed[name]["role"], listed[name]["state"]) == ("viewer", "disabled")
    assert refusal("user", "link", name, *on)["code"] == "conflict"
    answer("user", "disable", name, "--undo", *on)
    assert "invited" in run("user", "list", *on).stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("link", "nobody"), "not_found"),
        (("role", "nobody", "admin"), "not_found"),
        (("disable", "nobody"), "not_found"),
        (("add", "  "), "malformed"),
        (("add", "x" * 300), "malformed"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(started, on, command, code):
    before = answer("user", "list", *on)
    assert refusal("user", *command, *on)["code"] == code
    assert answer("user", "list", *on) == before


def test_a_name_is_taken_in_any_case(started, on):
    name = f"Ben-{secrets.token_hex(3)}"
    answer("user", "add", name, *on)
    assert refusal("user", "add", name.upper(), *on)["code"] == "conflict"


def test_there_is_no_dashboard_where_it_is_not_wanted(folder):
    with running(
        *("serve", "--data", folder / "without", "--port", "0", "--no-worker"),
        env={"PUSHKEEPER_DASHBOARD": "false"},
    ) as service:
        assert service["setup_url"] is None
        assert status_of(f"{service['url']}/login") == 404
        assert status_of(f"{service['url']}/healthz") == 200
