"""What Customer.io's client for Node reads of the App API, unmodified: only the host and the CA are ours."""

from support.documented import (
    ACTION,
    ACTIVITY,
    ARCHIVED,
    BROADCAST,
    CHANNEL,
    LINK,
    MESSAGE,
    METRIC,
    SNIPPET,
    TOPIC,
    TRIGGER,
    WORKSPACE,
    fits,
)
from support.service import eventually, good


def make(workspace, **more):
    template = {
        "kind": "broadcast",
        "name": "Offer",
        "title": "Tea",
        "translations": {"de": {"title": "Tee"}},
    }
    return workspace.app("POST", "/api/v1/templates", {**template, **more})["template"]["id"]


def test_the_results_of_a_broadcast(track, app, workspace):
    [token] = workspace.mint("android")
    good(track(["identify", "42", {}], ["addDevice", "42", token, "android"]))
    number = make(workspace)
    [triggered] = good(app(["triggerBroadcast", number, {}, {"ids": ["42"]}]))
    messages = f"/v1/broadcasts/{number}/messages"
    [sent] = eventually(lambda: workspace.app("GET", f"{messages}?metric=sent")["messages"])
    good(track(["trackPush", {"delivery_id": sent["id"], "event": "clicked", "href": "app://x"}]))
    steps = {"period": "hours", "steps": 2}
    one, listed, metrics, links, triggers, actions, action, of_action, links_of_action, german = good(
        app(
            ["getBroadcast", number],
            ["getBroadcastMessages", number, {"metric": "sent", "type": "push", "limit": 10}],
            ["getBroadcastMetrics", number, {**steps, "type": "push"}],
            ["getBroadcastMetricsLinks", number, {**steps, "unique": True}],
            ["getBroadcastTriggers", number],
            ["getBroadcastActions", number],
            ["getBroadcastAction", number, number],
            ["getBroadcastActionMetrics", number, number, steps],
            ["getBroadcastActionMetricsLinks", number, number, steps],
            ["getBroadcastActionLanguage", number, number, "de"],
        )
    )
    fits(one["broadcast"], BROADCAST)
    fits(listed["messages"], [MESSAGE])
    assert [message["id"] for message in listed["messages"]] == [sent["id"]]
    for found in (metrics, of_action):
        fits(found, METRIC)
        assert sum(found["metric"]["series"]["sent"]) == 1
    fits(triggers["triggers"], [TRIGGER])
    assert triggers["triggers"][0]["id"] == triggered["id"]
    fits([*actions["actions"], action["action"], german["action"]], [ACTION])
    assert [each["language"] for each in actions["actions"]] == ["", "de"]
    for found in (links, links_of_action):
        fits(found["links"], [LINK])
        assert [link["link"]["href"] for link in found["links"]] == ["app://x"]
    changed, german = good(
        app(
            ["updateBroadcastAction", number, number, {"subject": "Coffee"}],
            ["updateBroadcastActionLanguage", number, number, "de", {"subject": "Kaffee"}],
        )
    )
    assert (changed["action"]["subject"], german["action"]["subject"]) == ("Coffee", "Kaffee")


def test_snippets_are_kept_and_said(track, app, workspace):
    [token] = workspace.mint("android")
    good(track(["identify", "42", {"city": "Bern"}], ["addDevice", "42", token, "android"]))
    made, changed, listed = good(
        app(
            ["createSnippet", {"name": "main address", "value": "1 Main St"}],
            ["updateSnippet", {"name": "main address", "value": "2 Main St, {{ customer.city }}"}],
            ["getSnippets"],
        )
    )
    fits([made["snippet"], *listed["snippets"]], [SNIPPET])
    assert listed["snippets"] == [changed["snippet"]]
    number = make(workspace, title="{{ snippets['main address'] }}", translations={})
    taken, used = app(
        ["createSnippet", {"name": "main address", "value": "x"}], ["deleteSnippet", "main address"]
    )
    assert (taken["error"]["status"], used["error"]["status"]) == (422, 400)
    good(app(["triggerBroadcast", number, {}, {"ids": ["42"]}]))
    [sent] = eventually(lambda: workspace.journal(token))
    assert sent["body"]["message"]["notification"]["title"] == "2 Main St, Bern"
    good(
        app(["updateBroadcastAction", number, number, {"subject": "Tea"}], ["deleteSnippet", "main address"])
    )
    assert good(app(["getSnippets"])) == [{"snippets": []}]


def test_activities_archived_messages_and_what_is_known_of_a_workspace(track, app, workspace):
    [token] = workspace.mint("android")
    chosen = {"cio_subscription_preferences": {"topics": {"topic_1": True}}}
    good(
        track(
            ["identify", "42", chosen],
            ["addDevice", "42", token, "android"],
            ["track", "42", {"name": "bought"}],
        )
    )
    delivery = workspace.push_and_wait("42", title="Hello")["id"]
    feed, first, events, archived, topics, channels, workspaces, addresses = good(
        app(
            ["listActivities", {"limit": 100}],
            ["listActivities", {"limit": 1, "customerId": "42", "idType": "id", "deleted": False}],
            ["listActivities", {"type": "event", "name": "bought"}],
            ["getArchivedMessage", delivery],
            ["listSubscriptionTopics"],
            ["listSubscriptionChannels"],
            ["listWorkspaces"],
            ["getIpAddresses"],
        )
    )
    fits(feed["activities"], [ACTIVITY])
    kinds = {activity["type"] for activity in feed["activities"]}
    assert kinds == {"sent_push", "device_change", "event", "profile_create"}
    [rest] = good(app(["listActivities", {"limit": 100, "customerId": "42", "start": first["next"]}]))
    ids = [activity["id"] for activity in [*first["activities"], *rest["activities"]]]
    assert sorted(ids) == sorted(activity["id"] for activity in feed["activities"])
    assert [activity["name"] for activity in events["activities"]] == ["bought"]
    fits(archived["archived_message"], ARCHIVED)
    assert archived["archived_message"]["subject"] == "Hello"
    assert archived["archived_message"]["recipient"] == token
    fits(topics["topics"], [TOPIC])
    fits(channels["channels"], [CHANNEL])
    fits(workspaces["workspaces"], [WORKSPACE])
    assert [topic["identifier"] for topic in topics["topics"]] == ["topic_1"]
    assert [one["name"] for one in workspaces["workspaces"]] == [workspace.name]
    assert addresses == {"ip_addresses": []}
