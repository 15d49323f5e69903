"""Jobs in the native API: unfinished ones and why, retry and cancel, only in the caller's workspace."""

from __future__ import annotations

from typing import Any

import pytest

from pushkeeper.store import jobs
from support.jobs import KINDS, shops

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


async def failed(door: Any, shop: Any, kind: jobs.JobKind) -> int:
    """A failed item in the door's workspace."""
    item: int = await shop.ask(kind)
    claims = await jobs.claim(shop.database, kind, most=1_000, lease_s=60.0)
    for claim in claims:
        if (claim.workspace_id, claim.item_id) == (shop.workspace_id, item):
            await jobs.fail(shop.database, kind, claim, reason="it can't be read")
        else:
            await jobs.give_back(shop.database, kind, claim, wait_s=0.0)
    return item


@every_kind
async def test_a_job_that_failed_is_listed_with_its_reason_and_retried(
    sender: Any, other_door: Any, kind: jobs.JobKind
) -> None:
    async with shops(sender.database, 1) as [shop]:
        shop.workspace_id = sender.workspace_id
        item = await failed(sender, shop, kind)
        status, answer = await sender.app("GET", "/api/v1/jobs")
        [found] = [one for one in answer["jobs"] if (one["kind"], one["id"]) == (kind.name, item)]
        assert (status, found["state"], found["reason"]) == (200, "failed", "it can't be read")
        assert (await other_door.app("GET", "/api/v1/jobs"))[1] == {"jobs": []}
        for what in ("retry", "cancel"):
            path = f"/api/v1/jobs/{kind.name}/{item}/{what}"
            assert (await other_door.app("POST", path))[0] == 404
        assert await shop.failure(kind, item) == "it can't be read"
        status, *_ = await sender.raw(
            "POST", f"/api/v1/jobs/{kind.name}/{item}/retry", authorization=sender.bearer
        )
        assert status == 204
        assert await shop.failure(kind, item) is None
        claims = await jobs.claim(shop.database, kind, most=1_000, lease_s=60.0)
        assert [claim.attempts for claim in claims if claim.item_id == item] == [1]


@every_kind
async def test_a_job_that_is_cancelled_is_worked_at_no_more(sender: Any, kind: jobs.JobKind) -> None:
    async with shops(sender.database, 1) as [shop]:
        shop.workspace_id = sender.workspace_id
        item = await shop.ask(kind)
        [claim] = [
            one
            for one in await jobs.claim(shop.database, kind, most=1_000, lease_s=60.0)
            if one.item_id == item
        ]
        if kind.name == "webhook":  # a healthy one is no job that anybody waits for
            await jobs.put_off(shop.database, kind, claim, wait_s=0.0, reason="no answer")
        path = f"/api/v1/jobs/{kind.name}/{item}/cancel"
        status, *_ = await sender.raw("POST", path, authorization=sender.bearer)
        assert status == 204
        assert item not in {
            one.item_id for one in await jobs.claim(shop.database, kind, most=1_000, lease_s=60.0)
        }


@pytest.mark.parametrize(
    "path", ["moon/1", "plan/999999999", "plan/0x1", "export/-1", "webhook/9999999999999999999999"]
)
async def test_what_is_no_job_is_not_found(door: Any, path: str) -> None:
    for what in ("retry", "cancel"):
        assert (await door.app("POST", f"/api/v1/jobs/{path}/{what}"))[0] == 404
