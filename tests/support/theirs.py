"""Something of each kind in a workspace, and every call of the route table with it: a route that is added is tried by itself."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

from pushkeeper.core.model import message_day

MARK = "secret-of-theirs"  # in all that B has and A never says
TOKEN = "t" * 40
FILTERS = {
    "segment": lambda theirs: {"segment": {"id": int(theirs["segment"])}},
    "audience": lambda theirs: {"segment": {"id": int(theirs["audience"])}},
    "cio_id": lambda theirs: {"attribute": {"field": "cio_id", "operator": "eq", "value": theirs["person"]}},
}


class Theirs(dict[str, str]):
    """What B has, by name; `rows` is all of it, in the database."""

    async def rows(self, door) -> dict[str, str]:
        tables = await door.database.rows(
            "select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid "
            "where a.attname = 'workspace_id' and c.relkind in ('r', 'p') and not c.relispartition"
        )
        return {
            table["name"]: await door.database.value(
                f"select md5(coalesce(string_agg(t::text, '' order by t::text), '')) from {table['name']} t "
                "where workspace_id = $1",
                door.workspace_id,
            )
            for table in tables
        }


async def made(door, method: str, path: str, body: object, *names: str) -> str:
    status, answer = await door.app(method, path, body)
    assert status in {200, 201, 202}, (path, answer)
    for name in names:
        answer = answer[name]
    return str(answer)


async def one_of_each(door) -> Theirs:
    """Something of each kind, with the mark in whatever has a text."""
    at, attributes = f"/api/v1/customers/{MARK}", {"email": f"{MARK}@b.example", "note": MARK}
    assert (await door.track("PUT", at, attributes))[0] == 200
    device = {"device": {"id": TOKEN, "platform": "android", "attributes": {"note": MARK}}}
    assert (await door.track("PUT", f"{at}/devices", device))[0] == 200
    assert (await door.track("POST", f"{at}/events", {"name": MARK, "data": {"note": MARK}}))[0] == 200
    person = (await door.person(MARK))["attributes"]["cio_id"]
    who = {"identifiers": {"id": MARK}}
    theirs = Theirs(
        person=person,
        token=TOKEN,
        segment=await made(door, "POST", "/v1/segments", {"segment": {"name": MARK}}, "segment", "id"),
        audience=await made(door, "POST", "/api/v1/audiences", {"name": MARK, "filter": "platform = ios"}, "audience", "id"),
        transactional=await made(door, "POST", "/api/v1/templates",
            {"kind": "transactional", "name": MARK, "title": MARK, "message": MARK}, "template", "id"),
        template=await made(door, "POST", "/api/v1/templates",
            {"kind": "broadcast", "name": MARK, "title": MARK, "message": MARK}, "template", "id"),
        broadcast=await made(door, "POST", "/api/v1/broadcasts", {"name": MARK, "content": {"title": MARK, "message": MARK}, "audience": {"filter": "platform = android"}}, "broadcast", "id"),
        snippet=await made(door, "POST", "/v1/snippets", {"name": "address", "value": MARK}, "snippet", "name"),
        webhook=await made(door, "POST", "/v1/reporting_webhooks",
            {"name": MARK, "endpoint": f"https://{MARK}.example/", "events": ["push_sent"]}, "id"),
        export=await made(door, "POST", "/v1/exports/customers", {"filters": {"and": []}}, "export", "id"),
        import_=await made(door, "POST", "/api/v1/imports",
            {"source": "generic", "name": MARK, "url": f"https://{MARK}.example/people.csv"}, "import"),
        delivery=await made(door, "POST", "/v1/send/push", {**who, "title": MARK, "message": MARK}, "delivery_id"),
        draft=await made(door, "POST", "/v1/send/push",
            {**who, "title": MARK, "message": MARK, "queue_draft": True}, "delivery_id"),
        route="fcm:project",
    )  # fmt: skip
    delivery = door.database.delivery_ids.read(theirs["delivery"])
    assert delivery is not None
    theirs["message"] = str(delivery.message_id)
    await door.database.rows(
        "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason, provider_reason) "
        "select $1, $2, device_id, workspace_id, person_id, 'bounced', 'fcm_unregistered', $3 from devices where workspace_id = $4",
        message_day(delivery.message_id),
        delivery.message_id,
        MARK,
        door.workspace_id,
    )
    trigger = await made(
        door, "POST", f"/v1/campaigns/{theirs['template']}/triggers", {"data": {"note": MARK}}, "id"
    )
    return Theirs(**theirs, trigger=trigger)


# What stands for a name in a path: B's things of that name, of whichever kind the path is about.
NUMBERS = (
    "segment",
    "audience",
    "transactional",
    "template",
    "broadcast",
    "webhook",
    "export",
    "import_",
    "trigger",
)
IN_PATHS = {
    "identifier": ("person",),
    "id": (*NUMBERS, "delivery", "draft", "person"),
    "device_id": ("token",),
    "token": ("token",),
    "segment": ("segment", "audience"),
    "trigger": ("trigger", "broadcast"),
    "message": ("message", "delivery"),
    "route": ("route",),
    "content": ("transactional",),
    "action": ("template",),
    "snippet": ("snippet",),
    "job": ("export", "trigger"),
}  # fmt: skip
FREE = {
    "kind": "export",
    "language": "en",
    "form": "a-form",
    "link": "bGluaw",
    "key": "a-key",
    "delivery_id": "an-id",
}


def bodies(theirs: Theirs) -> list[dict[str, Any]]:
    """What names something of B's, in any of the forms that a body has for it."""
    filters = [of(theirs) for of in FILTERS.values()]
    broadcast = {"name": "n", "content": {"title": "t", "message": "m"}}
    numbers = [int(theirs[kind]) for kind in NUMBERS]
    return [
        {},
        {"ids": [theirs["person"]]},
        *({"filter": one} for one in filters),
        *({"filters": one} for one in filters),
        *({**broadcast, "audience": {"filter": one}} for one in filters),
        *({**broadcast, "audience": {"id": number}} for number in numbers[:2]),
        *(
            {"name": "n", "template": number, "audience": {"filter": "platform = ios"}}
            for number in numbers[2:4]
        ),
        {**broadcast, "devices": [theirs["token"]]},
        {"name": theirs["snippet"], "value": "ours"},
        {"reason": "x"},
        {**broadcast, "per_user_data": [{"cio_id": theirs["person"], "data": {}}]},
        {"recipients": filters[0]},
        {"per_user_data": [{"cio_id": theirs["person"], "data": {}}]},
        {"identifiers": {"cio_id": theirs["person"]}, "title": "t", "message": "m", "to": "all"},
        {
            "identifiers": {"cio_id": theirs["person"]},
            "transactional_message_id": int(theirs["transactional"]),
        },
        {"primary": {"cio_id": theirs["person"]}, "secondary": {"id": "ours"}},
        {"primary": {"id": "ours"}, "secondary": {"cio_id": theirs["person"]}},
        {"device": {"id": theirs["token"], "platform": "android"}},
        {"type": "person", "action": "delete", "identifiers": {"cio_id": theirs["person"]}},
        {"type": "delivery", "identifiers": {"id": theirs["delivery"]}, "name": "opened"},
        {"type": "identify", "userId": theirs["person"], "traits": {"note": "ours"}},
        {"type": "track", "event": "User Deleted", "userId": theirs["person"]},
        {
            "type": "track",
            "event": "Report Delivery Event",
            "userId": "ours",
            "properties": {
                "deliveryId": theirs["delivery"],
                "metric": "opened",
                "recipient": theirs["token"],
            },
        },
    ]


def with_write_key(path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """A body as `path` wants it: the Data Pipelines API takes its key there too, and our own API no field that it doesn't know."""
    return {**body, "writeKey": key} if path.startswith("/v1/") else body


def calls(table, theirs: Theirs):
    """Every method of every path, with B's ids in it and in its body; the table's routes with a key."""
    for route in table:
        handlers = getattr(route.endpoint, "handlers", {})
        names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
        assert all(name in IN_PATHS or name in FREE for name in names), (
            f"{route.path}: say what stands for it here"
        )
        choices = [[theirs[kind] for kind in IN_PATHS[n]] if n in IN_PATHS else [FREE[n]] for n in names]
        for values in itertools.product(*choices):
            path = route.path
            for name, value in zip(names, values, strict=True):
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            for method in handlers:
                if method in {"GET", "HEAD", "DELETE", "OPTIONS"}:
                    yield method, path, None
                else:
                    yield from ((method, path, body) for body in bodies(theirs))
