"""Neighbours: what one workspace asks for that is slow or wrong, another's broadcast does not wait for."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.cli.broadcast_text import tell as show
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.engine import Engine, Tenant
    from support.stage import Stage

AT_ONCE_S = 2.0
# What the door lets through, or let through once: each as it would be found in the row.
POISON = (
    "http://example.com:99999/x",
    "http://x:abc/",
    f"http://{'a' * 64}.test/",
    "http://a..b/",
    "http://[::1",
    "http://[",
    "http://\u0130.test/",
    "",
)
BAD_FILES = (
    b'{"id": "a\\u0000b"}',
    b'{"id": "ann", "data": {"a": "\\u0000"}}',
    b"[" * 50_000,
    b'{"id": "ann", "data":' + b'{"a":' * 20_000,
    b"\xff\xfe\x00",
    b'{"id": "' + b"x" * 99_000 + b'"}',
)


class Server:
    """Answers with a text, with another address, or never."""

    def __init__(self) -> None:
        self.text = b'{"id": "ann"}'
        self.leads_to: str | None = None
        self.stalls = False
        self.asked = 0
        self.url = ""
        self.open = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.stalls:
            await self.open.wait()
        if self.leads_to is not None:
            head = f"HTTP/1.1 302 Found\r\nlocation: {self.leads_to}\r\ncontent-length: 0\r\n\r\n"
            writer.write(head.encode())
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + self.text)
        writer.close()


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/people"
    try:
        yield found
    finally:
        found.open.set()
        listening.close()
        await listening.wait_closed()


async def shop(running: Engine) -> tuple[Tenant, str]:
    """A workspace with a template, and the path at which that is triggered."""
    tenant = await running.tenant()
    await tenant.add_fcm()
    [token] = tenant.mint("android")
    await tenant.register("ann", token, "android")
    template = {"kind": "broadcast", "name": "Offer", "title": "Hello"}
    made = await tenant.call("POST", "/api/v1/templates", template, expect=201)
    return tenant, f"/v1/campaigns/{made['template']['id']}/triggers"


async def started_at_once(tenant: Tenant, path: str, body: dict[str, Any]) -> None:
    number = (await tenant.call("POST", path, body))["id"]

    async def planned() -> bool:
        return bool((await tenant.call("GET", f"{path}/{number}"))["state"] == "planned")

    await eventually(planned, within_s=AT_ONCE_S)


async def test_files_that_do_not_come_hold_up_nobody_else(running: Engine) -> None:
    (bad, triggers), (good, path) = await shop(running), await shop(running)
    async with server() as slow, server() as quick:
        slow.stalls = True
        numbers = [(await bad.call("POST", triggers, {"data_file_url": slow.url}))["id"] for _ in range(3)]

        async def stalls() -> bool:
            return slow.asked == 2

        await eventually(stalls)
        await started_at_once(good, path, {})
        await started_at_once(good, path, {"data_file_url": quick.url})
        await started_at_once(bad, triggers, {})
        assert slow.asked == 2, "no more of one workspace are read side by side"
        for number in numbers:
            await bad.call("POST", f"/api/v1/broadcasts/{number}/cancel")


@pytest.mark.parametrize("url", POISON)
async def test_an_address_that_can_not_be_is_refused_and_one_that_got_in_costs_itself_alone(
    running: Engine, url: str
) -> None:
    (bad, triggers), (good, path) = await shop(running), await shop(running)
    answer = await bad.call("POST", triggers, {"data_file_url": url}, expect=422)
    assert answer["errors"][0]["source"]["pointer"] == "/data_file_url"
    async with server() as slow:
        slow.stalls = True
        number = (await bad.call("POST", triggers, {"data_file_url": slow.url}))["id"]
        await bad.database.rows(
            "update broadcasts set file_url = $2, claim_id = null, claimed_until = null where broadcast_id = $1",
            number,
            url,
        )
        await bad.database.rows("notify pushkeeper_plan")
        await started_at_once(good, path, {})

        async def seen() -> Any:
            return (await bad.call("GET", f"{triggers}/{number}/errors"))["errors"]

        [error] = await eventually(seen)
        assert error["detail"]
        await bad.database.rows(
            "update broadcasts set attempts = 3, next_attempt_at = now() where broadcast_id = $1", number
        )
        await bad.database.rows("notify pushkeeper_plan")

        async def failed() -> bool:
            return bool((await bad.call("GET", f"{triggers}/{number}"))["state"] == "failed")

        await eventually(failed)


@pytest.mark.parametrize("text", BAD_FILES, ids=range(len(BAD_FILES)))
async def test_a_file_that_can_not_be_kept_fails_with_its_reason(running: Engine, text: bytes) -> None:
    (bad, triggers), (good, path) = await shop(running), await shop(running)
    async with server() as found:
        found.text = b'{"id": "ann"}\n' + text
        number = (await bad.call("POST", triggers, {"data_file_url": found.url}))["id"]
        await started_at_once(good, path, {})

        async def failed() -> bool:
            return bool((await bad.call("GET", f"{triggers}/{number}"))["state"] == "failed")

        await eventually(failed)
    [error] = (await bad.call("GET", f"{triggers}/{number}/errors"))["errors"]
    assert json.dumps(error["detail"])
    named = "select count(*) from broadcast_people where workspace_id = $1"
    assert await bad.database.value(named, bad.workspace_id) == 0


@pytest.mark.parametrize("url", [url for url in POISON if url])
async def test_an_address_that_leads_to_one_that_can_not_be_fails(running: Engine, url: str) -> None:
    bad, triggers = await shop(running)
    async with server() as leading:
        leading.leads_to = url
        number = (await bad.call("POST", triggers, {"data_file_url": leading.url}))["id"]

        async def failed() -> bool:
            return bool((await bad.call("GET", f"{triggers}/{number}"))["state"] == "failed")

        await eventually(failed)
    [error] = (await bad.call("GET", f"{triggers}/{number}/errors"))["errors"]
    assert "without an http address" in error["detail"]


LARGE = {"or": [{"attribute": {"field": f"f{n}", "operator": "exists"}} for n in range(400)]}
ANN = {"attribute": {"field": "id", "operator": "eq", "value": "ann"}}
# What an export may have asked for that a worker chokes on: each as it would be found in the row.
BAD_EXPORTS: tuple[tuple[str, Any], ...] = (
    ("customers", {"moon": "full"}),
    ("customers", {"and": [{"not": {"segment": {"id": "x"}}}]}),
    ("customers", 7),
    ("customers", []),
    ("deliveries", {}),
    ("deliveries", {"since": 1e300, "until": 0, "metric": None, "template_id": None, "drafts": False}),
    ("deliveries", {"since": "x", "until": 0, "metric": None, "template_id": None, "drafts": False}),
)


async def exported(tenant: Tenant, number: int, *statuses: str) -> Any:
    async def ended() -> Any:
        found = (await tenant.call("GET", f"/v1/exports/{number}"))["export"]
        return found if found["status"] in statuses else None

    return await eventually(ended)


async def test_a_filter_that_grows_too_large_is_refused_when_it_is_asked_for(running: Engine) -> None:
    bad, good = await running.tenant(), await running.tenant()
    saved = {"name": "Large", "filter": LARGE, "unit": "person"}
    made = await bad.call("POST", "/api/v1/audiences", saved, expect=201)
    named = {"segment": {"id": made["audience"]["id"]}}
    answer = await bad.call("POST", "/v1/exports/customers", {"filters": {"or": [named, named]}}, expect=400)
    assert "500 conditions" in json.dumps(answer)
    number = (await bad.call("POST", "/v1/exports/customers", {"filters": {"or": [named]}}))["export"]["id"]
    await exported(bad, number, "done")
    # What it names may have grown between the asking and the writing.
    insert = (
        "insert into exports (workspace_id, kind, asked) values ($1, 'customers', $2) returning export_id"
    )
    number = await bad.database.value(insert, bad.workspace_id, {"or": [named, named]})
    wanted = (await good.call("POST", "/v1/exports/customers", {"filters": ANN}))["export"]["id"]
    await exported(good, wanted, "done")
    assert "500 conditions" in (await exported(bad, number, "failed"))["failure"]


@pytest.mark.parametrize(("kind", "asked"), BAD_EXPORTS, ids=range(len(BAD_EXPORTS)))
async def test_an_export_that_can_not_be_written_costs_itself_alone(
    running: Engine, kind: str, asked: Any
) -> None:
    bad, good = await running.tenant(), await running.tenant()
    insert = (
        "insert into exports (workspace_id, kind, asked, attempts) values ($1, $2, $3, 9) returning export_id"
    )
    number = await bad.database.value(insert, bad.workspace_id, kind, asked)
    wanted = (await good.call("POST", "/v1/exports/customers", {"filters": ANN}))["export"]["id"]
    await exported(good, wanted, "done")
    found = await exported(bad, number, "failed")
    assert found["failed"]
    assert found["failure"]


async def hook(tenant: Tenant, url: str, *events: str) -> int:
    body = {"name": "ours", "endpoint": url, "events": events}
    number: int = (await tenant.call("POST", "/v1/reporting_webhooks", body))["id"]
    return number


async def test_slow_endpoints_with_much_to_be_told_hold_up_nobody_elses_first_event(running: Engine) -> None:
    bad, good = await running.tenant(), await running.tenant()
    async with server() as slow, server() as quick:
        slow.stalls = True
        for _ in range(10):
            await hook(bad, slow.url, "device_registered")
        fill = (
            "insert into outbox (workspace_id, webhook_id, object_type, metric, data, happened_at) "
            "select workspace_id, webhook_id, 'device', 'registered', '{}', now() "
            "from webhooks, generate_series(1, 50) where workspace_id = $1"
        )
        await bad.database.rows(fill, bad.workspace_id)

        async def stalls() -> bool:
            return slow.asked == 4

        await eventually(stalls)
        await hook(good, quick.url, "device_registered")
        [token] = good.mint("android")
        await good.register("ann", token, "android")

        async def told() -> bool:
            return quick.asked == 1

        await eventually(told, within_s=AT_ONCE_S)
        assert slow.asked <= 8, "no more of one workspace are called at once"
        await bad.database.rows("delete from webhooks where workspace_id = $1", bad.workspace_id)


@pytest.mark.parametrize("url", POISON)
async def test_an_endpoint_that_can_not_be_called_is_shown_as_failing(running: Engine, url: str) -> None:
    bad, good = await running.tenant(), await running.tenant()
    body = {"name": "ours", "endpoint": url, "events": ["device_registered"]}
    await bad.call("POST", "/v1/reporting_webhooks", body, expect=400)
    async with server() as quick:
        number = await hook(bad, quick.url, "device_registered")
        await bad.database.rows("update webhooks set endpoint = $2 where webhook_id = $1", number, url)
        await hook(good, quick.url, "device_registered")
        for tenant in (bad, good):
            [token] = tenant.mint("android")
            await tenant.register("ann", token, "android")

        async def told() -> bool:
            return quick.asked == 1

        await eventually(told)

        async def failing() -> Any:
            [found] = (await bad.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
            return found["failing_since"] and found

        assert (await eventually(failing))["failure"]


async def test_a_workspace_has_a_bounded_number_of_webhooks(running: Engine) -> None:
    tenant = await running.tenant()
    for _ in range(50):
        await hook(tenant, "https://example.com/", "push_sent")
    body = {"name": "ours", "endpoint": "https://example.com/", "events": ["push_sent"]}
    answer = await tenant.call("POST", "/v1/reporting_webhooks", body, expect=409)
    assert "50" in json.dumps(answer)


async def test_a_broadcast_whose_page_can_not_be_planned_says_so_and_is_sent_once_it_can(
    running: Engine, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, owned = stage.tenant.workspace_id, running.store.database.owned
    await owned.rows(
        f"alter table batches add constraint full_up check (workspace_id <> {workspace}) not valid"
    )
    try:
        number = await stage.send()

        async def put_off() -> Any:
            found = await stage.read(number)
            return found if found["retry"] else None

        found = await eventually(put_off)
        assert found["state"] in {"scheduled", "sending"}
        assert "CheckViolationError" in found["retry"]["reason"]
        assert found["retry"]["attempts"] >= 1
        assert found["retry"]["next_attempt_at"] is not None
        show(found, json=False)
        assert found["retry"]["reason"] in " ".join(capsys.readouterr().out.split())
    finally:
        await owned.rows("alter table batches drop constraint full_up")
    await stage.tenant.call("POST", f"/api/v1/jobs/plan/{number}/retry", expect=204)
    over = await stage.over(number)
    assert (over["state"], over["retry"], over["progress"]["devices"]) == ("sent", None, 4)
