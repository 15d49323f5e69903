"""People of another service by its App API: of whatever answers as Customer.io's does, as we do ourselves."""

from __future__ import annotations

from support.imports import work

PATH = "/api/v1/imports"


async def test_people_of_another_workspace_are_pulled_by_the_app_api(door, other_door) -> None:
    for number in range(130):
        at = f"/api/v1/customers/p{number}"
        assert (await other_door.track("PUT", at, {"plan": "pro"}))[0] == 200
    device = {"device": {"id": "fcm1:x", "platform": "android", "app_version": "3.1"}}
    assert (await other_door.track("PUT", "/api/v1/customers/p7/devices", device))[0] == 200
    theirs = {"app_api_key": other_door.keys.app_api_key, "api_url": f"http://127.0.0.1:{door.port}"}
    asked = {"source": "customerio", "customerio": theirs, "apply": True}
    status, made = await door.app("POST", PATH, asked)
    assert (status, made["name"]) == (202, "Customer.io")
    await work(door.database)
    done = (await door.app("GET", f"{PATH}/{made['import']}"))[1]
    assert (done["state"], done["people"], done["devices"]["new"]) == ("done", {"new": 130, "known": 0}, 1)
    person = await door.person("p7")
    assert person["attributes"]["plan"] == "pro"
    assert [found["id"] for found in person["devices"]] == ["fcm1:x"]
    rows = await door.database.rows("select * from imports where workspace_id = $1", door.workspace_id)
    assert other_door.keys.app_api_key not in str([dict(row) for row in rows])


async def test_a_key_that_is_refused_fails_the_import_by_its_field(door) -> None:
    theirs = {"app_api_key": "nobodys", "api_url": f"http://127.0.0.1:{door.port}"}
    _, made = await door.app("POST", PATH, {"source": "customerio", "customerio": theirs})
    await work(door.database)
    failed = (await door.app("GET", f"{PATH}/{made['import']}"))[1]
    assert (failed["state"], "app_api_key" in failed["failure"]) == ("failed", True)
    assert "nobodys" not in str(failed)


async def test_what_is_pulled_has_no_other_source(door) -> None:
    theirs = {"app_api_key": "x"}
    for more in ({"source": "generic"}, {"source": "customerio", "url": "https://example.com/x"}):
        status, refused = await door.app("POST", PATH, {"customerio": theirs, **more})
        assert (status, refused["error"]["field"]) == (400, "customerio")
