"""What earlier releases stored as the reason of a push, the number of a row of the decision table, is a code after migration 31."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest_asyncio

from pushkeeper.core.delivery.reason_codes import MEANINGS
from pushkeeper.core.model import WorkspaceId, message_day
from pushkeeper.observability.metrics import Metric
from pushkeeper.store import explanations
from pushkeeper.store.admin import diagnostics
from pushkeeper.store.broadcasts import progress
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database
from pushkeeper.store.delivery import routes, workers
from pushkeeper.store.messages import messages
from pushkeeper.store.messages import pages as delivery_pages
from pushkeeper.store.reports import insights, metrics
from support.reason_codes import FORMER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

WORKSPACE = WorkspaceId(1)
ACCEPTED = {"F1": "fcm", "P1": "apns"}
# A reason as it was stored, and its code; of some only the first word is left.
STORED = FORMER | {
    "malformed: apns 400 BadTopic": "malformed",
    "malformed: fcm 400 INVALID_ARGUMENT": "malformed",
    "suppressed": "suppressed",
    "template": "template",
}
SEED = """
insert into workspaces (name) values ('app');
insert into messages (message_id, workspace_id, kind, content, expires_at, created_at)
    select '{message}', 1, 'broadcast', '{{}}', now() + interval '1 day', now();
insert into broadcasts (workspace_id, message_id, state, planned_at) values (1, '{message}', 'planned', now());
insert into credentials (workspace_id, provider, kind, app, sealed) values (1, 'fcm', 'service_account', 'app', '');
insert into routes (workspace_id, credential_id) select workspace_id, credential_id from credentials;
insert into webhooks (workspace_id, name, endpoint, events, sealed) values (1, 'w', 'https://w.example/', '{{push_bounced}}', '');
"""
# Whether a text holds the number of a row: as a value, or at the start of one.
NUMBERED = re.compile(r'"[FPN][0-9]{1,2}[" :]')


@pytest_asyncio.fixture
async def former(database: Database) -> AsyncIterator[Database]:
    """A database as the release before migration 31 left it."""
    name = f"former_{secrets.token_hex(8)}"
    await database.owned.value(f"create database {name} template template0")
    made = await Database.open(urlsplit(database.url)._replace(path=f"/{name}").geturl(), connections=4)
    await made.owned.value(
        "create table migrations (number int primary key, name text not null, checksum text not null, "
        "applied_at timestamptz not null default now())"
    )
    for one in migrate.migrations():
        if one.number < 31:
            await made.owned.value(f"do $do$ begin execute $sql${one.sql}$sql$; end $do$")
            await made.owned.rows(
                "insert into migrations values ($1, $2, $3)", one.number, one.name, one.checksum
            )
    await migrate.make_partitions(made)
    yield made
    await made.close()
    await database.owned.value(f"drop database {name} with (force)")


async def seeded(former: Database) -> UUID:
    """Every reason that there was, wherever one was stored; the old triggers count the pushes."""
    message = messages.new_id()
    await former.owned.value(f"do $do$ begin {SEED.format(message=message)} end $do$")
    for number, reason in enumerate(STORED):
        provider = ACCEPTED.get(reason) or {"F": "fcm", "P": "apns", "N": "apns"}.get(reason[0])
        ending = "accepted" if reason in ACCEPTED else "failed"
        for device in (number, 1_000 + number):
            await former.owned.rows(
                "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason, provider) "
                "values ($1, $2, int8send($3), 1, 1, $4, $5, $6)",
                message_day(message),
                message,
                device,
                ending,
                reason,
                provider,
            )
        if reason in FORMER:
            await former.owned.rows(
                "insert into alerts (workspace_id, route_id, reason, alert) select 1, route_id, $1, 'look' from routes",
                reason,
            )
        await former.owned.rows(
            "insert into held_verdicts (message_id, device_id, workspace_id, route_id, person_id, generation, why, priority, "
            "attempt, first_attempt_at, reason, provider, provider_reason) "
            "select $1, int8send($2), 1, route_id, 1, 1, 'guard', 0, 0, now(), $3, 'fcm', '' from routes",
            message,
            number,
            reason,
        )
        label = reason.partition(":")[0]
        for worker in (0, 1):
            await former.owned.rows(
                "insert into worker_figures values "
                "(($1 || '0000000-0000-0000-0000-000000000000')::uuid, $2, true, 7) on conflict do nothing",
                str(worker),
                json.dumps(["pushkeeper_pushes_settled", ["fcm", ending, label], ""], separators=(",", ":")),
            )
        said = {"recipients": [{"device_id": "t", "failure_message": f"{reason} 410 Unregistered"}]}
        await former.owned.rows(
            "insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at) "
            "select 1, webhook_id, 'push', 'bounced', $1, 1, $2, now() from webhooks",
            message,
            said,
        )
    return message


async def test_whatever_held_a_number_holds_a_code(former: Database) -> None:
    message = await seeded(former)
    await migrate.migrate(former)
    tables = await former.owned.rows(
        "select c.oid::regclass::text as name from pg_class c "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
    )
    assert len(tables) > 40
    for table in tables:
        if table["name"] in {"pushes", "migrations"}:
            continue  # pushes are mapped where they are read
        rows = await former.owned.rows(f"select to_jsonb(t)::text as row from {table['name']} t")
        # A text within JSON within the row, as the series of figures are, has its quotes escaped.
        found = [row["row"] for row in rows if NUMBERED.search(row["row"].replace("\\", ""))]
        assert found == [], table["name"]
    assert await former.owned.value(
        "select count(*) from outbox where data::text like '%\"410 Unregistered%'"
    ) == len(FORMER)
    held = await former.owned.rows("select distinct reason from held_verdicts")
    assert {row["reason"] for row in held} == set(STORED.values())
    assert await explained(former, message) == set(STORED.values())


async def explained(database: Database, message: UUID) -> set[str]:
    rows = await database.rows(explanations.SQL["pushes"], WORKSPACE, message_day(message), message, [], 1)
    return {row["reason"] for row in rows}


async def test_what_is_read_says_the_code_of_each(former: Database) -> None:
    message = await seeded(former)
    await migrate.migrate(former)
    pushes = 2 * len(STORED)
    counted = await messages.answers(former, WORKSPACE, days=2)
    assert {one.reason for one in counted} == set(STORED.values())
    assert sum(one.pushes for one in counted) == pushes
    page = await delivery_pages.of_message(former, WORKSPACE, message, None, after=b"", limit=1_000)
    assert sorted(one.reason for one in page.rows) == sorted([*STORED.values(), *STORED.values()])
    tallies = await progress.tallies(former, WORKSPACE, message)
    assert {one.reason for one in tallies} == set(STORED.values())
    assert sum(one.pushes for one in tallies) == pushes
    reasons = await insights.reasons(former, WORKSPACE, 2)
    assert {one.reason for one in reasons} == set(STORED.values()) - {"fcm_accepted", "apns_accepted"}
    assert sum(one.pushes for one in await insights.pushes(former, WORKSPACE, 2)) == pushes
    assert {one.reason for one in await routes.alerts(former, WORKSPACE)} == set(FORMER.values())
    assert {one.reason for one in await diagnostics.alerts(former)} == set(FORMER.values())
    series = metrics.read(await workers.totals(former))
    settled = {one.labels[2]: one.value for one in series if one.metric is Metric.PUSHES}
    assert settled == dict.fromkeys(STORED.values(), 14.0)


async def test_a_worker_of_the_former_release_may_write_until_it_ends(former: Database) -> None:
    """What it writes after the migration is read, and counted, like what it wrote before."""
    await migrate.migrate(former)
    message = await seeded(former)
    counted = await messages.answers(former, WORKSPACE, days=2)
    assert {one.reason for one in counted} == set(STORED.values())
    assert {one.reason for one in await progress.tallies(former, WORKSPACE, message)} == set(STORED.values())
    assert {one.reason for one in await routes.alerts(former, WORKSPACE)} == set(FORMER.values())
    told = metrics.read(await workers.totals(former))
    assert all(one.labels[2] in MEANINGS for one in told if one.metric is Metric.PUSHES)


async def test_an_accepted_push_stores_no_code_and_has_one(former: Database) -> None:
    await migrate.migrate(former)
    for provider in ("apns", "fcm"):
        code = await former.value("select push_reason('accepted', $1::text, '')", provider)
        assert code == f"{provider}_accepted"
        assert code in MEANINGS
    assert await former.value("select push_reason('accepted', null, '')") == ""
