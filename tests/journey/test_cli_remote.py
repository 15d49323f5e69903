"""The command line against a server on another machine, in a terminal of 80 columns."""

import json
import re
import subprocess
import sys

import pytest

from pushkeeper.cli import commands_of, main
from support.processes import CLEAN, answer, refusal, run
from support.service import eventually
from support.terminal import COLUMNS, Terminal, seen

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def home(tmp_path):
    """The environment of somebody who has not logged in anywhere."""
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


@pytest.fixture
def remote(workspace, home):
    """The environment of somebody who has logged in to the workspace."""
    logged_in = _login(workspace.keys["app_api_key"], workspace.url, env=home)
    assert logged_in.returncode == 0, logged_in.stderr
    assert json.loads(logged_in.stdout)["workspace"] == workspace.name
    return home


def _login(key, url, *more, env):
    return subprocess.run(
        [sys.executable, "-m", "pushkeeper", "login", url, "--json", *more],
        input=f"{key}\n",
        capture_output=True,
        text=True,
        check=False,
        env={**CLEAN, **env},
    )


@pytest.fixture
def phones(workspace):
    """Ann's iPhone and Ben's Android phone."""
    [iphone], [pixel] = workspace.mint("ios"), workspace.mint("android")
    workspace.register("ann", iphone, "ios")
    workspace.register("ben", pixel, "android")
    return iphone, pixel


def test_a_wrong_key_is_refused_and_not_kept(workspace, home):
    refused = _login("0" * 40, workspace.url, env=home)
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["error"]["code"] == "unauthorized"
    assert answer("context", "list", env=home) == {"contexts": []}


def test_contexts_are_listed_chosen_and_removed(workspace, remote):
    [one] = answer("context", "list", env=remote)["contexts"]
    assert (one["context"], one["in_use"]) == (workspace.name, True)
    assert workspace.keys["app_api_key"] not in run("context", "list", env=remote).stdout
    answer("context", "use", "--none", env=remote)
    assert not answer("context", "list", env=remote)["contexts"][0]["in_use"]
    assert answer("device", "list", "--context", workspace.name, env=remote) == {"devices": []}
    answer("logout", workspace.name, env=remote)
    assert refusal("device", "list", "--context", workspace.name, env=remote)["code"] == "not_found"


def test_people_and_devices_are_looked_up_on_another_server_as_on_this_one(workspace, remote, phones):
    iphone, _ = phones
    shown = answer("device", "show", iphone, env=remote)
    assert shown == answer("device", "show", iphone, "--workspace", workspace.name, *workspace.on)
    assert {one["token"] for one in answer("device", "list", env=remote)["devices"]} == set(phones)
    assert "ann" in run("device", "show", iphone, env=remote).stdout
    assert iphone not in run("device", "list", env=remote).stdout
    assert [one["id"] for one in answer("person", "list", "platform = ios", env=remote)["people"]] == ["ann"]
    person = answer("person", "show", "ann", env=remote)["person"]
    assert [one["id"] for one in person["devices"]] == [iphone]
    assert refusal("person", "show", "nobody", env=remote)["code"] == "not_found"
    assert refusal("device", "show", "nothing", env=remote)["code"] == "not_found"
    assert refusal("device", "list", "--workspace", "another", env=remote)["path"] == ["workspace"]


def test_a_push_is_sent_followed_and_explained_from_another_machine(workspace, remote, phones):
    iphone, _ = phones
    with Terminal("events", "--follow", "--limit", "1", env=remote) as terminal:
        terminal.until("\n")
        sent = answer("send", "--to", "ann", "--title", "Hello", env=remote)["delivery_id"]
        terminal.until(sent)
    eventually(lambda: workspace.status(iphone) == "sent")
    assert answer("message", "show", sent, env=remote)["message"]["id"] == sent
    assert sent in [one["id"] for one in answer("message", "list", "--since", "1h", env=remote)["messages"]]
    assert answer("explain", "--person", "ann", env=remote)["got"] is True
    assert answer("device", "pushes", iphone, env=remote)["pushes"][0]["delivery_id"] == sent
    assert refusal("send", "--to", "nobody", "--title", "Hello", env=remote)["code"] == "not_found"


def test_a_broadcast_is_made_asked_about_and_sent_from_another_machine(workspace, remote, phones):
    made = answer("broadcast", "create", "platform = ios", "--title", "Hello", env=remote)["broadcast"]
    number = str(made["id"])
    eventually(lambda: answer("broadcast", "preflight", number, env=remote)["preflight"])
    assert refusal("broadcast", "start", number, env=remote)["code"] == "missing"
    with Terminal("broadcast", "start", number, env=remote) as terminal:
        terminal.until("[y/N]")
        terminal.says("n")
        assert terminal.ends()[0] == 1
    assert answer("broadcast", "show", number, env=remote)["broadcast"]["state"] == "draft"
    with Terminal("broadcast", "start", number, "--follow", env=remote) as terminal:
        terminal.until("about 1 device?")
        terminal.says("y")
        code, shown = terminal.ends()
    assert code == 0, shown
    assert f"Broadcast {number} is sent: 1 of 1 processed." in shown
    assert workspace.journal(phones[0])
    assert number in [str(one["id"]) for one in answer("broadcast", "list", env=remote)["broadcasts"]]


def test_audiences_templates_and_webhooks_are_made_shown_and_deleted(workspace, remote):
    kinds = {
        "audience": ("iPhones", "platform = ios"),
        "template": ("Shipped", "--trigger", "shipped", "--title", "On its way"),
        "webhook": ("https://hooks.example.com/push", "--event", "push_sent"),
    }
    for kind, given in kinds.items():
        number = str(answer(kind, "create", *given, env=remote)[kind]["id"])
        assert answer(kind, "show", number, env=remote)[kind]["id"] == int(number)
        assert number in [str(one["id"]) for one in answer(kind, "list", env=remote)[f"{kind}s"]]
        assert refusal(kind, "delete", number, env=remote)["code"] == "missing"
        answer(kind, "delete", number, "--yes", env=remote)
        assert refusal(kind, "show", number, env=remote)["code"] == "not_found"


def test_what_only_the_servers_own_machine_can_do_says_so_by_looking_for_its_database(remote, tmp_path):
    refused = refusal(
        "keys",
        "add",
        "app",
        "--workspace",
        "shop",
        env={**remote, "PUSHKEEPER_DATA_DIR": str(tmp_path / "none")},
    )
    assert refused["code"] == "misconfigured"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "command", [("device", "list"), ("workspace", "list"), ("routes", "list"), ("user", "list")], ids=" ".join
)
def test_reading_creates_no_database(command, home, tmp_path):
    env = {**home, "PUSHKEEPER_DATA_DIR": str(tmp_path / "none")}
    assert refusal(*command, env=env)["code"] == "misconfigured"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_that_a_workspace_prints_is_enough_to_work_with_it(workspace, home):
    lines = run("workspace", "env", workspace.name, *workspace.on).stdout.splitlines()
    said = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert set(said) == {
        f"PUSHKEEPER_{name}" for name in ("WORKSPACE", "SITE_ID", "API_KEY", "APP_API_KEY", "WRITE_KEY")
    }
    env = {**home, **said, "PUSHKEEPER_URL": workspace.url}
    assert answer("workspace", "show", env=env)["workspace"]["name"] == workspace.name


def test_in_a_terminal_no_line_is_longer_than_it_and_statuses_have_colours(workspace, remote, phones):
    workspace.push_and_wait("ann")
    lists = [
        *(("device", "list"), ("person", "list"), ("message", "list"), ("routes", "list"), ("keys", "list")),
        *(("credentials", "list"), ("audit", "list"), ("events",), ("jobs", "list"), ("webhook", "list")),
        *(("audience", "sample", "everybody"), ("device", "show", phones[0]), ("workspace", "show")),
    ]
    for words in lists:
        shown = seen(*words, env=remote)
        plain = _COLOURS.sub("", shown)
        assert [line for line in plain.splitlines() if len(line) > COLUMNS] == [], words
        assert "\x1b" not in seen(*words, env={**remote, "NO_COLOR": "1"}), words
    assert "\x1b[32m" in seen("device", "show", phones[0], env=remote)


def test_the_help_of_every_command_fits_a_terminal_of_80_columns():
    def paths(group, before=()):
        for name, command in commands_of(group).items():
            yield (*before, name)
            if hasattr(command, "list_commands"):
                yield from paths(command, (*before, name))

    for path in [(), *paths(main)]:
        helped = run(*path, "--help", env={"COLUMNS": str(COLUMNS)}).stdout
        long = [line for line in helped.splitlines() if len(line) > COLUMNS]
        assert long == [], path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell, home):
    assert f"_PUSHKEEPER_COMPLETE={shell}_complete" in run("completion", shell, env=home).stdout
    asked = {"COMP_WORDS": "pushkeeper broad", "COMP_CWORD": "1" if shell != "fish" else "broad"}
    done = run(env={**home, **asked, "_PUSHKEEPER_COMPLETE": f"{shell}_complete"})
    assert "broadcast" in done.stdout


def test_a_misspelled_command_is_told_which_one_is_meant(home):
    done = run("brodcast", env=home)
    assert done.returncode == 2
    assert "Did you mean 'broadcast'?" in done.stderr
    assert run("route", "list", "--help", env=home).returncode == 0


_SAME = {
    ("routes", "list"): "/api/v1/routes",
    ("jobs", "list"): "/api/v1/jobs",
    ("keys", "list"): "/api/v1/keys",
    ("credentials", "list"): "/api/v1/credentials",
    ("template", "list"): "/api/v1/templates",
    ("audience", "list"): "/api/v1/audiences",
    ("explain", "--person", "ann"): "/api/v1/explain?person=ann",
}


def test_the_json_of_a_command_is_the_answer_of_the_api_here_and_from_elsewhere(workspace, remote, phones):
    answer("template", "create", "Shipped", "--title", "On its way", env=remote)
    answer("audience", "create", "iPhones", "platform = ios", env=remote)
    for words, path in _SAME.items():
        asked = workspace.app("GET", path)
        assert answer(*words, env=remote) == asked, words
        assert answer(*words, "--workspace", workspace.name, *workspace.on) == asked, words
    assert len(phones) == 2
