"""Drafts of broadcasts, changed by a form that shows what was asked for by another way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.broadcasts.schedule import Schedule
from pushkeeper.core.model import Content, Platform
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.messages.templates import Draft, TemplateKind
from support.actors import BY
from tests.dashboard.test_broadcast_pages import FORM, can_send, estimated, kept, made, number_of, typed

if TYPE_CHECKING:
    from support.dashboard import Browser, Place


async def test_a_draft_that_is_kept_as_it_is_stays_as_it_is(operator: Browser, place: Place) -> None:
    await can_send(place)
    draft = Draft(
        kind=TemplateKind.BROADCAST, name="News", content=Content(title="News"), send_to_unsubscribed=True
    )
    template = await place.site.store.services.templates.make(BY, place.workspace.workspace_id, draft)
    asked = BroadcastRequest(
        template_id=template.template_id,
        audience="everybody",
        send_to_unsubscribed=False,
        per_s=1_234_567 / 60,
        schedule=Schedule(expires_after_s=2_000_001),
    )
    kept = await place.site.store.services.broadcasts.create(BY, place.workspace.workspace_id, asked)
    path = place.path(f"/broadcasts/{kept.broadcast_id}/edit")
    form = (await operator.get(path)).page
    sent = {field["name"]: field.get("value") or "" for field in form.all("input") if _is_sent(field)}
    sent |= {"template": str(template.template_id), "unit": "device", "rate_per": "minute"}
    assert (await operator.post(path, sent)).status == 303
    again = await made(place, kept.broadcast_id)
    assert again.version == kept.version + 1
    for name in ("send_to_unsubscribed", "per_s", "schedule", "content", "template_id", "one_per_phone"):
        assert getattr(again, name) == getattr(kept, name), name


def _is_sent(field: dict[str, str | None]) -> bool:
    return field.get("name") is not None and (field.get("type") != "checkbox" or "checked" in field)


async def test_a_draft_that_somebody_changed_since_is_neither_started_nor_written_over_unseen(
    operator: Browser, admin: Browser, place: Place
) -> None:
    number = number_of(await kept(operator, place))
    path = place.path(f"/broadcasts/{number}")
    page = (await operator.get(path)).page
    [shown] = {field.get("value") for field in page.all("input") if field.get("name") == "version"}
    form = typed(await operator.get(f"{path}/edit"), "input", "version").get("value")
    assert form == shown
    assert (await admin.post(f"{path}/edit", {**FORM, "title": "Another", "version": form})).status == 303

    started = await operator.post(f"{path}/start", {"version": shown})
    assert started.status == 409
    assert "Another" in started.page.text
    # What is wrong with what is typed does not make it seen.
    wrong_one = await operator.post(f"{path}/edit", {**FORM, "title": "{{ oops", "version": form})
    assert typed(wrong_one, "input", "version").get("value") == form
    over = await operator.post(f"{path}/edit", {**FORM, "title": "Mine", "version": form})
    assert (over.status, typed(over, "input", "title").get("value")) == (409, "Mine")
    one = await made(place, number)
    assert (one.content.title, one.state) == ("Another", "draft")
    # It was told: sent once more, it takes its place.
    again = typed(over, "input", "version").get("value")
    assert (await operator.post(f"{path}/edit", {**FORM, "title": "Mine", "version": again})).status == 303
    assert (await made(place, number)).content.title == "Mine"
    assert (await operator.post(f"{path}/start", {"version": "nope"})).status == 400


async def test_what_was_foreseen_of_a_former_draft_is_not_kept_with_the_changed_one(
    operator: Browser, place: Place
) -> None:
    await place.device("ann")
    number = number_of(await kept(operator, place))
    await estimated(place, number)
    before = await made(place, number)
    changed = {**FORM, "filter": "nobody"}
    assert (await operator.post(place.path(f"/broadcasts/{number}/edit"), changed)).status == 303
    # Somebody had it looked at before it was changed, and that took longer.
    await place.site.database.in_transaction(
        lambda connection: broadcasts.set_preflight(connection, before, before.preflight, datetime.now(UTC))
    )
    assert (await made(place, number)).preflight is None
    await estimated(place, number)
    assert (before.preflight["devices"], (await made(place, number)).preflight["devices"]) == (1, 0)


async def test_one_device_that_is_left_out_is_one(operator: Browser, place: Place) -> None:
    await can_send(place)
    await place.device("ann", platform=Platform.ANDROID)
    content = Content(custom_payload={"ios": {"aps": {"alert": "x"}}})
    room, workspace = place.site.store.services.broadcasts, place.workspace.workspace_id
    number = (
        await room.create(BY, workspace, BroadcastRequest(content=content, audience="everybody"))
    ).broadcast_id
    await estimated(place, number)
    text = (await operator.get(place.path(f"/broadcasts/{number}"))).page.text
    assert "No content for Android: 1 device will be skipped." in text


async def test_translations_of_a_template_that_is_gone_are_not_lost_by_the_form(
    operator: Browser, place: Place
) -> None:
    await can_send(place)
    draft = Draft(
        kind=TemplateKind.BROADCAST,
        name="News",
        content=Content(title="News"),
        translations={"de": Content(title="Neues")},
    )
    workspace, room = place.workspace.workspace_id, place.site.store.services.templates
    template = await room.make(BY, workspace, draft)
    asked = BroadcastRequest(template_id=template.template_id, audience="everybody")
    number = (await place.site.store.services.broadcasts.create(BY, workspace, asked)).broadcast_id
    path = place.path(f"/broadcasts/{number}/edit")
    assert (await operator.get(path)).status == 200
    await room.delete(BY, workspace, template.template_id)
    assert (await operator.get(path)).status == 404
