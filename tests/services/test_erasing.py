"""Erasing a person, through the door: nothing of them is left in any table, and nothing of anybody else is touched."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import PersonId, Token, device_id
from pushkeeper.simulator.script import Step
from pushkeeper.store.admin import audit
from pushkeeper.store.admin.audit import NewAuditLine, Outcome
from support.engine import eventually
from support.personal import PLACES, Verdict, columns_of

if TYPE_CHECKING:
    from support.engine import Tenant

EVENTS = [
    "push_sent",
    "push_clicked",
    "push_delivered",
    "device_registered",
    "device_deleted",
    "customer_unsubscribed",
]
TALLIES = ("push_days", "broadcast_tallies", "broadcast_minutes", "bounce_days", "route_hours")


class Marked:
    """A person with a mark of their own in whatever can be said of them."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.mark = f"m{secrets.token_hex(8)}"
        self.id, self.email = self.mark, f"{self.mark}@person.example"
        self.former, self.anonymous = f"former-{self.mark}", f"anonymous-{self.mark}"
        self.path = f"/api/v1/customers/{self.mark}"
        [self.phone, self.tablet, self.old] = tenant.mint("android", 3)
        self.person = self.merged = PersonId(0)

    @property
    def tokens(self) -> list[str]:
        return [self.phone, self.tablet, self.old]

    @property
    def marks(self) -> list[str]:
        """All texts by which a row would reveal them."""
        keys = [device_id(self.tenant.workspace_id, Token(token)).hex() for token in self.tokens]
        people = [cio_id(person) for person in (self.person, self.merged)]
        return [
            self.mark,
            *self.tokens,
            *keys,
            *people,
            *(person.to_bytes(8).hex() for person in (self.person, self.merged)),
        ]

    async def track(self, method: str, path: str, body: Any = None) -> None:
        await self.tenant.call(method, path, body, track=True)

    async def live(self) -> None:
        """Do, and have done to them, all that leaves something behind."""
        of = {"note": self.mark}
        await self.track(
            "POST",
            "/api/v1/events",
            {"name": f"before {self.mark}", "anonymous_id": self.anonymous, "data": of},
        )
        await self.track(
            "PUT", self.path, {"email": self.email, "plan": self.mark, "anonymous_id": self.anonymous}
        )
        for claiming, email in (("stranger", self.email), (self.id, f"other-{self.email}")):
            await self.track("PUT", f"/api/v1/customers/{claiming}", {"email": email})
        await self.track(
            "PUT",
            f"{self.path}/devices",
            {"device": {"id": self.phone, "platform": "android", "attributes": of}},
        )
        await self.track(
            "PUT", f"{self.path}/devices", {"device": {"id": self.tablet, "platform": "android"}}
        )
        await self.track("POST", f"{self.path}/events", {"name": f"bought {self.mark}", "data": of})
        former = f"/api/v1/customers/{self.former}"
        await self.track("PUT", f"{former}/devices", {"device": {"id": self.old, "platform": "android"}})
        await self.tenant.push(self.former, title=f"To {self.mark}")
        await self.pushed(1)
        self.merged = await self.number(self.former)
        await self.track(
            "POST", "/api/v1/merge_customers", {"primary": {"id": self.id}, "secondary": {"id": self.former}}
        )
        self.person = await self.number(self.id)
        thing = {"object_type_id": "1", "object_id": "acme"}
        await self.track(
            "POST",
            "/api/v2/entity",
            {
                "type": "person",
                "action": "identify",
                "identifiers": {"email": self.email},
                "attributes": of,
                "cio_relationships": [{"identifiers": thing}],
            },
        )
        segment = (await self.tenant.call("POST", "/v1/segments", {"segment": {"name": "list"}}))["segment"][
            "id"
        ]
        await self.track("POST", f"/api/v1/segments/{segment}/add_customers", {"ids": [self.id]})
        delivery = await self.tenant.push(self.id, title=f"Dear {self.mark}", message_data=of)
        await self.pushed(4)
        await self.tenant.call(
            "POST",
            "/api/v1/metrics",
            {
                "delivery_id": delivery,
                "metric": "clicked",
                "recipient": self.phone,
                "href": f"https://x.example/{self.mark}",
                "action": self.mark,
            },
        )
        await self.tenant.push(self.id, title=f"Draft {self.mark}", queue_draft=True)

    async def number(self, identifier: str) -> PersonId:
        row = await self.tenant.database.value(
            "select person_id from identifiers where workspace_id = $1 and key = $2",
            self.tenant.workspace_id,
            identifier,
        )
        return PersonId(row)

    async def pushed(self, count: int) -> None:
        """Until so many pushes went to their devices."""

        async def ask() -> bool:
            return sum(len(self.tenant.asked(token)) for token in self.tokens) >= count

        await eventually(ask)


async def dump(tenant: Tenant) -> dict[str, list[dict[str, str]]]:
    """All of the database, by table: each row as the texts of its columns. What is not of a workspace is there too."""
    tables = await tenant.database.owned.rows(
        "select relname as name from pg_class where relkind in ('r', 'p') and not relispartition "
        "and relnamespace = 'public'::regnamespace"
    )
    found = {}
    for table in tables:
        rows = await tenant.database.owned.rows(f"select to_jsonb(t) as row from {table['name']} t")
        found[table["name"]] = [
            {
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in row["row"].items()
            }
            for row in rows
            if row["row"].get("workspace_id") in {None, tenant.workspace_id}
        ]
    return found


def where(found: dict[str, list[dict[str, str]]], who: Marked) -> set[tuple[str, str]]:
    """The columns that hold anything of somebody; of numbers, their very own."""
    numbers = {str(who.person), str(who.merged)}
    return {
        (table, column)
        for table, rows in found.items()
        for row in rows
        for column, value in row.items()
        if (table, column) not in PLACES
        and (
            any(mark in value for mark in who.marks)
            or (
                ("person" in column or column in {"former_id", "surrogates"})
                and numbers & set(value.strip("[]").split(", "))
            )
        )
    }


def lines(found: dict[str, list[dict[str, str]]], of: Marked, without: Marked) -> list[str]:
    """The texts that identify one person and not the other."""
    rows = [json.dumps([table, row], sort_keys=True) for table, rows in found.items() for row in rows]
    return sorted(r for r in rows if any(m in r for m in of.marks) and not any(m in r for m in without.marks))


async def figures(tenant: Tenant) -> Any:
    """What is counted of the fleet."""
    tallies = {
        table: sorted(
            str(dict(row))
            for row in await tenant.database.owned.rows(
                f"select * from {table} where workspace_id = $1", tenant.workspace_id
            )
        )
        for table in TALLIES
    }
    endings = await tenant.database.rows(
        "select message_id, ending, reason, count(*), count(distinct device_id) as devices, count(distinct person_id) as people "
        "from pushes where workspace_id = $1 group by 1, 2, 3 order by 1, 2, 3",
        tenant.workspace_id,
    )
    reports = await tenant.database.rows(
        "select metric, count(*) from reports where workspace_id = $1 group by 1 order by 1",
        tenant.workspace_id,
    )
    asked = [
        await tenant.call("GET", path)
        for path in (
            "/api/v1/stats/pushes",
            "/api/v1/reports/pushes",
            "/api/v1/reports/reasons",
            "/api/v1/reports/broadcasts",
        )
    ]
    return tallies, [dict(row) for row in endings], [dict(row) for row in reports], asked


async def send_to(tenant: Tenant, people: list[Marked]) -> None:
    """What goes to both: broadcasts by data and by devices, an object, exports, what is held, logged and queued."""

    content = {"title": "News", "message": "for all"}
    made = [
        {"per_user_data": [{"id": one.id, "data": {"own": one.mark}} for one in people]},
        {"devices": [one.phone for one in people]},
    ]
    for body in made:
        sent = (
            await tenant.call(
                "POST", "/api/v1/broadcasts", {"content": content, "start": True, **body}, expect=201
            )
        )["broadcast"]
        assert sent["state"] != "failed"
    await tenant.planned()
    await eventually(lambda: nothing_claimed(tenant))
    # Drafts and what is put off have not gone yet.
    await tenant.call(
        "POST",
        "/api/v1/broadcasts",
        {"content": content, "devices": [one.tablet for one in people]},
        expect=201,
    )
    thing = {"object_type_id": "1", "object_id": "acme"}
    await tenant.call(
        "POST",
        "/api/v2/entity",
        {
            "type": "object",
            "action": "identify",
            "identifiers": thing,
            "cio_relationships": [
                {"identifiers": {"id": one.id}, "relationship_attributes": {"role": one.mark}}
                for one in people
            ],
        },
        track=True,
    )
    everybody: dict[str, Any] = {"filters": {"and": []}}
    for kind, asked in (
        ("customers", everybody),
        ("customers", {**everybody, "attributes": ["plan", "unsubscribed"]}),
        ("deliveries", {"attributes": ["plan"]}),
    ):
        number = (await tenant.call("POST", f"/v1/exports/{kind}", asked))["export"]["id"]
        await eventually(lambda number=number: is_done(tenant, number))


async def is_done(tenant: Tenant, export: int) -> bool:
    return bool((await tenant.call("GET", f"/v1/exports/{export}"))["export"]["status"] == "done")


async def nothing_claimed(tenant: Tenant) -> bool:
    return not [
        one
        for one in await tenant.queued()
        if one["due_in_s"] <= 0 and one["attempt"] == 0 and one["claimed"]
    ]


async def behind_the_door(tenant: Tenant, one: Marked) -> None:
    """What takes an outage, a wave of refusals or a user of the dashboard to come about."""
    ids = [device_id(tenant.workspace_id, Token(token)) for token in one.tokens]
    message = await tenant.database.value(
        "select message_id from messages where workspace_id = $1 and kind = 'broadcast' order by 1 limit 1",
        tenant.workspace_id,
    )
    route = await tenant.database.value(
        "select route_id from routes where workspace_id = $1 limit 1", tenant.workspace_id
    )
    await tenant.database.rows(
        "insert into held_verdicts (workspace_id, message_id, device_id, route_id, person_id, generation, why, priority, attempt, "
        "first_attempt_at, reason, provider, provider_reason, detail) "
        "values ($1, $2, $3, $4, $5, 1, 'guard', 0, 0, now(), 'x', 'fcm', 'X', $6)",
        tenant.workspace_id,
        message,
        ids[1],
        route,
        one.person,
        one.mark,
    )
    await tenant.database.rows(
        "insert into batches (workspace_id, message_id, parked, device_ids, person_ids) values ($1, $2, true, $3, $4)",
        tenant.workspace_id,
        message,
        ids[:2],
        [one.person, one.person],
    )
    await tenant.database.rows(
        "update pushes set detail = $3 where workspace_id = $1 and person_id = $2",
        tenant.workspace_id,
        one.person,
        one.mark,
    )
    await tenant.database.rows(
        "insert into anonymous_devices (workspace_id, device_id, anonymous_id, registration) values ($1, $2, $3, $4)",
        tenant.workspace_id,
        device_id(tenant.workspace_id, Token(f"waits-{one.mark}")),
        one.anonymous,
        {"token": f"waits-{one.mark}"},
    )
    for table, key in (("broadcast_people", f"{message} {one.person}"), ("devices", ids[0].hex())):
        await tenant.database.rows(
            "insert into unreadable_rows (workspace_id, table_name, key, reason) values ($1, $2, $3, 'TypeError')",
            tenant.workspace_id,
            table,
            key,
        )
    for target in (cio_id(one.person), one.id):
        act = NewAuditLine(
            user_id=None,
            user_name="command line",
            action="test",
            workspace_id=tenant.workspace_id,
            target=target,
        )
        line = await audit.begin(tenant.database, act)
        await audit.end(tenant.database, line, Outcome.DONE, detail=f"to {one.email} at {ids[0].hex()}")


async def receipt(tenant: Tenant, number: int) -> Any:
    return (await tenant.call("GET", f"/api/v1/erasures/{number}"))["erasure"]


async def done(tenant: Tenant, number: int) -> Any:
    """The receipt, once all is erased."""

    async def ask() -> Any:
        found = await receipt(tenant, number)
        assert found["failure"] is None, found
        return found if found["status"] == "done" else None

    return await eventually(ask)


async def test_nothing_is_left_of_a_person_and_nothing_of_others_is_touched(
    tenant: Tenant, closed_port: int
) -> None:
    hook = {"name": "deaf", "endpoint": f"http://127.0.0.1:{closed_port}/", "events": EVENTS}
    made = await tenant.call("POST", "/v1/reporting_webhooks", hook)
    # Numbers that are nothing else's.
    await tenant.database.owned.value(
        "select setval('people_person_id_seq', 7e11::bigint + (random() * 1e9)::bigint)"
    )
    x, y = Marked(tenant), Marked(tenant)
    for one in (x, y):
        await one.live()
    await send_to(tenant, [x, y])
    for one in (x, y):
        await behind_the_door(tenant, one)
    before = await dump(tenant)
    personal = columns_of(Verdict.DELETED) | columns_of(Verdict.CHANGED)
    held = where(before, x)
    assert held <= personal | columns_of(Verdict.AUTHORED), "columns that hold somebody against their verdict"
    told_of = {table for table, _ in held}
    assert {table for table, _ in personal} - told_of <= {"erasures", "webhook_calls"}, (
        "what is not filled is not shown"
    )
    counted = await figures(tenant)
    others = lines(before, y, x)

    await tenant.call("PUT", f"/v1/reporting_webhooks/{made['id']}", {**hook, "disabled": True})
    answer = await tenant.call("POST", f"{x.path}/erase", expect=202)
    assert answer["receipt"].endswith(f"/api/v1/erasures/{answer['erasure']['id']}")
    found = await done(tenant, answer["erasure"]["id"])

    after = await dump(tenant)
    assert where(after, x) == set()
    assert set(others) <= set(lines(after, y, x))
    assert where(after, y) == where(before, y)
    assert await figures(tenant) == counted
    assert found["counts"].keys() >= {
        "people",
        "devices",
        "messages",
        "broadcast_recipients",
        "broadcast_devices",
        "pushes",
        "reports",
        "device_history",
        "events",
        "notes",
        "export_rows",
        "batches",
        "held_verdicts",
        "anonymous_devices",
        "audit",
        "webhook_events",
    }
    [rows] = [row for row in after["erasures"] if row["erasure_id"] == str(found["id"])]
    assert all(
        rows[name] == "null"
        for name in ("person_ids", "surrogates", "device_ids", "anonymous_ids", "names", "nonce")
    )


async def test_what_is_on_its_way_or_waits_for_its_hour_ends_without_leaving_anything(tenant: Tenant) -> None:
    x = Marked(tenant)
    await x.track("PUT", f"{x.path}/devices", {"device": {"id": x.phone, "platform": "android"}})
    x.person = x.merged = await x.number(x.id)
    tenant.simulator.world.script(x.phone, [Step(delay_ms=3_000)])
    await tenant.push(x.id, title=f"Now {x.mark}")
    await tenant.push(x.id, title=f"Tomorrow {x.mark}", send_at=int(time.time()) + 86_400)
    await x.pushed(1)
    await x.track("DELETE", x.path)
    [begun] = (await tenant.call("GET", f"/api/v1/erasures?identifier={x.id}"))["erasures"]
    # The next person with the identifier is somebody else.
    await x.track("PUT", x.path, {"plan": "new"})
    [other] = tenant.mint("android")
    await tenant.register(x.id, other, "android")

    found = await done(tenant, begun["id"])
    assert found["counts"]["batches"] >= 1
    after = await dump(tenant)
    marked = where(after, x)
    assert {table for table, _ in marked} == {"identifiers"}, "but for who came since"
    [sent] = await tenant.pushes()
    assert sent["ending"] in {"accepted", "skipped"}
    assert sent["person_id"] != x.person
    assert await tenant.status(other) == ""
    [batch] = await tenant.database.rows(
        "select person_id from batches where workspace_id = $1", tenant.workspace_id
    )
    assert batch["person_id"] not in {x.person, await x.number(x.id)}, "tomorrow it reaches nobody"
