"""Registration by one statement has the same result as the long way, whatever exists and whatever else is registered."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import IdKind, Platform, Token, device_id
from pushkeeper.services.people import People, PersonUpdate
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db.database import GONE_CHANNEL
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.devices.registration import MAX_ATTRIBUTES
from pushkeeper.store.people import ingest
from pushkeeper.store.people.people import PersonReference
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
FID = "cAbCdEfGhIjKlMnOpQrStU"
TOKENS = ("t1", "t2", "t3", FID, f"{FID}:APA91b-rest", f"{FID}:APA91b-other")
MANY = {f"a{number}": 1 for number in range(MAX_ATTRIBUTES)}
ATTRIBUTES: tuple[dict[str, Any], ...] = ({}, {"plan": "pro"}, {"plan": None}, MANY, {**MANY, "plan": "pro"})

registrations = st.tuples(
    st.sampled_from(["ann", "ben", "eve", "blocked", "null"]),
    st.sampled_from(TOKENS),
    st.sampled_from(ATTRIBUTES),
    st.booleans(),
)
# No two of a group may be the same device, or a token and its installation id, of which either may come first; the same
# person may be there twice.
groups = st.lists(
    st.lists(registrations, min_size=1, max_size=6, unique_by=lambda one: one[1][: len(FID)]), max_size=5
)


def call(workspace: WorkspaceId, said: tuple[Any, ...], at: datetime) -> PersonUpdate:
    person, token, attributes, must_register = said
    return PersonUpdate(
        workspace_id=workspace,
        naming=PersonReference(workspace_id=workspace, path=Identifier(IdentifierKind.ID, person)),
        registration=Registration(
            token=Token(token),
            platform=Platform.ANDROID,
            id_kind=IdKind.FID if token == FID else IdKind.TOKEN,
            last_used=at,
            attributes=attributes,
            must_register=must_register,
        ),
    )


async def state(database: Database, workspace: WorkspaceId) -> dict[str, Any]:
    """Everything that a registration can change, by names that are the same in every workspace."""
    queries = {
        "people": "select i.kind, i.key, i.value from people p join identifiers i using (person_id) "
        "where p.workspace_id = $1 order by 1, 2",
        "devices": "select d.token, i.key, d.id_kind, d.shared, d.attributes, d.dropped_attributes, d.status, "
        "d.strikes, d.last_used, d.app, d.environment "
        "from devices d join identifiers i using (person_id) where d.workspace_id = $1 order by 1, 2",
        "history": "select i.key, d.token, h.event, h.from_status, h.to_status, f.key "
        "from device_history h left join identifiers i on i.person_id = h.to_person_id "
        "left join identifiers f on f.person_id = h.from_person_id "
        "left join devices d on d.device_id = h.device_id "
        "where h.workspace_id = $1 order by 1, 2, 3, 4, 5, 6",
        "generations": "select d.token, count(*) filter (where h.generation = d.generation) "
        "from devices d join device_history h using (workspace_id, device_id) "
        "where d.workspace_id = $1 group by d.token, d.device_id order by 1, 2",
    }
    return {
        name: [tuple(row.values()) for row in await database.rows(query, workspace)]
        for name, query in queries.items()
    }


def answered(answers: list[object]) -> list[str]:
    return [str(answer) if isinstance(answer, Exception) else type(answer).__name__ for answer in answers]


@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(groups, st.sampled_from(["move", "share"]))
async def test_registering_at_once_comes_to_what_the_long_way_comes_to(
    database: Database, registry: People, groups: list[list[tuple[Any, ...]]], ownership: str
) -> None:
    short, long = [
        (await workspaces.create(database, secrets.token_hex(8)))[0].workspace_id for _ in range(2)
    ]
    for workspace in (short, long):
        await workspaces.choose(database, workspace, {"token_ownership": ownership})
        await registry.do(registry.suppressing(workspace, Identifier(IdentifierKind.ID, "blocked")))
    at = NOON
    for group in groups:
        at += timedelta(seconds=1)
        shorts = [call(short, said, at) for said in group]
        longs = [call(long, said, at) for said in group]
        calls = await ingest.combined(database).all(shorts)
        expected = await database.in_transaction(partial(ingest.write, calls=longs, hashes=database.hashes))
        assert answered(calls) == answered(expected)
    assert await state(database, short) == await state(database, long)


async def test_workers_are_notified_of_a_device_that_moves_in_one_statement(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    phone = (Token("t1"), device_id(tenant, Token("t1")).hex())
    async with database.listening([(GONE_CHANNEL, heard.put_nowait)]):
        for person in ("ann", "ann", "ben"):
            said = call(tenant, (person, phone[0].value, {}, False), NOON)
            await registry.do(said)
        assert await heard.get() == phone[1]
        assert heard.empty()
