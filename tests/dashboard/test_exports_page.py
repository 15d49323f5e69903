"""Exports in the dashboard: chosen in a form, downloaded as the answer, listed with who made them, and cancelled."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.exports.columns import Exportable
from pushkeeper.services.exports.service import NewExport
from support.actors import BY

if TYPE_CHECKING:
    from support.dashboard import Browser, Place, Site

COLUMNS = ["token", "platform", "person_id"]


async def test_what_is_chosen_comes_as_a_file_and_is_in_the_list(
    place: Place, operator: Browser, admin: Browser
) -> None:
    device = await place.device("ann", app_version="=4.1")
    path = place.path("/exports")
    form = {"kind": "devices", "format": "csv", "columns": COLUMNS, "attributes": "app_version"}
    got = await operator.post(path, {**form, "filter": f"platform = {device.platform}"})
    assert got.status == 200
    name = re.search(r'filename="(.+)"', got.headers["content-disposition"])
    assert name is not None
    assert name[1].startswith(f"{place.name}-devices-{datetime.now(UTC):%Y-%m-%d}")
    [row] = csv.DictReader(io.StringIO(got.text, newline=""))
    assert row == {
        "token": device.token.masked,
        "platform": device.platform,
        "person_id": "ann",
        "attribute.app_version": "'=4.1",
    }
    whole = await admin.post(path, {**form, "tokens": "full"})
    assert device.token.value in whole.text
    shown = (await operator.get(path)).page
    assert f"platform = {device.platform}" in shown.text
    assert "whole" in shown.text
    assert device.token.value not in (await operator.get(place.path("/exports/list"))).text


async def test_only_admins_export_whole_tokens(place: Place, operator: Browser, viewer: Browser) -> None:
    device = await place.device("ann")
    form = {"kind": "devices", "format": "csv", "columns": COLUMNS, "tokens": "full"}
    for browser in (operator, viewer):
        refused = await browser.post(place.path("/exports"), form)
        assert refused.status == 403
        assert device.token.value not in refused.text
        assert "whole" not in (await browser.get(place.path("/exports"))).page.text
    assert (await viewer.post(place.path("/exports"), {**form, "tokens": "masked"})).status == 200


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"kind": "devices", "columns": COLUMNS, "filter": "platform is"}, "filter"),
        ({"kind": "devices"}, "columns"),
        ({"kind": "members"}, "audience"),
        ({"kind": "devices", "columns": COLUMNS, "format": "xlsx"}, "format"),
    ],
)
async def test_what_is_wrong_is_said_in_the_form(
    place: Place, operator: Browser, wanted: dict[str, object], field: str
) -> None:
    refused = await operator.post(place.path("/exports"), wanted)
    assert refused.status == 400
    assert field in refused.text
    assert "No exports yet" in refused.page.text


async def test_a_running_export_is_cancelled_by_an_operator(
    site: Site, place: Place, operator: Browser, viewer: Browser
) -> None:
    exports = site.store.services.exports
    new = NewExport(kind=Exportable.PEOPLE)
    stream = await exports.stream(BY, place.workspace.workspace_id, new)
    assert await anext(stream.parts)
    cancel = place.path(f"/exports/{stream.export.export_id}/cancel")
    assert "running" in (await viewer.get(place.path("/exports"))).page.text
    assert (await viewer.post(cancel, {})).status == 403
    assert (await operator.post(cancel, {})).location == place.path("/exports")
    assert "cancelled" in (await operator.get(place.path("/exports"))).page.text
    await stream.parts.aclose()
    assert (await operator.post(cancel, {})).status == 409
