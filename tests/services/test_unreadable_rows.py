"""A row that cannot be read costs itself alone: it is left out and recorded, and everything else goes on.

Constraints keep most such values out; a release that is newer, a restored table or a bug of ours may still leave some.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pushkeeper.services.doctor import device_status
from pushkeeper.services.metrics_snapshot import MetricsSnapshot
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.engine import Engine, Tenant
    from support.stage import Stage

SAYS = {
    "title": "{{ customer.name }} {{ trigger.note }}",
    "message": "{{ event.what }} {{ device.platform }}",
}
# What a row of one person, or of one device, is spoilt with, and whose phones get nothing by it.
OF_ONE = {
    "people": ("update people set attributes = '[]' where workspace_id = $1 and person_id = $2", {"ben-ios"}),
    "broadcast_people": (
        "update broadcast_people set data = '7' where workspace_id = $1 and person_id = $2",
        {"ben-ios"},
    ),
    "events": (
        "update events set data = '\"text\"' where workspace_id = $1 and person_id = $2",
        {"ben-ios"},
    ),
    "devices": (
        "update devices set attributes = '[1]' where workspace_id = $1 and person_id = $2",
        {"ben-ios"},
    ),
}
# Rows by which everything of a workspace goes, and what is left of its broadcast.
OF_ALL = {
    "contents": "update broadcasts set content = '{\"title\": 5}' where workspace_id = $1",
    "broadcasts": "update broadcasts set schedule = '{\"window\": 5}' where workspace_id = $1",
    "credentials": "update credentials set facts = '[]', sealed = 'x' where workspace_id = $1",
}


@asynccontextmanager
async def unchecked(tenant: Tenant, table: str, column: str) -> AsyncIterator[None]:
    """Without what keeps bad values out of a column; the workspace's rows of the table are deleted in the end."""
    owned = tenant.database.owned
    found = await owned.rows(
        "select conname, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = $1::text::regclass "
        "and contype = 'c' and pg_get_constraintdef(oid) ~ ('\\y' || $2 || '\\y')",
        table,
        column,
    )
    for one in found:
        await owned.rows(f"alter table {table} drop constraint {one['conname']}")
    try:
        yield
    finally:
        await tenant.database.rows(f"delete from {table} where workspace_id = $1", tenant.workspace_id)
        for one in found:
            await owned.rows(f"alter table {table} add constraint {one['conname']} {one['definition']}")


async def recorded(tenant: Tenant, table: str) -> str:
    """The key of the table's unreadable row, once it is recorded; doctor and the metrics have it too."""

    async def found() -> Any:
        return await tenant.database.rows(
            "select key, reason from unreadable_rows where workspace_id = $1 and table_name = $2",
            tenant.workspace_id,
            table,
        )

    [row] = await eventually(found)
    name = await tenant.database.value(
        "select name from workspaces where workspace_id = $1", tenant.workspace_id
    )
    findings = [one for one in await device_status.of_rows(tenant.database) if one.about == name]
    assert any(f"1 of {table} cannot be read: {row['reason']}" in one.said for one in findings), findings
    series = await MetricsSnapshot(tenant.database).gather()
    assert {one.labels for one in series if one.metric.value.name == "pushkeeper_unreadable_rows"} >= {
        (name, table)
    }
    key: str = row["key"]
    return key


@asynccontextmanager
async def endpoint() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somebody's server that takes all that it is sent: its address, and the bodies."""
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        taken.append(await reader.readexactly(int(length.partition(b":")[2])))
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", taken
    finally:
        server.close()
        await server.wait_closed()


async def number_of(tenant: Tenant, person: str) -> int:
    number: int = await tenant.database.value(
        "select person_id from identifiers where workspace_id = $1 and kind = 'id' and value = $2",
        tenant.workspace_id,
        person,
    )
    return number


async def draft(stage: Stage) -> int:
    """A broadcast to everybody that speaks of all that is known of each."""
    for person in ("ann", "ben", "eve"):
        path = f"/api/v1/customers/{person}"
        await stage.tenant.call("PUT", path, {"name": person}, track=True)
        await stage.tenant.call(
            "POST", f"{path}/events", {"name": "bought", "data": {"what": "tea"}}, track=True
        )
    made = await stage.make(content=SAYS, event="bought", when_undefined="empty")
    number: int = made["id"]
    await stage.tenant.database.rows(
        "insert into broadcast_people (workspace_id, broadcast_id, person_id, data) "
        'select b.workspace_id, b.broadcast_id, p.person_id, \'{"note": "n"}\' '
        "from broadcasts b join people p using (workspace_id) where b.workspace_id = $1",
        stage.tenant.workspace_id,
    )
    return number


@pytest.mark.parametrize("table", OF_ONE)
async def test_of_a_broadcast_only_who_cannot_be_read_gets_nothing(stage: Stage, table: str) -> None:
    number = await draft(stage)
    statement, silent = OF_ONE[table]
    await stage.tenant.database.rows(
        statement, stage.tenant.workspace_id, await number_of(stage.tenant, "ben")
    )
    await stage.do(number, "start")
    over = await stage.over(number)
    assert over["endings"] == {"accepted": 3, "failed": 1}
    assert stage.reached() == stage.token.keys() - silent
    await recorded(stage.tenant, table)


async def test_a_device_whose_row_cannot_be_read_costs_itself_alone(stage: Stage) -> None:
    number = await draft(stage)
    tenant = stage.tenant
    async with unchecked(tenant, "devices", "id_kind"):
        await tenant.database.rows(
            "update devices set id_kind = 'pigeon' where workspace_id = $1 and token = $2",
            tenant.workspace_id,
            stage.token["ben-ios"],
        )
        await stage.do(number, "start")
        over = await stage.over(number)
        assert over["endings"] == {"accepted": 3, "failed": 1}
        assert [one["reason"] for one in over["results"] if one["ending"] == "failed"] == ["unreadable"]
        assert len(await recorded(tenant, "devices")) == 32


@pytest.mark.parametrize("table", OF_ALL)
async def test_the_next_workspace_does_not_notice(running: Engine, stage: Stage, table: str) -> None:
    number = await draft(stage)
    await stage.tenant.database.rows(OF_ALL[table], stage.tenant.workspace_id)
    # Past the door, which reads the row as well.
    await stage.tenant.database.rows(
        "update broadcasts set state = 'planning' where workspace_id = $1 and broadcast_id = $2",
        stage.tenant.workspace_id,
        number,
    )
    await stage.tenant.database.rows("notify pushkeeper_plan")
    other = await running.tenant()
    await other.add_fcm()
    [token] = other.mint("android")
    await other.register("ann", token, "android")
    await other.push("ann")
    await other.settled(1)
    assert len(other.asked(token)) == 1
    assert stage.reached() == set()


async def test_a_route_that_cannot_be_read_stops_no_other(running: Engine, tenant: Tenant) -> None:
    async with unchecked(tenant, "routes", "pause_kind"):
        await tenant.database.rows(
            "update routes set paused_at = now(), pause_reason = 'x', pause_kind = 'pigeon' "
            "where workspace_id = $1 and leg = 'apple'",
            tenant.workspace_id,
        )
        await tenant.database.rows("notify pushkeeper_routes")
        [token] = tenant.mint("android")
        await tenant.register("ann", token, "android")
        await tenant.push("ann")
        await tenant.settled(1)
        assert len(await tenant.routes()) == 2
        other = await running.tenant()
        await other.add_fcm()
        [theirs] = other.mint("android")
        await other.register("ann", theirs, "android")
        [name] = [one for one in await other.routes() if not one.endswith(":apple")]
        await other.call("POST", f"/api/v1/routes/{quote(name, safe='')}/pause", {})
        await other.push("ann")
        await other.waiting()
        await recorded(tenant, "routes")
        await tenant.database.rows(
            "delete from batches where workspace_id = any ($1::bigint[])",
            [tenant.workspace_id, other.workspace_id],
        )


async def test_an_event_that_cannot_be_posted_is_left_out_and_the_next_are_posted(tenant: Tenant) -> None:
    async with endpoint() as (url, taken):
        wanted = {"name": "ours", "endpoint": url, "events": ["push_sent"]}
        made = await tenant.call("POST", "/v1/reporting_webhooks", wanted)
        await tenant.database.rows(
            "update webhooks set due_at = now() + interval '1 hour' where workspace_id = $1",
            tenant.workspace_id,
        )
        [token] = tenant.mint("android")
        await tenant.register("ann", token, "android")
        for _ in range(3):
            await tenant.push("ann")
        await tenant.settled(3)
        waiting = await tenant.database.rows(
            "select outbox_id from outbox where workspace_id = $1 order by outbox_id", tenant.workspace_id
        )
        bad = waiting[1]["outbox_id"]
        await tenant.database.rows(
            "update outbox set data = '7' where workspace_id = $1 and outbox_id = $2",
            tenant.workspace_id,
            bad,
        )
        await tenant.call("PUT", f"/v1/reporting_webhooks/{made['id']}", wanted)

        async def posted() -> Any:
            [found] = (await tenant.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
            return None if found["waiting"] else found

        found = await eventually(posted)
        assert len(taken) == 2
        assert (found["failing_since"], found["failure"]) == (None, None)
        calls = await tenant.database.rows(
            "select failure from webhook_calls where workspace_id = $1 order by call", tenant.workspace_id
        )
        assert [call["failure"] and call["failure"].partition(":")[0] for call in calls] == [
            None,
            "skipped",
            None,
        ]
        assert await recorded(tenant, "outbox") == str(bad)


async def test_an_export_leaves_out_what_cannot_be_read_and_says_so(tenant: Tenant) -> None:
    for person in ("ann", "ben", "eve"):
        await tenant.call("PUT", f"/api/v1/customers/{person}", {"name": person}, track=True)
    everybody = {"filters": {"attribute": {"field": "name", "operator": "exists"}}}
    async with unchecked(tenant, "people", "created_at"):
        await tenant.database.rows(
            "update people set created_at = '-infinity' where workspace_id = $1 and person_id = $2",
            tenant.workspace_id,
            await number_of(tenant, "ben"),
        )
        number = (await tenant.call("POST", "/v1/exports/customers", everybody))["export"]["id"]

        async def done() -> Any:
            found = (await tenant.call("GET", f"/v1/exports/{number}"))["export"]
            return found if found["status"] == "done" else None

        found = await eventually(done)
        assert (found["total"], found["failure"]) == (2, "1 rows could not be read and were skipped")
        text = await tenant.database.value(
            "select string_agg(text, '') from export_parts where workspace_id = $1", tenant.workspace_id
        )
        assert [line.partition(",")[0] for line in text.splitlines()] == ["id", "ann", "eve"]
        await recorded(tenant, "people")


@pytest.mark.parametrize(
    ("path", "table", "make", "spoil"),
    [
        (
            "/api/v1/templates",
            "templates",
            {"kind": "transactional", "name": "A", "title": "Hello"},
            "update templates set content = '7' where template_id = $1",
        ),
        (
            "/api/v1/broadcasts",
            "broadcasts",
            {"content": {"title": "Hello"}, "audience": {"filter": "everybody"}},
            "update broadcasts set passes = '{\"a\": 1}' where broadcast_id = $1",
        ),
    ],
)
async def test_a_list_shows_the_others(
    tenant: Tenant, path: str, table: str, make: dict[str, Any], spoil: str
) -> None:
    noun = table.removesuffix("s")
    ids = [
        (await tenant.call("POST", path, {**make, "name": f"N{n}"}, expect=201))[noun]["id"] for n in range(3)
    ]
    await tenant.database.rows(spoil, ids[1])
    assert {one["id"] for one in (await tenant.call("GET", path))[table]} == {ids[0], ids[2]}
    assert await recorded(tenant, table) == str(ids[1])
    if table == "broadcasts":
        page = await tenant.call("GET", f"{path}?limit=1")
        assert [one["id"] for one in page[table]] == [ids[2]]
        following = await tenant.call("GET", f"{path}?limit=1&start={page['next']}")
        assert [one["id"] for one in following[table]] == [ids[0]]
