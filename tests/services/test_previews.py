"""What a broadcast would say, seen before it is sent: rendered as a worker does, for somebody of its audience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.stage import CONTENT

if TYPE_CHECKING:
    from support.engine import Tenant
    from support.stage import Stage


async def previewed(tenant: Tenant, **asked: Any) -> dict[str, dict[str, Any]]:
    body = {"content": CONTENT, "audience": {"filter": "everybody"}, **asked}
    found = await tenant.call("POST", "/api/v1/broadcasts/preview", body)
    return {one["platform"]: one for one in found["preview"]}


async def test_it_is_said_to_somebody_of_the_audience_on_each_platform(stage: Stage) -> None:
    said = await previewed(stage.tenant, audience={"filter": "person.id = ann"})
    for platform in ("ios", "android"):
        assert said[platform]["problem"] is None
        assert said[platform]["to"]["platform"] == platform
        assert said[platform]["content"] == {"title": "News", "message": "for ann"}
    # Nobody of the audience has one: it is said to nobody in particular.
    said = await previewed(stage.tenant, audience={"filter": "person.id = ben"})
    assert said["ios"]["content"]["message"] == "for ben"
    assert said["android"]["to"] is None
    assert said["android"]["content"]["message"] == "for "


async def test_what_is_otherwise_on_a_platform_and_what_the_sender_tells_is_in_it(stage: Stage) -> None:
    content = {
        "title": "{{ trigger.shop }}",
        "ios": {"title": "{{ device.platform }} at {{ trigger.shop }}"},
        "android": {"title": None},
    }
    said = await previewed(stage.tenant, content=content, data={"shop": "Corner"})
    assert said["ios"]["content"]["title"] == "ios at Corner"
    assert said["android"]["content"] is None
    assert said["android"]["problem"] == "no content for this platform"


async def test_where_it_cannot_be_said_to_them_it_says_why(stage: Stage) -> None:
    said = await previewed(stage.tenant, content={"title": "{{ person.shoe_size }}"})
    assert said["ios"]["content"] is None
    assert "shoe_size" in said["ios"]["problem"]
    long = await previewed(
        stage.tenant, content={"title": "{% for i in (1..2000) %}{{ person.id }}{% endfor %}"}
    )
    assert "bytes" in long["android"]["problem"]


async def test_an_audience_of_people_is_previewed_per_person(stage: Stage) -> None:
    # Ann has an iPhone, so that she is in it with her Android phone too.
    audience = {"filter": "platform = ios and person.id = ann", "unit": "person"}
    said = await previewed(stage.tenant, audience=audience)
    assert said["android"]["to"]["person"] == said["ios"]["to"]["person"]
    device = await previewed(stage.tenant, audience={**audience, "unit": "device"})
    assert device["android"]["to"] is None


async def test_nothing_is_kept_and_what_is_wrong_is_told_by_its_field(stage: Stage) -> None:
    call = stage.tenant.call
    await previewed(stage.tenant)
    assert (await call("GET", "/api/v1/broadcasts"))["broadcasts"] == []
    bad: list[tuple[dict[str, Any], str]] = [
        ({"content": {"title": "{{ oops"}}, "content.title"),
        ({"content": {}}, "content.message"),
        ({"audience": {"filter": "platform ="}}, "filter"),
        ({"content": {"title": "x"}, "data": []}, "data"),
    ]
    for more, field in bad:
        body = {"content": CONTENT, "audience": {"filter": "everybody"}, **more}
        refused = await call("POST", "/api/v1/broadcasts/preview", body, expect=400)
        assert refused["error"]["field"].startswith(field), more


async def test_what_ended_is_told_by_the_minute(stage: Stage) -> None:
    number = await stage.send(audience={"filter": "platform = ios"})
    over = await stage.over(number)
    told = await stage.tenant.call("GET", f"/api/v1/broadcasts/{number}/minutes")
    assert sum(one["pushes"] for one in told["minutes"]) == 2
    assert {one["ending"] for one in told["minutes"]} == {"accepted"}
    assert over["progress"]["per_s"] > 0
    await stage.tenant.call("GET", "/api/v1/broadcasts/999999/minutes", expect=404)
