"""Results of broadcasts through the API: what apps reported, the status, orders, and content that cannot be rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.services.broadcasts import render_checks
from support.engine import eventually

if TYPE_CHECKING:
    import pytest

    from support.engine import Tenant
    from support.stage import Stage

COMPANY = {"title": "Hi", "message": "Prices for {{ person.company }}"}


async def delivery(tenant: Tenant, person: str) -> str:
    listed = (await tenant.call("GET", f"/v1/customers/{person}/messages"))["messages"]
    found: str = listed[0]["id"]
    return found


async def report(tenant: Tenant, delivery_id: str, metric: str, token: str = "") -> None:
    body = {"delivery_id": delivery_id, "metric": metric, "timestamp": 1_780_000_000}
    await tenant.call("POST", "/api/v1/metrics", {**body, **({"recipient": token} if token else {})})


async def summary(stage: Stage, number: int, **expected: int) -> Any:
    """The results, once they have these counts."""

    async def ask() -> Any:
        found = (await stage.read(number))["summary"]
        return found if {name: found[name] for name in expected} == expected else None

    return await eventually(ask)


async def test_what_apps_report_is_counted_once_per_device_with_its_rate(stage: Stage) -> None:
    tenant = stage.tenant
    number = await stage.send()
    await stage.over(number)
    ann, ben = await delivery(tenant, "ann"), await delivery(tenant, "ben")
    for _ in range(2):
        for name in ("ann-ios", "ann-android"):
            await report(tenant, ann, "delivered", stage.token[name])
        await report(tenant, ann, "opened", stage.token["ann-ios"])
    # The same person without a device is no other device; another person is.
    await report(tenant, ann, "opened")
    await report(tenant, ben, "opened")
    await report(tenant, ben, "opened", stage.token["ben-ios"])
    found = await summary(stage, number, delivered=2, opened=2)
    assert (found["accepted"], found["clicked"], found["converted"]) == (4, 0, 0)
    assert (found["rates"]["delivered"], found["rates"]["opened"], found["rates"]["clicked"]) == (0.5, 0.5, 0)
    platforms = (await stage.read(number))["platforms"]
    assert (platforms["ios"]["accepted"], platforms["ios"]["delivered"], platforms["ios"]["opened"]) == (
        2,
        1,
        1,
    )
    assert (platforms["android"]["delivered"], platforms[""]["opened"]) == (1, 1)
    listed = (await tenant.call("GET", "/api/v1/broadcasts"))["broadcasts"]
    assert [(one["status"], one["summary"]["opened"]) for one in listed] == [("sent", 2)]
    [row] = (await tenant.call("GET", "/api/v1/reports/broadcasts"))["broadcasts"]
    assert (row["status"], row["reported"]["opened"], row["rates"]["opened"]) == ("sent", 2, 0.5)


async def test_a_transactional_push_is_counted_in_no_broadcast(stage: Stage) -> None:
    sent = await stage.tenant.push("ann")
    await stage.tenant.settled(2)
    await report(stage.tenant, sent, "opened", stage.token["ann-ios"])
    assert (
        await stage.tenant.database.value(
            "select count(*) from broadcast_engagement where workspace_id = $1", stage.tenant.workspace_id
        )
        == 0
    )


async def test_one_status_is_shown_by_every_call(stage: Stage) -> None:
    failed = await stage.send(content=COMPANY)
    nobody = await stage.send(audience={"filter": "platform = ios and app_version = 99"})
    for number in (failed, nobody):
        await stage.over(number)
    await stage.tenant.call("PUT", "/api/v1/customers/ann", {"company": "Tea"}, track=True)
    partly = await stage.send(content=COMPANY)
    await stage.over(partly)
    expected = {failed: "failed", nobody: "no_recipients", partly: "sent_with_errors"}
    listed = (await stage.tenant.call("GET", "/api/v1/broadcasts"))["broadcasts"]
    assert {one["id"]: one["status"] for one in listed} == expected
    assert {number: (await stage.read(number))["status"] for number in expected} == expected
    report = (await stage.tenant.call("GET", "/api/v1/reports/broadcasts"))["broadcasts"]
    assert {one["broadcast_id"]: one["status"] for one in report} == expected
    again = await stage.do(partly, "pause", expect=409)
    assert again["error"]["code"] == "conflict"
    worst = (await stage.tenant.call("GET", "/api/v1/broadcasts?sort=worst"))["broadcasts"]
    assert [one["id"] for one in worst] == [failed, partly, nobody]
    first = await stage.tenant.call("GET", "/api/v1/broadcasts?sort=worst&limit=2")
    second = await stage.tenant.call("GET", f"/api/v1/broadcasts?sort=worst&limit=2&start={first['next']}")
    assert [one["id"] for one in first["broadcasts"] + second["broadcasts"]] == [failed, partly, nobody]
    assert second["next"] is None


async def test_an_unknown_order_is_refused(stage: Stage) -> None:
    error = (await stage.tenant.call("GET", "/api/v1/broadcasts?sort=best", expect=400))["error"]
    assert error["path"] == ["sort"]


async def test_the_estimate_counts_what_cannot_be_rendered_and_says_who(stage: Stage) -> None:
    await stage.tenant.call("PUT", "/api/v1/customers/ann", {"company": "Tea"}, track=True)
    made = await stage.make(content=COMPANY)
    rendering = made["preflight"]["rendering"]
    assert (rendering["failed"], rendering["checked"], rendering["whole"], rendering["devices"]) == (
        2,
        4,
        True,
        2,
    )
    [(problem, count)] = rendering["problems"].items()
    assert ("person.company" in problem, count) == (True, 2)
    path = f"/api/v1/broadcasts/{made['id']}/unrenderable"
    found = await stage.tenant.call("GET", path)
    assert sorted(one["id"] for one in found["devices"]) == ["ben", "eve"]
    assert found["next"] is None
    await stage.do(made["id"], "start")
    assert (await stage.over(made["id"]))["endings"] == {"accepted": 2, "failed": 2}


async def test_data_of_the_recipients_is_rendered_too(stage: Stage) -> None:
    made = await stage.make(
        content={"title": "Hi", "message": "{{ trigger.code }}"},
        per_user_data=[{"id": "ann", "data": {"code": "1"}}, {"id": "ben", "data": {"other": "1"}}],
    )
    rendering = made["preflight"]["rendering"]
    assert (rendering["checked"], rendering["failed"]) == (3, 1)
    found = await stage.tenant.call("GET", f"/api/v1/broadcasts/{made['id']}/unrenderable")
    assert [one["id"] for one in found["devices"]] == ["ben"]


async def test_content_that_is_the_same_for_everybody_is_not_rendered(stage: Stage) -> None:
    made = await stage.make(content={"title": "Hi", "message": "all"})
    assert made["preflight"]["rendering"] is None
    path = f"/api/v1/broadcasts/{made['id']}/unrenderable"
    assert await stage.tenant.call("GET", path) == {"devices": [], "next": None}


async def test_a_large_audience_is_sampled_and_listed_page_by_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_checks, "SAMPLE", 2)
    monkeypatch.setattr(render_checks, "PAGE", 1)
    made = await stage.make(content=COMPANY)
    rendering = made["preflight"]["rendering"]
    assert (rendering["checked"], rendering["failed"], rendering["whole"], rendering["devices"]) == (
        2,
        2,
        False,
        4,
    )
    devices: list[str] = []
    path, asked = f"/api/v1/broadcasts/{made['id']}/unrenderable", ""
    for _ in range(4):
        page = await stage.tenant.call("GET", f"{path}{asked}")
        devices += [one["device"] for one in page["devices"]]
        asked = f"?start={page['next']}"
    assert page["next"] is None
    assert len(set(devices)) == len(devices) == 4
