"""Drafts of broadcasts are changed as often as one likes, and what was started is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.stage import CONTENT

if TYPE_CHECKING:
    from support.stage import Stage


async def put(stage: Stage, number: int, *, expect: int = 200, **asked: Any) -> Any:
    body = {"content": CONTENT, "audience": {"filter": "everybody"}, **asked}
    return await stage.tenant.call("PUT", f"/api/v1/broadcasts/{number}", body, expect=expect)


async def test_a_draft_says_something_else_to_others_and_is_sent_so(stage: Stage) -> None:
    draft = await stage.make(
        name="Before", idempotency_key="once", audience={"filter": "platform = android"}, dry_run=True
    )
    assert draft["preflight"]["devices"] == 2
    changed = await put(
        stage,
        draft["id"],
        name="After",
        content={"title": "Other news", "message": "for {{ person.id }}"},
        audience={"filter": "person.id = ann"},
        throttle={"per_second": 50},
    )
    changed = changed["broadcast"]
    assert (changed["id"], changed["state"], changed["idempotency_key"]) == (draft["id"], "draft", "once")
    assert (changed["name"], changed["dry_run"], changed["per_second"]) == ("After", False, 50)
    assert changed["estimate"]["state"] == "pending"
    assert (await stage.estimated(draft["id"]))["preflight"]["people"] == 1
    await stage.do(draft["id"], "start")
    over = await stage.over(draft["id"])
    assert over["endings"] == {"accepted": 2}
    assert stage.reached() == {"ann-ios", "ann-android"}
    assert stage.told()["ann-ios"][0]["aps"]["alert"] == {"title": "Other news", "body": "for ann"}
    # What it said before is nowhere any more.
    [count] = await stage.tenant.database.rows(
        "select count(*) as messages from messages where workspace_id = $1", stage.tenant.workspace_id
    )
    assert count["messages"] == 1


async def test_it_may_be_for_people_and_devices_by_name_in_turn(stage: Stage) -> None:
    number = (await stage.make(ids=["ann", "ben"]))["id"]
    named = {"content": CONTENT, "devices": [stage.token["eve-android"]]}
    await stage.tenant.call("PUT", f"/api/v1/broadcasts/{number}", named)
    named = {"content": CONTENT, "ids": ["ben"], "start": True}
    started = await stage.tenant.call("PUT", f"/api/v1/broadcasts/{number}", named)
    assert started["broadcast"]["state"] in {"scheduled", "sending", "sent"}
    await stage.over(number)
    assert stage.reached() == {"ben-ios"}


async def test_for_how_many_it_is_cannot_be_said_while_its_file_is_read(stage: Stage) -> None:
    number = (await stage.make())["id"]
    await stage.tenant.database.rows(
        "update broadcasts set state = 'fetching', started_at = now(), paused_at = now() where broadcast_id = $1",
        number,
    )
    read = await stage.tenant.call("GET", f"/api/v1/broadcasts/{number}")
    assert read["broadcast"]["progress"]["exact"] is False


async def test_what_was_started_or_is_wrong_stays_as_it_is(stage: Stage) -> None:
    draft = await stage.make(name="As it is")
    refused = await put(stage, draft["id"], expect=400, content={"title": "{{ oops"})
    assert refused["error"]["field"] == "content.title"
    refused = await put(stage, draft["id"], expect=400, audience={"filter": "platform ="})
    nobody = {"content": CONTENT, "ids": ["nobody"]}
    await stage.tenant.call("PUT", f"/api/v1/broadcasts/{draft['id']}", nobody, expect=400)
    path = f"/api/v1/broadcasts/{draft['id']}"
    kept = (await stage.tenant.call("GET", path))["broadcast"]
    assert {name: kept[name] for name in draft if name != "preflight"} == {
        name: value for name, value in draft.items() if name != "preflight"
    }
    await stage.do(draft["id"], "start")
    refused = await put(stage, draft["id"], expect=409)
    assert refused["error"]["code"] == "conflict"
    await put(stage, 999_999, expect=404)


async def test_of_two_who_change_a_draft_the_second_is_told_and_changes_nothing(stage: Stage) -> None:
    draft = await stage.make(name="First", ids=["ann"])
    assert (draft["version"], draft["message_id"]) == (1, None)
    path = f"/api/v1/broadcasts/{draft['id']}"
    mine = {"content": CONTENT, "name": "Mine", "ids": ["ben"]}
    changed = (await stage.tenant.call("PUT", path, {**mine, "version": 1}))["broadcast"]
    assert (changed["version"], changed["name"]) == (2, "Mine")
    theirs = {"content": CONTENT, "name": "Theirs", "ids": ["eve"], "version": 1}
    for start in (False, True):
        refused = await stage.tenant.call("PUT", path, {**theirs, "start": start}, expect=409)
        assert refused["error"]["code"] == "conflict"
    refused = await stage.tenant.call("POST", f"{path}/start", {"version": 1}, expect=409)
    assert refused["error"]["code"] == "conflict"
    kept = await stage.read(draft["id"])
    assert (kept["version"], kept["name"], kept["state"]) == (2, "Mine", "draft")
    for wrong in (0, "2", 2.5, 2**31):
        error = await stage.tenant.call("POST", f"{path}/start", {"version": wrong}, expect=400)
        assert error["error"]["field"] == "version"
    await stage.tenant.call("POST", f"{path}/start", {"versoin": 2}, expect=400)
    await stage.tenant.call("POST", f"{path}/start", {"version": 2})
    over = await stage.over(draft["id"])
    assert over["version"] == 2
    assert over["message_id"] is not None
    assert stage.reached() == {"ben-ios"}
