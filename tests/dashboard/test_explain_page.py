"""Explain as a page: the answer first, what would have helped, and the facts in order; asked from wherever one stands."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.model import Platform
from pushkeeper.store.devices.devices import SettleEvent

if TYPE_CHECKING:
    from pushkeeper.store.devices.devices import Device
    from support.dashboard import Browser, Place, Site


class Ann:
    """A person with a suppressed iPhone and a live Android phone."""

    def __init__(self, place: Place, iphone: Device, android: Device) -> None:
        self.place = place
        self.iphone = iphone
        self.android = android

    def path(self, **asked: str) -> str:
        here: str = self.place.path("/explain")
        return f"{here}?{urlencode(asked)}" if asked else here


@pytest_asyncio.fixture
async def ann(place: Place) -> Ann:
    iphone = await place.device("ann")
    android = await place.device("ann", platform=Platform.ANDROID)
    await place.settled(iphone, SettleEvent.REFUSED, SettleEvent.REFUSED)
    await place.settled(android, SettleEvent.ACCEPTED)
    await place.site.database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, environment, sealed) values "
        "($1, 'apns', 'key', 'com.example', 'production', ''), ($1, 'fcm', 'service_account', 'p', 'production', '') "
        "returning credential_id) insert into routes (workspace_id, credential_id) select $1, credential_id from c",
        place.workspace.workspace_id,
    )
    return Ann(place, iphone, android)


async def delivery(site: Site, device: Device) -> str:
    [row] = await site.database.rows("select message_id from messages where person_id = $1", device.person_id)
    found: str = site.database.delivery_ids.text(device.workspace_id, row["message_id"], device.person_id)
    return found


async def test_the_answer_comes_first_then_each_device_with_its_steps(viewer: Browser, ann: Ann) -> None:
    seen = await viewer.get(ann.path(person="ann"))
    assert seen.status == 200
    text = seen.page.text
    assert "Yes : 1 of 2 devices: a push would be delivered." in text.replace("Yes:", "Yes :")
    assert text.index("1 of 2 devices") < text.index("Person found: id ann")
    assert "Suppressed (Unregistered)." in text
    assert "Push rejected : apns 410 Unregistered" in text.replace("rejected:", "rejected :")
    for device in (ann.iphone, ann.android):
        assert ann.place.path(f"/devices/{device.device_id.hex()}") in seen.page.links()
    assert ann.place.path(f"/people/{cio_id(ann.iphone.person_id)}") in seen.page.links()


async def test_the_fix_is_shown_for_one_device(viewer: Browser, ann: Ann) -> None:
    seen = await viewer.get(ann.path(device=ann.iphone.device_id.hex()))
    assert "No: suppressed (Unregistered)." in seen.page.text
    assert "How to fix: log in on the device again with the same token" in seen.page.text
    assert ann.android.token.masked not in seen.page.text


async def test_a_whole_token_leads_to_its_devices_key_and_out_of_the_address(
    viewer: Browser, ann: Ann
) -> None:
    seen = await viewer.get(ann.path(device=ann.iphone.token.value, person="ann"))
    assert seen.status == 303
    assert seen.location == ann.path(person="ann", device=ann.iphone.device_id.hex())
    assert (await viewer.get(seen.location)).status == 200
    unknown = await viewer.get(ann.path(device="no-such-token-anywhere", person="ann"))
    assert "No device with this token" in unknown.page.text


async def test_a_message_is_explained_and_led_to(viewer: Browser, site: Site, ann: Ann) -> None:
    await ann.place.pushed(ann.android, "accepted")
    named = await delivery(site, ann.android)
    seen = await viewer.get(ann.path(message=named))
    assert "accepted by the push service" in seen.page.text
    assert ann.place.path(f"/messages/{named}") in seen.page.links()
    assert "Checked for a push sent to this person" not in seen.page.text


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"message": "nope"}, "message", "xpected a delivery ID"),
        ({"message": "99999999"}, "message", "not found in this workspace"),
        ({"person": "x" * 200}, "person", "cannot be longer than 150 bytes"),
    ],
    ids=["no id", "none sent", "too long"],
)
async def test_what_is_wrong_is_said_beside_its_field_and_stays(
    viewer: Browser, ann: Ann, asked: dict[str, str], field: str, said: str
) -> None:
    seen = await viewer.get(ann.path(**asked))
    assert seen.status == 400
    [wrong] = [one for one in seen.page.all("input") if one.get("aria-invalid") == "true"]
    assert (wrong["name"], wrong["value"]) == (field, asked[field])
    assert said in seen.text


async def test_nobody_of_this_name_is_an_answer(viewer: Browser, ann: Ann) -> None:
    seen = await viewer.get(ann.path(person="nobody"))
    assert seen.status == 200
    assert "No: no person with this identifier." in seen.page.text
    assert "How to fix: identify the person" in seen.page.text


async def test_pages_of_people_devices_and_messages_lead_to_it(viewer: Browser, site: Site, ann: Ann) -> None:
    await ann.place.pushed(ann.android, "accepted")
    named = await delivery(site, ann.android)
    for path, asked in (
        (f"/people/{cio_id(ann.iphone.person_id)}", {"person": f"cio_{cio_id(ann.iphone.person_id)}"}),
        (f"/devices/{ann.iphone.device_id.hex()}", {"device": ann.iphone.device_id.hex()}),
        (f"/messages/{named}", {"message": named}),
    ):
        seen = await viewer.get(ann.place.path(path))
        assert ann.path(**asked) in seen.page.links(), path
        assert (await viewer.get(ann.path(**asked))).status == 200


async def test_a_device_that_is_gone_is_explained_by_its_history(
    viewer: Browser, site: Site, ann: Ann
) -> None:
    key = ann.iphone.device_id.hex()
    who = Identifier(IdentifierKind.ID, "ann")
    await site.registry.forget_device(ann.place.workspace.workspace_id, who, ann.iphone.token)
    seen = await viewer.get(ann.path(device=key))
    assert "The device was deleted" in seen.page.text


async def test_of_a_device_that_moved_the_other_person_is_led_to(viewer: Browser, ann: Ann) -> None:
    moved = await ann.place.device("ben", token=ann.iphone.token.value)
    seen = await viewer.get(ann.path(person="ann", device=moved.device_id.hex()))
    assert "Now registered to another person" in seen.page.text
    assert ann.place.path(f"/people/{cio_id(moved.person_id)}") in seen.page.links()


async def test_names_stay_text(viewer: Browser, place: Place) -> None:
    hostile = "<img src=x onerror=1>"
    await place.device(hostile)
    seen = await viewer.get(place.path(f"/explain?{urlencode({'person': hostile})}"))
    assert hostile in seen.page.text
    assert seen.page.all("img") == []


async def test_without_a_question_the_page_says_what_can_be_asked(viewer: Browser, place: Place) -> None:
    assert "Find out why a push was" in (await viewer.get(place.path("/explain"))).page.text
