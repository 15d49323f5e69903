"""Jobs in the dashboard: what fails stands there with its reason, and an operator retries or cancels it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.store import jobs
from support.jobs import KINDS, shops

if TYPE_CHECKING:
    from pushkeeper.store.jobs import JobKind
    from support.dashboard import Browser, Place, Site
    from support.jobs import Shop

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


async def put_off(site: Site, shop: Shop, kind: JobKind, *, fails: bool) -> int:
    item: int = await shop.ask(kind)
    for claim in await jobs.claim(site.database, kind, most=1_000, lease_s=60.0):
        if claim.item_id != item:
            await jobs.give_back(site.database, kind, claim, wait_s=0.0)
        elif fails:
            await jobs.fail(site.database, kind, claim, reason="<it is broken>")
        else:
            await jobs.put_off(site.database, kind, claim, wait_s=60.0, reason="<it is broken>")
    return item


@every_kind
async def test_a_failed_job_is_listed_also_on_the_overview_and_is_retried(
    site: Site, operator: Browser, viewer: Browser, place: Place, kind: JobKind
) -> None:
    async with shops(site.database, 1) as [shop]:
        shop.workspace_id = place.workspace.workspace_id
        await place.credential()
        await place.person("ann")
        item = await put_off(site, shop, kind, fails=True)
        shown = (await viewer.get(place.path("/jobs"))).page
        assert "<it is broken>" in shown.text
        assert "Retry" not in shown.text
        assert "<it is broken>" in (await viewer.get(place.path(""))).page.text
        assert "<it is broken>" in (await viewer.get(place.path("/jobs.csv"))).text
        retry = place.path(f"/jobs/{kind.name}/{item}/retry")
        assert (await viewer.post(retry, {})).status == 403
        assert await shop.failure(kind, item) == "<it is broken>"
        assert (await operator.post(retry, {})).location == place.path("/jobs")
        assert await shop.failure(kind, item) is None


@every_kind
async def test_what_is_put_off_is_cancelled(
    site: Site, operator: Browser, place: Place, kind: JobKind
) -> None:
    async with shops(site.database, 1) as [shop]:
        shop.workspace_id = place.workspace.workspace_id
        await place.credential()
        await place.person("ann")
        item = await put_off(site, shop, kind, fails=False)
        assert "retrying" in (await operator.get(place.path("/jobs"))).page.text
        assert (await operator.post(place.path(f"/jobs/{kind.name}/{item}/cancel"), {})).status == 303
        await shop.make_due(kind)
        claims = await jobs.claim(site.database, kind, most=1_000, lease_s=60.0)
        assert item not in {claim.item_id for claim in claims}


@pytest.mark.parametrize("kind", [jobs.PLAN, jobs.FILE], ids=["plan", "file"])
async def test_the_page_of_a_broadcast_says_why_its_plan_is_put_off(
    site: Site, viewer: Browser, place: Place, kind: JobKind
) -> None:
    async with shops(site.database, 1) as [shop]:
        shop.workspace_id = place.workspace.workspace_id
        await place.credential()
        await place.person("ann")
        item = await put_off(site, shop, kind, fails=False)
        shown = await viewer.get(place.path(f"/broadcasts/{item}"))
        assert 'data-test="retry"' in shown.text
        assert "<it is broken>" in shown.page.text
        assert await jobs.change(site.database, shop.workspace_id, kind.retry, item)
        assert "<it is broken>" not in (await viewer.get(place.path(f"/broadcasts/{item}"))).page.text
