"""Text in an address, a query or a filter is a value to the database, and never a part of the statement."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pushkeeper.api.openapi.operations import OPERATIONS
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import View
from support.doors import ASKED, NOTHING, all_page_routes, filled
from support.examples import examples, share
from support.inside import Inside, app_of, routes_of

if TYPE_CHECKING:
    from support.dashboard import Place, Seen, Site

SLEEPS_S = 9
SQL = (
    "'",
    "' or '1'='1",
    "' or 1=1 --",
    f"'; select pg_sleep({SLEEPS_S}); --",
    f"1; select pg_sleep({SLEEPS_S})",
    f"1) or (select pg_sleep({SLEEPS_S})) is null --",
    f"' || pg_sleep({SLEEPS_S}) || '",
    "') union select null, null --",
    "'; drop table people; --",
    "$$; drop table people; $$",
    "\\'; drop table people; --",
    "{condition}{}%s%(x)s$1:x",
    '"; drop table people; --',
)
# Each address is tried with every fourth of them, and the next address with others.
FEWER = 4
QUERIES = sorted(
    {*ASKED}
    | {
        field.encode_name
        for operation in OPERATIONS.values()
        if operation.query is not None
        for field in msgspec.structs.fields(operation.query)
    }
)
OPERATORS = ("eq", "neq", "in", "contains", "starts_with", "gt", "lt", "before", "after", "exists")


class Attack:
    """Asks, and remembers what should not have come."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.tried = self.answered = 0
        self.wrong: list[tuple[str, str, int]] = []

    async def ask(self, method: str, path: str, body: Any = None, authorization: str | None = None) -> Seen:
        headers = {"content-type": "application/json"}
        if authorization is not None:
            headers["authorization"] = authorization
        data = None if body is None else json.dumps(body).encode()
        started = time.monotonic()
        if authorization is None:
            seen: Seen = await self.inside.get(path)
        else:
            seen = await self.inside.ask(method, path, data, headers)
        self.tried += 1
        self.answered += seen.status == 200
        if seen.status >= 500 or time.monotonic() - started > SLEEPS_S - 1:
            self.wrong.append((method, path, seen.status))
        return seen


def attacked(path: str, evil: str, parts: dict[str, str]) -> str:
    """An address in which all that is not known, and everything that is asked, is evil."""
    query = "&".join(f"{name}={quote(evil)}" for name in QUERIES)
    return f"{filled(path, parts, quote(evil, safe=''))}?{query}"


async def test_no_address_is_part_of_a_query(site: Site) -> None:
    """Every page and every call, with these in each place of its address, and each of them at many."""
    place = await site.workspace()
    device = await place.device("ann", plan="pro")
    attack = Attack(Inside.of(site, app_of(site), Role.ADMIN))
    here = {"workspace": place.name}
    there = {**NOTHING, **here, "device": device.device_id.hex(), "person": f"{device.person_id:012x}"}
    for turn, door in enumerate(all_page_routes(site)):
        if isinstance(door, View) and "simulator" not in door.path:
            for number, evil in enumerate(share(SQL, turn, usual=FEWER)):
                await attack.ask("GET", attacked(door.path, evil, there if number % 2 else here))
    for turn, (method, path) in enumerate(routes_of(attack.inside.app)):
        if method not in {"HEAD", "OPTIONS"}:
            for evil in share(SQL, turn, usual=FEWER):
                body = None if method == "GET" else dict.fromkeys(("id", "name", "email", "filter"), evil)
                for authorization in keys_of(place):
                    await attack.ask(method, attacked(path, evil, {}), body, authorization)
    assert attack.wrong == []
    assert attack.tried > examples(4_000 // FEWER)
    assert await whole(site, place)


async def test_no_filter_is_part_of_a_query(site: Site) -> None:
    """Fields, operators and values of filters, as JSON and as text, of people, devices and events."""
    place = await site.workspace()
    await place.device("ann", plan="pro")
    await place.person("evil", note=SQL[2], **{SQL[2]: "yes"})
    attack = Attack(Inside.of(site, app_of(site), Role.ADMIN))
    app = keys_of(place)[1]
    for evil in SQL:
        for operator in OPERATORS:
            for field, value in ((evil, "yes"), ("note", evil), ("plan", [evil]), (evil, None)):
                condition: dict[str, Any] = {"field": field, "operator": operator, "value": value}
                for node in (
                    {"attribute": condition},
                    {"device": condition},
                    {"event": {"name": field, **condition}},
                ):
                    await attack.ask("POST", "/v1/customers", {"filter": node}, app)
        for text in (
            f"person.plan = {json.dumps(evil)}",
            f'person."{evil}" = 1',
            f"platform = {evil}",
            evil,
            f"event {json.dumps(evil)}",
        ):
            for what in ("count", "sample", "preview", "explain"):
                await attack.ask("POST", f"/api/v1/audiences/{what}", {"filter": text, "unit": "person"}, app)
            await attack.ask("GET", place.path(f"/devices?filter={quote(text)}"))
            await attack.ask("GET", place.path(f"/people?filter={quote(text)}"))
    assert attack.wrong == []
    assert attack.tried > 1_660
    assert attack.answered > 400
    assert await whole(site, place)
    # What is asked for is found, and nothing else.
    for field, value, found in (("note", SQL[2], ["evil"]), (SQL[2], "yes", ["evil"]), ("note", SQL[1], [])):
        condition = {"attribute": {"field": field, "operator": "eq", "value": value}}
        seen = await attack.ask("POST", "/v1/customers", {"filter": condition}, app)
        assert [one["id"] for one in json.loads(seen.body)["identifiers"]] == found


def keys_of(place: Place) -> tuple[str, str]:
    """What Track and the App API are asked with."""
    pair = f"{place.keys.site_id}:{place.keys.api_key}".encode()
    return f"Basic {b64encode(pair).decode()}", f"Bearer {place.keys.app_api_key}"


async def whole(site: Site, place: Place) -> bool:
    """Whether what was there still is, and others' too."""
    ann = await site.database.value(
        "select count(*) from identifiers where workspace_id = $1 and value = 'ann'",
        place.workspace.workspace_id,
    )
    tables = await site.database.value("select to_regclass('people') is not null")
    return bool(ann == 1 and tables)
