"""Reports: what happened to a fleet, counted as it happened, and asked through the API."""

from __future__ import annotations

import asyncio
import csv
import io
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant
    from support.stage import Stage

REPORTS = [
    *("reach", "cohorts", "pushes", "reasons", "bounces", "bounces-by-day"),
    *("revivals", "broadcasts", "token-ages", "token-calendar"),
]


async def report(tenant: Tenant, name: str, query: str = "") -> Any:
    return await tenant.call("GET", f"/api/v1/reports/{name}{query}")


async def as_csv(tenant: Tenant, name: str) -> list[dict[str, str]]:
    url = f"http://127.0.0.1:{tenant.engine.port}/api/v1/reports/{name}?format=csv"

    def read() -> str:
        request = urllib.request.Request(url, headers={"authorization": tenant.bearer})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["content-type"].startswith("text/csv")
            assert f'filename="{name}.csv"' in answer.headers["content-disposition"]
            return str(answer.read().decode())

    return list(csv.DictReader(io.StringIO(await asyncio.to_thread(read))))


async def test_refusals_are_told_by_route_word_platform_and_app_version(stage: Stage) -> None:
    tenant = stage.tenant
    gone = stage.token["ann-ios"]
    version = {"device": {"id": gone, "platform": "ios", "attributes": {"app_version": "4.2"}}}
    await tenant.call("PUT", "/api/v1/customers/ann/devices", version, track=True)
    tenant.simulator.world.uninstall([gone])
    await stage.over(await stage.send())
    [bounce] = (await report(tenant, "bounces"))["bounces"]
    apns = next(name for name in await tenant.routes() if name.startswith("apns"))
    assert bounce == {
        "route": apns,
        "provider": "apns",
        "provider_reason": "Unregistered",
        "platform": "ios",
        "app": "",
        "app_version": "4.2",
        "pushes": 1,
    }
    assert await as_csv(tenant, "bounces") == [{name: str(value) for name, value in bounce.items()}]
    [day] = (await report(tenant, "bounces-by-day"))["bounces_by_day"]
    assert (day["day"], day["provider_reason"], day["pushes"]) == (
        datetime.now(UTC).date().isoformat(),
        "Unregistered",
        1,
    )


async def test_pushes_are_told_by_the_day_and_stay_when_they_are_dropped(stage: Stage) -> None:
    tenant = stage.tenant
    await stage.over(await stage.send())
    before = (await report(tenant, "pushes"))["pushes"]
    assert {(one["platform"], one["ending"], one["pushes"]) for one in before} == {
        ("ios", "accepted", 2),
        ("android", "accepted", 2),
    }
    await tenant.database.rows("delete from pushes where workspace_id = $1", tenant.workspace_id)
    assert (await report(tenant, "pushes", "?days=1"))["pushes"] == before


async def test_days_that_are_over_become_one_row_and_say_the_same(stage: Stage) -> None:
    tenant = stage.tenant
    await stage.over(await stage.send())
    tenant.simulator.world.uninstall([stage.token["ann-ios"]])
    await stage.over(await stage.send())
    for table in ("push_days", "bounce_days"):
        # As it was counted three days ago, by these connections and by as many others.
        await tenant.database.rows(
            f"update {table} set day = day - 3, shard = shard + 16 where workspace_id = $1",
            tenant.workspace_id,
        )
        rows = await tenant.database.rows(
            f"select * from {table} where workspace_id = $1", tenant.workspace_id
        )
        columns = ", ".join(rows[0].keys())
        twice = columns.replace("shard", "shard + 16")
        await tenant.database.rows(
            f"insert into {table} ({columns}) select {twice} from {table} where workspace_id = $1",
            tenant.workspace_id,
        )
    before = [await report(tenant, name) for name in ("pushes", "bounces", "reasons")]
    await tenant.engine.insights.fold_days()
    assert [await report(tenant, name) for name in ("pushes", "bounces", "reasons")] == before
    shards = await tenant.database.rows(
        "select distinct shard from push_days where workspace_id = $1", tenant.workspace_id
    )
    assert [row["shard"] for row in shards] == [0]


async def test_the_fate_of_bounced_devices_is_reported(stage: Stage) -> None:
    tenant = stage.tenant
    gone = [stage.token["ann-ios"], stage.token["ben-ios"], stage.token["ann-android"]]
    tenant.simulator.world.uninstall(gone)
    await stage.over(await stage.send())
    tenant.simulator.world.install([gone[2]])
    await stage.over(await stage.send())  # two are suppressed, and one is forgiven
    await tenant.register("ann", gone[0], "ios")
    await tenant.register("eve", gone[1], "ios")
    told = (await report(tenant, "revivals"))["revivals"]
    by_status = {one["status"]: one for one in told}
    bounced, suppressed = by_status["bounced"], by_status["suppressed"]
    assert (bounced["devices"], bounced["refused"], bounced["accepted"]) == (3, 2, 1)
    assert (suppressed["devices"], suppressed["revived"], suppressed["moved"], suppressed["still"]) == (
        2,
        1,
        1,
        0,
    )
    assert suppressed["median_s"] >= 0
    assert bounced["median_s"] is None


async def test_people_are_told_by_when_they_came_and_how_they_can_be_reached(stage: Stage) -> None:
    tenant = stage.tenant
    await tenant.call("PUT", "/api/v1/customers/zoe", {}, track=True)
    tenant.simulator.world.uninstall(
        [stage.token["ben-ios"], stage.token["eve-android"], stage.token["ann-ios"]]
    )
    await stage.over(await stage.send())
    await stage.over(await stage.send(devices=[stage.token["ben-ios"]]))
    month = f"{datetime.now(UTC):%Y-%m}"
    told = await report(tenant, "cohorts")
    assert told["cohorts"] == [
        {"month": month, "people": 4, "reachable": 1, "bounced": 1, "suppressed": 1, "without_device": 1}
    ]
    assert told["counted_at"]
    assert (await as_csv(tenant, "cohorts"))[0]["without_device"] == "1"
    reach = await report(tenant, "reach", "?span=2d")
    assert (reach["people"], reach["people_with_device"], reach["people_reachable"]) == (4, 3, 1)


async def test_tokens_are_told_by_their_age_and_by_the_week_in_which_fcm_forgets_them(stage: Stage) -> None:
    tenant = stage.tenant
    await tenant.database.rows(
        "update devices set last_used = now() - interval '265 days' where workspace_id = $1 and token = any ($2)",
        tenant.workspace_id,
        [stage.token["ann-android"], stage.token["ann-ios"]],
    )
    ages = (await report(tenant, "token-ages"))["token_ages"]
    counted = {(one["platform"], one["since_days"]): one["devices"] for one in ages if one["devices"]}
    assert counted == {("android", 0): 1, ("android", 180): 1, ("ios", 0): 1, ("ios", 180): 1}
    weeks = (await report(tenant, "token-calendar"))["token_calendar"]
    assert (weeks[0]["devices"], weeks[38]["devices"]) == (1, 1)
    assert sum(week["devices"] for week in weeks) == 2


async def test_results_of_broadcasts_are_beside_their_estimates(stage: Stage) -> None:
    tenant = stage.tenant
    await stage.make()  # a draft has nothing to tell
    first = await stage.send(name="first")
    await stage.over(first)
    second = await stage.send(name="second", dry_run=True)
    await stage.over(second)
    told = await report(tenant, "broadcasts", "?limit=1")
    assert [one["name"] for one in told["broadcasts"]] == ["second"]
    assert told["broadcasts"][0]["within"] is None
    [one] = (await report(tenant, "broadcasts", f"?start={told['next']}"))["broadcasts"]
    assert (one["broadcast_id"], one["state"], one["devices"]) == (first, "sent", 4)
    assert one["endings"] == {"accepted": 4}
    rows = await as_csv(tenant, "broadcasts")
    assert [(row["name"], row["accepted"], row["skipped"]) for row in rows] == [
        ("second", "0", "4"),
        ("first", "4", "0"),
    ]


async def test_an_old_count_is_refreshed_by_a_worker_after_a_view(stage: Stage) -> None:
    tenant = stage.tenant
    await report(tenant, "cohorts")
    await tenant.database.rows(
        "update insights set counted_at = now() - interval '1 day', took_ms = 1000, found = '[]' where workspace_id = $1",
        tenant.workspace_id,
    )
    old = await report(tenant, "cohorts")
    assert old["cohorts"] == []

    async def ask() -> bool:
        return bool((await report(tenant, "cohorts"))["cohorts"])

    await eventually(ask)


@pytest.mark.parametrize("name", REPORTS)
async def test_a_workspace_without_anything_has_reports_without_rows(bare: Tenant, name: str) -> None:
    told = await report(bare, name)
    rows = told[name.replace("-", "_")]
    if name == "token-calendar":
        assert {week["devices"] for week in rows} == {0}
    else:
        assert rows == []
        assert await as_csv(bare, name) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pushes?days=0", "days"),
        ("pushes?days=801", "days"),
        ("reach?span=3d", "span"),
        ("cohorts?format=xml", "format"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_name(bare: Tenant, query: str, field: str) -> None:
    refused = await bare.call("GET", f"/api/v1/reports/{query}", expect=400)
    assert refused["error"]["field"] == field
