"""Estimates of broadcasts: requested at once, made by workers, and of what the broadcast is now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.errors import TooManyRequests, TooSlow
from pushkeeper.services.broadcasts import forecast
from pushkeeper.services.broadcasts.forecast import Estimates
from pushkeeper.services.broadcasts.render_checks import RenderChecks
from pushkeeper.store import jobs
from pushkeeper.store.jobs import ClaimLost
from pushkeeper.wiring import CHECKS
from support.engine import eventually
from support.stage import CONTENT

if TYPE_CHECKING:
    from pushkeeper.core.broadcasts.forecast import Preflight
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from support.stage import Stage


class Slow(Estimates):
    """Does something else before it counts an audience."""

    def __init__(self, stage: Stage, before: Any) -> None:
        database, store = stage.tenant.database, stage.tenant.engine.store
        super().__init__(database, RenderChecks(database, CHECKS, store.renderer))
        self._before = before

    async def look(self, broadcast: Broadcast) -> Preflight:
        await self._before()
        return await super().look(broadcast)


async def post(stage: Stage, **asked: Any) -> Any:
    body = {"content": CONTENT, "audience": {"filter": "everybody"}, **asked}
    return (await stage.tenant.call("POST", "/api/v1/broadcasts", body, expect=201))["broadcast"]


async def test_a_broadcast_is_created_at_once_and_estimated_within_two_seconds(stage: Stage) -> None:
    made = await post(stage)
    assert made["estimate"]["state"] in {"pending", "done"}

    async def done() -> Any:
        found = (await stage.read(made["id"]))["estimate"]
        return found if found["state"] == "done" else None

    estimate = await eventually(done, within_s=2.0)
    assert (estimate["figures"]["devices"], estimate["reason"]) == (4, None)


async def test_another_is_made_on_request_until_the_broadcast_has_begun(stage: Stage) -> None:
    made = await stage.make()
    await stage.add("joe-ios", "joe", "ios", {})
    for verb, status in (("estimate", 202), ("preflight", 200)):
        path = f"/api/v1/broadcasts/{made['id']}/{verb}"
        assert (await stage.tenant.call("POST", path, expect=status))["estimate"]["state"] == "pending"
        assert (await stage.estimated(made["id"]))["estimate"]["figures"]["devices"] == 5
    await stage.do(made["id"], "start")
    await stage.over(made["id"])
    assert (await stage.do(made["id"], "estimate", expect=409))["error"]["code"] == "conflict"
    await stage.do(999_999, "estimate", expect=404)


async def test_start_does_not_wait_for_it_and_a_broadcast_that_starts_at_once_has_one(stage: Stage) -> None:
    number = await stage.send()
    over = await stage.over(number)
    assert over["estimate"]["figures"]["devices"] == 4
    at = int(datetime.now(UTC).timestamp()) + 3_600
    draft = await post(stage, schedule={"at": at})
    started = await stage.do(draft["id"], "start")
    assert started["broadcast"]["state"] == "scheduled"


async def test_what_was_counted_of_a_draft_before_it_was_changed_is_not_kept(stage: Stage) -> None:
    draft = await stage.make()
    database, workspace = stage.tenant.database, stage.tenant.workspace_id
    claim_of = (
        "update broadcast_estimates set state = 'pending', claim_id = gen_random_uuid(), "
        "claimed_until = now() + interval '1 minute' where workspace_id = $1 and broadcast_id = $2 returning claim_id"
    )
    claim = jobs.Claim(workspace, draft["id"], await database.value(claim_of, workspace, draft["id"]), 1)

    async def change() -> None:
        changed = {"content": CONTENT, "audience": {"filter": "platform = ios"}}
        await stage.tenant.call("PUT", f"/api/v1/broadcasts/{draft['id']}", changed)

    with pytest.raises(ClaimLost):
        await Slow(stage, change).make(claim)
    found = await stage.estimated(draft["id"])
    assert (found["version"], found["estimate"]["figures"]["devices"]) == (2, 2)
    # A process without a claim counts it, but does not store it either.
    await Slow(stage, change).make_now(workspace, draft["id"])
    found = await stage.estimated(draft["id"])
    assert (found["version"], found["estimate"]["figures"]["devices"]) == (3, 2)


async def test_of_an_audience_that_takes_too_long_it_fails_once_and_is_told(stage: Stage) -> None:
    draft = await stage.make()

    async def too_slow() -> None:
        raise TooSlow("it takes too long")

    await Slow(stage, too_slow).make_now(stage.tenant.workspace_id, draft["id"])
    estimate = (await stage.read(draft["id"]))["estimate"]
    assert (estimate["state"], estimate["reason"], estimate["figures"]) == ("failed", forecast.TOO_SLOW, None)
    [job] = (await stage.tenant.call("GET", "/api/v1/jobs"))["jobs"]
    assert (job["kind"], job["id"], job["state"]) == ("estimate", draft["id"], "failed")
    await stage.tenant.call("POST", f"/api/v1/jobs/estimate/{draft['id']}/retry", expect=204)
    assert (await stage.estimated(draft["id"]))["estimate"]["state"] == "done"

    async def busy() -> None:
        raise TooManyRequests("too many are counted")

    with pytest.raises(TooManyRequests):
        await Slow(stage, busy).make_now(stage.tenant.workspace_id, draft["id"])
