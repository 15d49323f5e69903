"""Tables: paged through by key, whole as CSV, and with nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pushkeeper.core.csv_text import cell
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content
from pushkeeper.services.messages.transactional import TransactionalPush, TransactionalPushes
from pushkeeper.store.delivery.pushes import PushRow, insert
from pushkeeper.store.devices.devices import SettleEvent
from pushkeeper.store.messages.messages import new_id
from pushkeeper.store.people.people import AttributeChange, PersonReference

if TYPE_CHECKING:
    from support.dashboard import Browser, Page, Place, Site


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def next_of(page: Page) -> str | None:
    found = [link["href"] for link in page.all("a") if link.get("rel") == "next"]
    return found[0] if found else None


async def paged(browser: Browser, path: str, item: str) -> list[str]:
    """What is linked to on page after page."""
    found: list[str] = []
    following: str | None = path
    while following:
        page = (await browser.get(following)).page
        some = [match[1] for link in page.links() if (match := re.fullmatch(item, link))]
        assert len(set(some)) <= 50
        found += dict.fromkeys(some)
        following = next_of(page)
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (-3, "-3"),
        (1.5, "1.5"),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ({"a": "=1"}, '{"a":"=1"}'),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00Z"),
    ],
    ids=str,
)
def test_a_cell_is_text_that_no_spreadsheet_runs(value: object, text: str) -> None:
    assert cell(value) == text


async def test_devices_are_paged_through_each_once_whatever_is_asked(viewer: Browser, place: Place) -> None:
    devices = await place.devices(120, plan="pro")
    for device in devices[:70]:
        await place.settled(device, SettleEvent.ACCEPTED)
    all_keys = {device.device_id.hex() for device in devices}
    item = re.escape(place.path("/devices/")) + "([0-9a-f]{32})"
    found = await paged(viewer, place.path("/devices"), item)
    assert (len(found), set(found)) == (120, all_keys)
    asked = place.path("/devices?filter=last_status+%3D+sent")
    found = await paged(viewer, asked, item)
    assert (len(found), set(found)) == (70, {device.device_id.hex() for device in devices[:70]})
    assert (
        "70 matching devices (70 people)"
        in (await viewer.get(place.path("/devices/count?filter=last_status+%3D+sent"))).page.text
    )


async def test_people_are_paged_through_each_once(viewer: Browser, place: Place) -> None:
    for number in range(60):
        await place.person(f"p{number}", plan="pro" if number % 2 else "free")
    item = re.escape(place.path("/people/")) + "([0-9a-f]{12})"
    assert len(set(await paged(viewer, place.path("/people"), item))) == 60
    pro = await paged(viewer, place.path("/people?filter=person.plan+%3D+pro"), item)
    assert len(set(pro)) == 30


async def test_csv_holds_all_that_the_filter_is_true_of(viewer: Browser, place: Place) -> None:
    devices = await place.devices(60, plan="pro")
    await place.settled(devices[0], SettleEvent.REFUSED)
    found = rows((await viewer.get(place.path("/devices.csv"))).text)
    assert {row["device"] for row in found} == {device.device_id.hex() for device in devices}
    [bounced] = rows((await viewer.get(place.path("/devices.csv?filter=last_status+%3D+bounced"))).text)
    assert (bounced["last_status"], bounced["failure_reason"]) == ("bounced", "Unregistered")
    people = rows((await viewer.get(place.path("/people.csv"))).text)
    assert {row["id"] for row in people} == {f"person-{n:04d}" for n in range(60)}
    assert (await viewer.get(place.path("/devices.csv?filter=nope"))).status == 400


async def test_csv_is_a_file_to_keep_and_defused(viewer: Browser, place: Place) -> None:
    await place.device('=cmd|"/c calc"!A1')
    seen = await viewer.get(place.path("/people.csv"))
    assert seen.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"people-{datetime.now(UTC):%Y-%m-%d}.csv"
    assert seen.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert rows(seen.text)[0]["id"] == '\'=cmd|"/c calc"!A1'


async def test_a_timeline_is_paged_through_without_a_gap(viewer: Browser, place: Place) -> None:
    device = await place.device("ann")
    for _ in range(40):
        await place.settled(device, SettleEvent.ACCEPTED, SettleEvent.REFUSED)
    path = place.path(f"/devices/{device.device_id.hex()}")
    listed = rows((await viewer.get(f"{path}/timeline.csv")).text)
    shown: list[str] = []
    pages, following = 0, path
    while following:
        pages += 1
        seen = await viewer.get(following)
        shown += re.findall(r'<time datetime="([^"]+)" data-time="at">', seen.text.partition("Activity")[2])
        following = next_of(seen.page) or ""
    # 80 pushes, each of which changed the device and is listed once, even across pages; and the registration.
    assert len({row["delivery_id"] for row in listed}) == 80 + 1
    assert pages > 1
    assert 80 + 1 <= len(shown) == len(listed) <= 80 + 1 + 2 * pages
    assert shown == sorted(shown, reverse=True)


async def test_messages_are_listed_filtered_and_read_one_by_one(
    site: Site, viewer: Browser, place: Place
) -> None:
    workspace = place.workspace.workspace_id
    await site.database.rows(
        "insert into credentials (workspace_id, provider, kind, app, sealed) values ($1, 'fcm', 'service_account', 'p', '')",
        workspace,
    )
    sending = TransactionalPushes(site.database, {})
    deliveries = []
    for number in range(55):
        await place.device(f"m{number}")
        naming = PersonReference(workspace_id=workspace, path=Identifier(IdentifierKind.ID, f"m{number}"))
        push = TransactionalPush(naming=naming, content=Content(title=f"Order {number}"))
        deliveries.append(str((await sending.accept(push)).delivery_id))
    item = re.escape(place.path("/messages/")) + "([^/?]{56})"
    assert await paged(viewer, place.path("/messages"), item) == [
        quote(one, safe="") for one in reversed(deliveries)
    ]
    seen = await viewer.get(place.path(f"/messages/{quote(deliveries[0], safe='')}"))
    assert "Order 0" in seen.page.text
    assert "Queued." in seen.page.text
    listed = rows((await viewer.get(place.path("/messages.csv"))).text)
    assert [row["message"] for row in listed] == list(reversed(deliveries))
    assert await paged(viewer, place.path("/messages?metric=bounced"), item) == []
    for wrong in ("metric=nope", "kind=nope", "template=x", "until=x", "until=9999-12-31T23:59:59-23:59"):
        assert (await viewer.get(place.path(f"/messages?{wrong}"))).status == 400


async def test_a_message_to_many_is_read_delivery_by_delivery(
    site: Site, viewer: Browser, place: Place
) -> None:
    devices = await place.devices(60)
    workspace = place.workspace.workspace_id
    message_id = new_id()
    await site.database.rows(
        "with m as (insert into messages (message_id, workspace_id, kind, content, expires_at) "
        "values ($1, $2, 'broadcast', $3, now() + interval '1 day') returning message_id) "
        "insert into broadcasts (workspace_id, message_id, state, planned_at, devices) "
        "select $2, message_id, 'planned', now(), 60 from m",
        message_id,
        workspace,
        {"title": "News"},
    )
    pushes = [
        PushRow(
            message_id=message_id,
            device_id=device.device_id,
            workspace_id=workspace,
            person_id=device.person_id,
            generation=1,
            ending="bounced" if number % 3 == 0 else "accepted",
            reason="apns_unregistered",
        )
        for number, device in enumerate(devices)
    ]
    await site.database.in_transaction(lambda connection: insert(connection, pushes))
    path = place.path(f"/messages/to-many/{message_id}")
    assert path in (await viewer.get(place.path("/messages"))).page.links()
    item = re.escape(place.path("/devices/")) + "([0-9a-f]{32})"
    found = await paged(viewer, path, item)
    assert set(found) == {device.device_id.hex() for device in devices}
    assert len(await paged(viewer, f"{path}?ending=bounced", item)) == 20
    assert len(rows((await viewer.get(f"{path}/deliveries.csv?ending=bounced")).text)) == 20
    assert (await viewer.get(f"{path}?ending=nope")).status == 400


async def test_activities_are_paged_through_and_whole_as_csv(viewer: Browser, place: Place) -> None:
    device = await place.device("ann")
    for _ in range(20):
        await place.settled(device, SettleEvent.ACCEPTED, SettleEvent.REFUSED)
    path = place.path(f"/people/{device.person_id:012x}")
    listed = rows((await viewer.get(f"{path}/activities.csv")).text)
    shown = 0
    following: str | None = path
    while following:
        page = (await viewer.get(following.partition("#")[0])).page
        shown += page.text.count("Device: ") + page.text.count("Push ") + page.text.count("Profile created")
        following = next_of(page)
    assert shown == len(listed) == 40 + 40 + 2


async def test_a_person_shows_which_identifier_was_not_applied(viewer: Browser, place: Place) -> None:
    owner, ann = (Identifier(IdentifierKind.ID, name) for name in ("owner", "ann"))
    taken = Identifier(IdentifierKind.EMAIL, "taken@example.com")
    for path in (owner, ann):
        naming = PersonReference(workspace_id=place.workspace.workspace_id, path=path, others=(taken,))
        person = await place.site.registry.identify(naming, AttributeChange(changed_at=0))
    page = (await viewer.get(place.path(f"/people/{person:012x}"))).page
    assert "email not applied" in page.text
    assert "taken@example.com" in page.text


async def test_a_persons_deliveries_are_paged_through_and_whole_as_csv(viewer: Browser, place: Place) -> None:
    device = await place.device("ann")
    for _ in range(12):
        await place.pushed(device, "accepted")
        await place.pushed(device, "bounced")
    path = place.path(f"/people/{device.person_id:012x}")
    listed = rows((await viewer.get(f"{path}/deliveries.csv")).text)
    assert Counter(row["metrics"] for row in listed) == {"bounced": 12, "sent": 12}
    assert len({row["delivery_id"] for row in listed}) == 24
    found: list[str] = []
    following = path
    while following:
        page = (await viewer.get(following.partition("#")[0])).page
        some = [link for link in page.links() if link.startswith(place.path("/messages/"))]
        found += [link for link in dict.fromkeys(some) if link not in found]
        following = next((link for link in page.links() if "before_message=" in link), "")
    assert {quote(row["delivery_id"], safe="") for row in listed} <= {
        link.rpartition("/")[2] for link in found
    }


async def test_every_table_on_a_page_is_there_as_csv(admin: Browser, place: Place) -> None:
    device = await place.device("ann")
    await place.pushed(device, "bounced")
    for path in (
        "",
        "/devices",
        f"/devices/{device.device_id.hex()}",
        "/people",
        f"/people/{device.person_id:012x}",
        "/messages",
        "/settings",
    ):
        page = (await admin.get(place.path(path))).page
        files = {link for link in page.links() if ".csv" in link}
        assert files, path
        for file in files:
            seen = await admin.get(file)
            assert seen.status == 200, file
            assert seen.headers["content-type"].startswith("text/csv"), file
            assert len(seen.text.splitlines()) > 1, file


@pytest.mark.parametrize(
    "start",
    [
        "nope",
        "zz.zz",
        "ffffffffffffffffffffff.00",
        "1.0",
        "-1.ff",
        "~",
        "1~nope",
        "99999999999999999999999.1~",
    ],
)
async def test_an_address_that_was_made_up_is_refused_or_leads_nowhere_odd(
    viewer: Browser, place: Place, start: str
) -> None:
    device = await place.device("ann")
    for path in ("/devices", "/people", "/messages", f"/devices/{device.device_id.hex()}"):
        seen = await viewer.get(place.path(f"{path}?start={quote(start)}"))
        assert seen.status in {200, 400, 404}, path
