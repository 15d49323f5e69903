"""Erasing a person in the dashboard: by whom, and what of it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.store.admin import audit
from pushkeeper.store.admin.audit import AuditFilter

if TYPE_CHECKING:
    from support.dashboard import Browser, Place

ANN = Identifier(IdentifierKind.ID, "ann")


async def page_of_ann(place: Place) -> str:
    person = await place.site.registry.person(place.workspace.workspace_id, ANN)
    path: str = place.path(f"/people/{person.cio_id}")
    return path


async def test_an_operator_erases_a_person_and_comes_to_the_receipt(operator: Browser, place: Place) -> None:
    await place.person("ann")
    path = await page_of_ann(place)
    assert "erase" in {
        form["action"].rpartition("/")[2] for form in (await operator.get(path)).page.all("form")
    }
    sent = await operator.post(f"{path}/erase", {})
    assert sent.status == 303
    assert (await operator.get(path)).status == 404
    [receipt] = await place.site.registry.receipts(place.workspace.workspace_id)
    assert sent.headers["location"] == place.path(f"/erasures/{receipt.erasure_id}")
    shown = await operator.get(sent.headers["location"])
    assert (shown.status, receipt.asked_by) == (200, "dashboard")
    for text in (receipt.hashes[0].hex(), receipt.request_id):
        assert text in shown.text
    assert f"/erasures/{receipt.erasure_id}" in (await operator.get(place.path("/erasures"))).text
    assert str(receipt.erasure_id) in (await operator.get(place.path("/erasures.csv"))).text
    # The person's identity is in no log.
    [line] = await audit.page(
        place.site.database, AuditFilter(workspace_id=place.workspace.workspace_id, limit=10)
    )
    assert (line.action, line.target) == ("person.erase", f"erasure {receipt.erasure_id}")
    assert (await operator.post(f"{path}/erase", {})).status == 303, "there is one receipt"


async def test_a_viewer_erases_nobody(viewer: Browser, place: Place) -> None:
    await place.person("ann")
    path = await page_of_ann(place)
    assert "erase" not in {
        form["action"].rpartition("/")[2] for form in (await viewer.get(path)).page.all("form")
    }
    assert (await viewer.post(f"{path}/erase", {})).status == 403
    assert (await viewer.get(path)).status == 200
    assert (await viewer.get(place.path("/erasures"))).status == 200
