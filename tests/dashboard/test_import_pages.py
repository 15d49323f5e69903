"""Importing in the dashboard: a file is uploaded and tried, its mapping corrected, applied, and the report read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.imports.sources import READERS
from pushkeeper.dashboard.pages.imports import SOURCES
from support.imports import work

if TYPE_CHECKING:
    from support.dashboard import Browser, Place

TOKEN = f"fcm1:APA91b{'x' * 30}"
FILE = f"push_token,platform,person\n{TOKEN},android,ann\n{TOKEN[:3]},symbian,ben\n".encode()


async def uploaded(browser: Browser, place: Place) -> str:
    """The page that an upload leads to."""
    sent = await browser.upload(place.path("/imports/new"), {"source": "generic"}, {"file": FILE})
    assert sent.status == 303, sent.text
    return str(sent.location)


async def test_a_file_is_tried_mapped_applied_and_verified(admin: Browser, place: Place) -> None:
    first = await uploaded(admin, place)
    assert f"{first}/apply" not in (await admin.get(first)).text
    await work(place.site.database)
    tried = await admin.get(first)
    assert "no_token" in tried.text
    mapped = await admin.post(f"{first}/map", {"mapping": 'token = "push_token"'})
    await work(place.site.database)
    report = await admin.get(mapped.location)
    assert "malformed" in report.text
    assert TOKEN not in report.text
    sent = await admin.post(f"{mapped.location}/apply", {})
    await work(place.site.database)
    done = await admin.get(sent.location)
    assert [one for one in done.page.all("dd") if one.get("data-test") == "verified"]
    assert "1 device compared, 0 missing, 0 of another person" in done.page.text
    assert (await admin.post(f"{mapped.location}/apply", {})).status == 409
    listed = await admin.get(place.path("/imports"))
    assert [one for one in (first, mapped.location, sent.location) if one in listed.page.links()] == [
        first,
        mapped.location,
        sent.location,
    ]
    assert (await admin.get(place.path("/imports.csv"))).text.count("generic") == 3


@pytest.mark.parametrize(
    ("fields", "file", "wrong"),
    [
        ({"source": "generic", "mapping": "tokn = 'x'"}, FILE, "mapping"),
        ({"source": "generic"}, b"", "file"),
        ({"source": "mailchimp"}, FILE, "source"),
        ({"source": "generic", "environment": "staging"}, FILE, "environment"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    admin: Browser, place: Place, fields: dict[str, str], file: bytes, wrong: str
) -> None:
    seen = await admin.upload(place.path("/imports/new"), fields, {"file": file})
    assert seen.status == 400
    typed = [one for tag in ("input", "select", "textarea") for one in seen.page.all(tag)]
    assert [one["id"] for one in typed if one.get("aria-invalid")] == [wrong]
    assert 'data-test="import-' not in (await admin.get(place.path("/imports"))).text


def test_every_source_has_a_label() -> None:
    assert SOURCES.keys() == READERS.keys()


async def test_an_import_is_cancelled(admin: Browser, place: Place) -> None:
    page = await uploaded(admin, place)
    assert (await admin.post(f"{page}/cancel", {})).status == 303
    assert "cancelled" in (await admin.get(page)).text
    assert (await admin.post(f"{page}/cancel", {})).status == 409


async def test_only_admins_import(operator: Browser, viewer: Browser, admin: Browser, place: Place) -> None:
    page = await uploaded(admin, place)
    for other in (operator, viewer):
        assert (await other.get(page)).status == 200
        assert (await other.get(place.path("/imports/new"))).status == 403
        sent = await other.upload(place.path("/imports/new"), {"source": "generic"}, {"file": FILE})
        assert sent.status == 403
        assert (await other.post(f"{page}/cancel", {})).status == 403
