"""Lists: columns, page sizes, ranges, orders, and what is done with selected rows; and the banner of paused sending."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import Content
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from support.actors import BY

if TYPE_CHECKING:
    from support.dashboard import Browser, Page, Place, Seen


def following(page: Page, rel: str) -> str:
    [link] = [link["href"] for link in page.all("a") if link.get("rel") == rel]
    assert link
    return str(link)


def range_of(seen: Seen) -> str:
    found = re.search(r'data-test="range">([^<]*)<', seen.text)
    assert found
    return found[1].replace("\N{EN DASH}", "-")


def headings(seen: Seen) -> set[str]:
    return set(re.findall(r'<th scope="col"[^>]*>([A-Z][^<]*)</th>', seen.text))


async def test_pages_go_on_and_back_and_say_which_rows_they_show(viewer: Browser, place: Place) -> None:
    await place.devices(60)
    shown: list[str] = []
    at = place.path("/devices?size=25")
    for expected in ("1-25 of", "26-50 of", "51-60 of"):
        seen = await viewer.get(at)
        assert range_of(seen).startswith(expected)
        shown += [link for link in seen.page.links() if re.search(r"/devices/[0-9a-f]{32}$", link)]
        if expected != "51-60 of":
            at = following(seen.page, "next")
    assert len(set(shown)) == len(shown) == 60
    back = await viewer.get(following(seen.page, "prev"))
    assert range_of(back).startswith("26-50")
    first = await viewer.get(following(back.page, "prev"))
    assert range_of(first).startswith("1-25")
    assert not [link for link in first.page.all("a") if link.get("rel") == "prev"]


async def test_columns_and_size_are_chosen_and_kept_from_page_to_page(viewer: Browser, place: Place) -> None:
    await place.devices(30)
    seen = await viewer.get(place.path("/devices?columns=&columns=email&columns=strikes&size=25"))
    assert headings(seen) == {"Device", "Email", "Consecutive bounces"}
    assert headings(await viewer.get(following(seen.page, "next"))) == headings(seen)
    usual = await viewer.get(place.path("/devices?columns=nonsense&size=7&first=x"))
    assert usual.status == 200
    assert headings(await viewer.get(place.path("/people"))) >= {"Person", "Email", "Created"}


async def test_selected_devices_are_deleted_and_no_others(operator: Browser, place: Place) -> None:
    gone, kept, also = await place.devices(3)
    keys = [gone.device_id.hex(), also.device_id.hex(), "00" * 16]
    done = await operator.post(place.path("/devices/delete"), {"device": keys})
    assert done.status == 303
    listed = (await operator.get(place.path("/devices"))).text
    assert kept.device_id.hex() in listed
    assert not [key for key in keys if key in listed]
    nothing = await operator.post(place.path("/devices/delete"), {})
    assert (nothing.status, "at least one must be selected" in nothing.text.lower()) == (400, True)
    assert (await operator.post(place.path("/devices/delete"), {"device": "nonsense"})).status == 404
    assert kept.device_id.hex() in (await operator.get(place.path("/devices"))).text


async def test_selected_people_are_suppressed(operator: Browser, place: Place) -> None:
    gone, kept = await place.devices(2)
    sent = {"person": cio_id(gone.person_id)}
    assert (await operator.post(place.path("/people/suppress"), sent)).status == 303
    listed = (await operator.get(place.path("/people"))).text
    assert cio_id(gone.person_id) not in listed
    assert cio_id(kept.person_id) in listed
    await place.person("person-0000")
    assert "person-0000" not in (await operator.get(place.path("/people"))).text


async def test_a_viewer_selects_nothing(viewer: Browser, place: Place) -> None:
    [device] = await place.devices(1)
    assert 'name="device"' not in (await viewer.get(place.path("/devices"))).text
    sent = {"device": device.device_id.hex()}
    assert (await viewer.post(place.path("/devices/delete"), sent)).status == 403
    assert device.device_id.hex() in (await viewer.get(place.path("/devices"))).text


async def broadcasts(place: Place, count: int) -> list[int]:
    await place.credential()
    room = place.site.store.services.broadcasts
    asked = BroadcastRequest(content=Content(title="t", message="m"), audience="everybody")
    return [(await room.create(BY, place.workspace.workspace_id, asked)).broadcast_id for _ in range(count)]


async def test_two_broadcasts_are_compared_and_not_one_or_three(viewer: Browser, place: Place) -> None:
    a, b, c = await broadcasts(place, 3)
    seen = await viewer.get(place.path(f"/broadcasts/compare?broadcast={a}&broadcast={b}"))
    assert (seen.status, 'data-test="compared"' in seen.text) == (200, True)
    for asked in (f"broadcast={a}", "", "broadcast=9&broadcast=x", f"broadcast={a}&broadcast=999999"):
        assert (await viewer.get(place.path(f"/broadcasts/compare?{asked}"))).status == 400
    three = f"broadcast={a}&broadcast={b}&broadcast={c}"
    assert (await viewer.get(place.path(f"/broadcasts/compare?{three}"))).status == 400


@pytest.mark.parametrize("sort", ["worst", "opened", "devices", "nonsense"])
async def test_an_order_is_shown_by_its_heading(viewer: Browser, place: Place, sort: str) -> None:
    await broadcasts(place, 1)
    seen = await viewer.get(place.path(f"/broadcasts?sort={sort}"))
    assert seen.status == 200
    # None began: what is sorted by results has none of them.
    assert ("/broadcasts?sort=" in seen.text) is (sort == "nonsense")


async def test_paused_sending_is_told_on_every_page_and_resumed_by_an_operator(
    viewer: Browser, operator: Browser, place: Place
) -> None:
    other = await place.site.workspace()
    paused = await operator.post(place.path("/sending/pause"), {"reason": "wrong <link>"})
    assert paused.status == 303
    for page in ("", "/devices", "/broadcasts", "/settings", "/sending"):
        seen = await viewer.get(place.path(page))
        assert 'data-test="sending-paused"' in seen.text
        assert "wrong &lt;link&gt;" in seen.text
        assert "operator@example.com" in seen.text
    assert 'data-test="sending-paused"' not in (await viewer.get(other.path("/devices"))).text
    assert (await viewer.post(place.path("/sending/resume"))).status == 403
    again = await operator.post(place.path("/sending/pause"), {"reason": "again"})
    assert again.status == 409
    assert (await operator.post(place.path("/sending/resume"))).status == 303
    assert 'data-test="sending-paused"' not in (await viewer.get(place.path("/devices"))).text
    long = await operator.post(place.path("/sending/pause"), {"reason": "x" * 501})
    assert long.status == 400


async def test_a_misspelled_field_is_refused_with_what_is_meant(viewer: Browser, place: Place) -> None:
    await place.devices(1)
    seen = await viewer.get(place.path("/devices?filter=platfrom+%3D+ios"))
    assert (seen.status, "did you mean platform?" in seen.page.text) == (400, True)
    assert (await viewer.get(place.path("/devices?filter=device.platfrom+%3D+ios"))).status == 200
    found = await viewer.get(place.path("/devices?filter=platform+%3D+iOS"))
    assert re.search(r"/devices/[0-9a-f]{32}", found.text)
