"""Broadcasts, "why?" and undo as an operator gives them on the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.processes import answer, refusal, run
from support.service import eventually


@pytest.fixture
def on(workspace):
    return ("--workspace", workspace.name, *workspace.on)


@pytest.fixture
def phones(workspace):
    """Ann's two phones and Ben's one, in this order."""
    [iphone], [pixel, other] = workspace.mint("ios"), workspace.mint("android", 2)
    workspace.register("ann", iphone, "ios")
    workspace.register("ann", pixel, "android")
    workspace.register("ben", other, "android")
    return iphone, pixel, other


def said(*command):
    """What a command tells people."""
    done = run(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_broadcast_is_made_looked_at_started_and_followed_to_its_end(workspace, on, phones, tmp_path):
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"content": {"ios": {"title": "For iPhones"}}, "idempotency_key": "once"}))
    create = (
        "broadcast",
        "create",
        "person.id = ann",
        "--title",
        "Hello {{ person.id }}",
        "--message",
        "text",
    )
    made = answer(*create, "--from", more, *on)["broadcast"]
    assert (made["state"], made["preflight"]["devices"]) == ("draft", 2)
    number = str(made["id"])
    told = said(*create, "--from", more, *on)
    assert f"Broadcast {number} is draft." in told  # the same, by its key
    assert f"pushkeeper broadcast start {number}" in told
    assert answer("broadcast", "preflight", number, *on)["preflight"]["reachable"] == 2
    followed = run("broadcast", "start", number, "--follow", "--yes", *on)
    assert followed.returncode == 0, followed.stderr
    assert f"Broadcast {number} is sent: 2 of 2 processed." in followed.stdout
    status = answer("broadcast", "status", number, *on)["broadcast"]
    assert status["endings"] == {"accepted": 2}
    iphone, pixel, _ = phones
    assert workspace.journal(iphone)[0]["body"]["aps"]["alert"]["title"] == "For iPhones"
    assert workspace.journal(pixel)[0]["body"]["message"]["notification"]["title"] == "Hello ann"


def test_a_draft_is_changed_and_then_started(workspace, on, phones, tmp_path):
    number = str(answer("broadcast", "create", "platform = ios", "--title", "Helo", *on)["broadcast"]["id"])
    told = said("broadcast", "change", number, "platform = android", "--title", "Hello", *on)
    assert f"Broadcast {number} is draft." in told
    assert f"pushkeeper broadcast start {number}" in told
    wrong = refusal("broadcast", "change", number, "platform = ", "--title", "Hello", *on)
    assert "filter" in wrong["message"]
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"content": {"title": "Hello"}, "audience": {"filter": "person.id = ben"}}))
    changed = answer("broadcast", "change", number, "--from", more, "--start", "--yes", *on)["broadcast"]
    assert changed["preflight"]["devices"] == 1
    _, pixel, other = phones
    [sent] = eventually(lambda: workspace.journal(other))
    assert sent["body"]["message"]["notification"]["title"] == "Hello"
    assert workspace.journal(pixel) == []
    late = refusal("broadcast", "change", number, "platform = ios", "--title", "Late", *on)
    assert late["code"] == "conflict"


def test_a_broadcast_is_paused_resumed_and_cancelled(workspace, on, phones):
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    create = ("broadcast", "create", "everybody", "--title", "Hello", "--message", "text", "--start", "--yes")
    number = str(answer(*create, "--at", later, *on)["broadcast"]["id"])
    assert f"Broadcast {number} is paused." in said("broadcast", "pause", number, *on)
    assert answer("broadcast", "resume", number, *on)["broadcast"]["state"] == "scheduled"
    assert answer("broadcast", "cancel", number, "--yes", *on)["broadcast"]["state"] == "cancelled"
    assert "cancelled" in refusal("broadcast", "pause", number, *on)["message"]
    assert all(workspace.journal(phone) == [] for phone in phones)


def test_a_preflight_says_for_how_many_devices_the_time_zone_is_not_known(workspace, on, phones):
    workspace.register("ann", phones[0], "ios", attributes={"timezone": "GMT+9"})
    local = ("--local-time", f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT09:00}")
    told = said("broadcast", "create", "everybody", "--title", "Hello", "--message", "text", *local, *on)
    assert "unknown time zone (GMT+9): treated as UTC" in told
    assert "no time zone: treated as UTC" in told


def test_what_a_broadcast_cannot_say_or_be_is_refused_before_anything_is_kept(on, phones, tmp_path):
    def refused(*command):
        return refusal("broadcast", "create", *command, *on)["message"]

    assert "character 12" in refused("platform = ", "--title", "Hello", "--message", "text")
    wrong = refused("everybody", "--title", "Hello {{ person.id", "--message", "text")
    assert "title: line 1, column 7" in wrong
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert "JSON" in refused("everybody", "--from", broken)
    assert "window.opens" in refused("everybody", "--title", "a", "--message", "b", "--window", "9 to 5")


def test_why_somebody_got_a_push_and_whether_one_would_reach_them_now(workspace, on, phones):
    iphone, *_ = phones
    workspace.control("POST", "/uninstall", {"tokens": [iphone]})
    for _ in range(2):
        workspace.push_and_wait("ann")
    eventually(lambda: workspace.status(iphone) == "suppressed")
    found = answer("explain", "--device", iphone, *on)
    assert found["got"] is False
    assert "suppressed" in found["said"]
    told = said("explain", "--person", "ann", *on)
    assert told.startswith("Yes: ")
    assert "How to fix" in said("explain", "--device", iphone, *on)
    assert iphone not in told
    assert refusal("explain", *on)["message"].startswith("person is required")


def test_bounces_are_reverted_after_a_preview(workspace, on, phones):
    iphone, *_ = phones
    workspace.control("POST", "/uninstall", {"tokens": [iphone]})
    for _ in range(2):
        workspace.push_and_wait("ann")
    eventually(lambda: workspace.status(iphone) == "suppressed")
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    undo = ("undo", "--since", since, "--until", until, "--reason", "Unregistered")
    told = said(*undo, *on)
    assert "Found 2 bounces on 1 devices." in told
    assert "Dry run. Re-run with --yes to apply." in told
    assert workspace.status(iphone) == "suppressed"
    assert refusal(*undo, "--yes", *on)["path"] == ["why"]
    answer(*undo, "--yes", "--why", "a test", *on)
    assert workspace.status(iphone) == ""
    assert workspace.history(iphone)[0]["event"] == "undone"


def test_how_an_audience_is_counted_is_shown(on, phones):
    plan = answer("audience", "explain", "platform = android", *on)
    assert (plan["people"], plan["devices"]) == (2, 2)
    assert {scan["table"] for scan in plan["scans"]} == {"devices"}
    assert "2 people, 2 devices, counted in" in said("audience", "explain", "platform = android", *on)
