"""What operators ask of a workspace through our own API: keys, credentials, users' deeds, pushes of a message to many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.errors import BadRequest
from pushkeeper.store.admin import audit
from support.actors import BY

if TYPE_CHECKING:
    from support.engine import Tenant
    from support.stage import Stage


async def test_credentials_are_told_without_their_secrets(tenant: Tenant) -> None:
    found = (await tenant.call("GET", "/api/v1/credentials"))["credentials"]
    assert {(one["provider"], one["kind"]) for one in found} == {("fcm", "service_account"), ("apns", "key")}
    assert "PRIVATE KEY" not in str(found)
    assert all("secret" not in one for one in found)


async def test_keys_are_told_by_what_of_them_may_be_shown(tenant: Tenant) -> None:
    found = (await tenant.call("GET", "/api/v1/keys"))["keys"]
    assert sorted(one["kind"] for one in found) == ["app", "cdp", "track"]
    key = tenant.bearer.removeprefix("Bearer ")
    assert key not in str(found)
    assert any(key.startswith(one["key_id"]) for one in found)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"suppress_after": 0}, "suppress_after"),
        ({"suppress_after": True}, "suppress_after"),
        ({"suppress_after": None}, "suppress_after"),
        ({"min_strike_gap_s": -1}, "min_strike_gap_s"),
        ({"suppress_on_definitive": 1}, "suppress_on_definitive"),
        ({"max_pushes_per_s": 0}, "max_pushes_per_s"),
        ({"ramp_s": "60"}, "ramp_s"),
        ({"name": 1}, "name"),
    ],
)
async def test_an_option_that_cannot_be_is_refused_by_name_and_changes_nothing(
    tenant: Tenant, changes: dict[str, Any], field: str
) -> None:
    workspaces = tenant.engine.store.services.workspaces
    before = await workspaces.options(tenant.workspace_id)
    with pytest.raises(BadRequest) as refused:
        await workspaces.choose(BY, tenant.workspace_id, {"delete_unregistered": True, **changes})
    assert refused.value.field == field
    assert await workspaces.options(tenant.workspace_id) == before


async def test_the_audit_log_lists_this_workspace_alone_page_by_page(tenant: Tenant, bare: Tenant) -> None:
    for whose, count in ((tenant, 3), (bare, 1)):
        for n in range(count):
            act = audit.NewAuditLine(
                user_id=None, user_name="ann", action=f"route.pause {n}", workspace_id=whose.workspace_id
            )
            await audit.begin(whose.database, act)
    first = await tenant.call("GET", "/api/v1/audit?limit=2")
    rest = await tenant.call("GET", f"/api/v1/audit?limit=2&start={first['next']}")
    assert [one["action"] for one in first["audit"] + rest["audit"]] == [
        *("route.pause 2", "route.pause 1", "route.pause 0")
    ]
    assert rest["next"] is None


async def test_pushes_of_a_message_to_many_are_told_by_their_endings(stage: Stage) -> None:
    tenant = stage.tenant
    tenant.simulator.world.uninstall([stage.token["ann-ios"]])
    number = await stage.send()
    await stage.over(number)
    message = await tenant.database.value("select message_id from broadcasts where broadcast_id = $1", number)

    async def asked(query: str) -> Any:
        return await tenant.call("GET", f"/api/v1/messages/{message}/pushes{query}")

    [bounced] = (await asked("?ending=bounced"))["pushes"]
    assert (bounced["person"]["id"], bounced["provider_reason"]) == ("ann", "Unregistered")
    first = await asked("?limit=3")
    rest = await asked(f"?limit=3&start={first['next']}")
    assert len({one["device"] for one in first["pushes"] + rest["pushes"]}) == 4
    await tenant.call("GET", f"/api/v1/messages/{message}/pushes?ending=lost", expect=400)
    await tenant.call("GET", "/api/v1/messages/none/pushes", expect=404)


async def test_devices_of_a_filter_are_paged_through(stage: Stage) -> None:
    tenant = stage.tenant
    seen: list[str] = []
    start: str | None = ""
    while start is not None:
        path = f"/api/v1/audiences/sample?limit=3&start={start}"
        page = await tenant.call("POST", path, {"filter": "everybody"})
        seen += [device["token"] for device in page["devices"]]
        start = page["next"]
    assert sorted(seen) == sorted(stage.token.values())
