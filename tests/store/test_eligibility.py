"""Who is left out and why: the database's rule is Python's, whatever devices, people and messages are like."""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pushkeeper.core.broadcasts.forecast import SendRules
from pushkeeper.core.delivery.eligibility import SkipReason, skip_reason, skip_reasons
from pushkeeper.core.explain.trace import device_for
from pushkeeper.core.model import Content, DeviceId, PersonId, Platform
from pushkeeper.store import explanations
from pushkeeper.store.broadcasts import forecasts
from pushkeeper.store.broadcasts.planning import Targeting
from pushkeeper.store.delivery import queue
from pushkeeper.store.messages.messages import new_id
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PLATFORMS = [platform.value for platform in Platform]


@dataclass(frozen=True, kw_only=True)
class Phone:
    """What of a row of `devices` decides; `is_moved`: it was planned for somebody else."""

    platform: str
    status: str
    attributes: Mapping[str, Any]
    last_used_day: int
    is_moved: bool


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What of the rows of `messages` and `broadcasts` decides."""

    content: Content
    send_to_unsubscribed: bool
    skip_without_permission: bool
    one_per_phone: bool
    platforms: tuple[str, ...] | None

    @property
    def asks(self) -> SendRules:
        return SendRules(
            send_to_unsubscribed=self.send_to_unsubscribed,
            skip_without_permission=self.skip_without_permission,
            one_per_phone=self.one_per_phone,
        )


def rarely(value: object, usual: object) -> st.SearchStrategy[Any]:
    """What would hide all that follows it in the rule, were it as frequent as the rest."""
    return st.sampled_from([usual, usual, usual, usual, value])


def some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Attributes of which any may be missing."""
    return st.fixed_dictionaries({}, optional=values)


attributes_of_phones = some(
    push_enabled=st.sampled_from([True, False, "false", "FALSE", "true", "", None, 0, ["false"]]),
    phone_id=st.sampled_from(["one", "", None]),
    device_model=st.sampled_from(["Pixel 8", "", None]),
)
phones = st.builds(
    Phone,
    platform=st.sampled_from(PLATFORMS),
    status=st.sampled_from(["", "sent", "bounced"]) | rarely("suppressed", "sent"),
    attributes=attributes_of_phones,
    last_used_day=st.integers(0, 2),
    is_moved=rarely(value=True, usual=False),
)
preferences: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"channels": {"push": False}},
        {"channels": {"push": True}},
        {"channels": {"push": "false"}},
        {"channels": {}},
        '{"channels": {"push": false}}',
        '{"channels": {"email": false, "push": true}}',
        "no JSON",
        None,
    ]
)
people = st.tuples(rarely(value=True, usual=False), some(cio_subscription_preferences=preferences))
messages = st.builds(
    Sent,
    content=st.sampled_from(
        [
            Content(title="Hello"),
            Content(custom_payload={"ios": {"aps": {}}}),
            Content(custom_payload={"android": {}}),
        ]
    ),
    send_to_unsubscribed=st.booleans(),
    skip_without_permission=st.booleans(),
    one_per_phone=st.booleans(),
    platforms=st.none() | st.none() | st.lists(st.sampled_from(PLATFORMS), unique=True).map(tuple),
)


@dataclass
class World:
    """One person with devices, and a broadcast to them, as rows."""

    database: Database
    workspace: WorkspaceId
    message: UUID = field(default_factory=new_id)
    keys: list[DeviceId] = field(default_factory=list)

    async def made(self, person: tuple[bool, dict[str, Any]], several: list[Phone], sent: Sent) -> PersonId:
        """The rows; batches are planned for the person, or for another whose device it was."""
        await self._emptied()
        owned = self.database.owned
        unsubscribed, attributes = person
        someone: PersonId = await owned.value(
            "insert into people (workspace_id, unsubscribed, attributes) values ($1, $2, $3) returning person_id",
            self.workspace,
            unsubscribed,
            attributes,
        )
        # Who had those that have moved says the same: what is left out is not for that.
        another: PersonId = await owned.value(
            "insert into people (workspace_id, unsubscribed, attributes) values ($1, $2, $3) returning person_id",
            self.workspace,
            unsubscribed,
            attributes,
        )
        await owned.rows(
            "insert into messages (message_id, workspace_id, kind, content, send_to_unsubscribed, platforms, expires_at) "
            "values ($1, $2, 'broadcast', '{}', $3, $4, now() + interval '1 day')",
            self.message,
            self.workspace,
            sent.send_to_unsubscribed,
            sent.platforms,
        )
        await owned.rows(
            "insert into broadcasts (workspace_id, message_id, state, planned_at, skip_without_permission, one_per_phone) "
            "values ($1, $2, 'planned', now(), $3, $4)",
            self.workspace,
            self.message,
            sent.skip_without_permission,
            sent.one_per_phone,
        )
        self.keys = [DeviceId(secrets.token_bytes(16)) for _ in several]
        for key, phone in zip(self.keys, several, strict=True):
            await owned.rows(
                "insert into devices (device_id, workspace_id, person_id, token, platform, status, strikes, attributes, "
                "last_used) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                key,
                self.workspace,
                someone,
                key.hex(),
                phone.platform,
                phone.status,
                {"bounced": 1, "suppressed": 2}.get(phone.status, 0),
                dict(phone.attributes),
                NOW + timedelta(days=phone.last_used_day),
            )
        await owned.rows(
            "insert into batches (workspace_id, message_id, device_ids, person_ids) values ($1, $2, $3, $4)",
            self.workspace,
            self.message,
            self.keys,
            [another if phone.is_moved else someone for phone in several],
        )
        return someone

    async def _emptied(self) -> None:
        for table in ("batches", "broadcasts", "devices", "messages", "people"):
            await self.database.owned.rows(f"delete from {table} where workspace_id = $1", self.workspace)

    async def targets(self) -> dict[DeviceId, str | None]:
        """What a worker reads of each device of the batch."""
        rows = await self.database.rows(
            "select workspace_id, batch_id from batches where workspace_id = $1", self.workspace
        )
        found = await self.database.rows(
            queue.SQL["targets"], *([row[name] for row in rows] for name in ("workspace_id", "batch_id"))
        )
        return {row["device_id"]: row["skip"] for row in found}


@settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(person=people, several=st.lists(phones, min_size=6, max_size=12), sent=messages)
async def test_worker_preflight_and_explain_leave_out_the_same_for_the_same_reason(
    database: Database,
    tenant: WorkspaceId,
    person: tuple[bool, dict[str, Any]],
    several: list[Phone],
    sent: Sent,
) -> None:
    world = World(database, tenant)
    who = await world.made(person, several, sent)
    told = await explanations.person(database, tenant, who)
    assert told is not None
    targets = await world.targets()
    assert len(targets) == len(several)
    first: Counter[SkipReason | None] = Counter()
    for one in await explanations.devices(database, tenant, who, []):
        device = device_for(told.told, one.told)
        moved = several[world.keys.index(one.device_id)].is_moved
        by_python = next(skip_reasons(replace(device, is_theirs=not moved), sent), None)
        assert skip_reason(targets[one.device_id], device.platform, sent.content) == by_python, one
        # A preflight counts devices as they are, and those of all platforms.
        first[next(skip_reasons(device, sent_to_all(sent)), None)] += 1
    kinds = await forecasts.kinds(database, tenant, 0, Targeting(now=NOW), sent.asks, by_zone=False)
    counted: Counter[SkipReason | None] = Counter()
    for kind in kinds:
        counted[skip_reason(kind.skip, kind.platform, sent.content)] += kind.devices
    assert counted == first


def sent_to_all(sent: Sent) -> Sent:
    """The message, to devices of all platforms."""
    return dataclasses.replace(sent, platforms=None)


async def test_no_column_that_decides_is_forgotten(database: Database) -> None:
    """What a rule may depend on is generated above; a column that is added is looked at here."""
    rows = await database.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'public' "
        "and table_name in ('messages', 'broadcasts') and data_type = 'boolean'"
    )
    found = {(row["table_name"], row["column_name"]) for row in rows}
    assert found - DECIDE_NOTHING == {
        ("messages", "send_to_unsubscribed"),
        ("broadcasts", "skip_without_permission"),
        ("broadcasts", "one_per_phone"),
    }


# The fields of a message that don't select recipients.
DECIDE_NOTHING = {
    ("messages", "drafted"),
    ("messages", "retained"),
    ("broadcasts", "dry_run"),
    ("broadcasts", "listed"),
    ("broadcasts", "ignore_missing"),
    ("broadcasts", "send_to_unsubscribed"),  # its message has it as well, and that decides
}


async def test_the_rule_is_put_into_the_statements_that_ask(database: Database) -> None:
    """A function that is called for each device would run a query for each that looks for other tokens of its phone."""
    asked: dict[str, tuple[str, list[object]]] = {
        "worker": (queue.SQL["targets"], [[1], [1]]),
        "explain": (explanations.SQL["devices"], [1, None, [], 50]),
        "preflight": (
            forecasts.SQL["kinds"]
            .replace("{asks}", "false, true, true, null")
            .replace("{zone}", "'known'")
            .replace("{listed}", "")
            .replace("{condition}", "true"),
            [1, 0],
        ),
    }
    for name, (query, parameters) in asked.items():
        plan = await database.rows(f"explain (verbose, costs off) {query}", *parameters)
        text = "\n".join(row["QUERY PLAN"] for row in plan)
        assert "same_phone" in text or name == "explain", name
        assert "phone_id" in text, name
        assert not any(
            f"{called}(" in text for called in ("skip_reason", "later_tokens", "push_is_disabled")
        ), name
