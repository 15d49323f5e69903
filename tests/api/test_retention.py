"""Queries about expired times return what is left."""

import secrets
from datetime import UTC, datetime, timedelta

from pushkeeper.core.model import PersonId, uuid7
from pushkeeper.store.db.retention import Keep
from pushkeeper.worker.jobs.retention import Retention
from pushkeeper.worker.metrics import WorkerMetrics

KEEP = Keep(pushes_days=90, history_days=400, events_days=90, exports_days=30, outbox_days=30)
NOW = datetime.now(UTC)


async def sent_to_ann(door, days_ago):
    """A message to Ann that was accepted this many days ago, as workers write it."""
    at = NOW - timedelta(days=days_ago)
    name = f"pushes_{at:%Y%m%d}"
    await door.database.owned.rows(
        f"create table if not exists {name} partition of pushes "
        f"for values from ('{at.date()}') to ('{at.date() + timedelta(days=1)}')"
    )
    person = PersonId(
        await door.database.value(
            "select person_id from identifiers where workspace_id = $1 and key = 'ann'", door.workspace_id
        )
    )
    message = uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10))
    await door.database.rows(
        "insert into messages (message_id, workspace_id, kind, person_id, content, created_at, send_at, expires_at) "
        """values ($1, $2, 'transactional', $3, '{"title": "long ago"}', $4, $4, $4)""",
        message,
        door.workspace_id,
        person,
        at,
    )
    await door.database.rows(
        "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason, settled_at) "
        "values ($1, $2, $3, $4, $5, 'accepted', 'apns_accepted', $6)",
        at.date(),
        message,
        secrets.token_bytes(16),
        door.workspace_id,
        person,
        at,
    )
    return door.database.delivery_ids.text(door.workspace_id, message, person), name


async def test_messages_and_activities_over_a_range_that_was_dropped(door):
    await door.track("PUT", "/api/v1/customers/ann", {"email": "ann@example.com"})
    old, partition = await sent_to_ann(door, 100)
    young, _ = await sent_to_ann(door, 10)
    _, listed = await door.app("GET", "/v1/customers/ann/messages")
    assert [message["id"] for message in listed["messages"]] == [young, old]

    await Retention(door.database, KEEP, WorkerMetrics()).look()

    assert await door.database.value("select to_regclass($1)", partition) is None
    _, listed = await door.app("GET", "/v1/customers/ann/messages")
    assert [message["id"] for message in listed["messages"]] == [young]
    start = int((NOW - timedelta(days=150)).timestamp())
    status, listed = await door.app("GET", f"/v1/messages?start_ts={start}&metric=sent")
    assert (status, [message["id"] for message in listed["messages"]]) == (200, [young])
    assert (await door.app("GET", f"/v1/messages/{old}"))[0] == 404
    status, told = await door.app("GET", f"/v1/messages/{young}")
    assert (status, "sent" in told["message"]["metrics"]) == (200, True)
    status, did = await door.app("GET", "/v1/customers/ann/activities")
    assert status == 200
    assert [one["delivery_id"] for one in did["activities"] if one["type"] == "sent_push"] == [young]
    _, counted = await door.app("GET", "/api/v1/stats/pushes?days=366")
    assert [line["pushes"] for line in counted["counts"]] == [1]
    # An app's report about it now refers to nothing that we know.
    report = {"delivery_id": old, "metric": "opened", "timestamp": int(NOW.timestamp())}
    assert (await door.app("POST", "/api/v1/metrics", report))[0] == 200
