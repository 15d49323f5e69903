"""Webhook bodies are those that Customer.io documents, for every event and every person."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest
import pytest_asyncio

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.messages.links import link_id
from pushkeeper.core.model import DeviceId, Platform, Secret, Token
from pushkeeper.services.people import People
from pushkeeper.store import webhooks
from pushkeeper.store.delivery import pushes
from pushkeeper.store.delivery.pushes import PushRow
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.messages import messages
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.reports import app_reports
from pushkeeper.store.reports.app_reports import AppMetric, Report
from pushkeeper.store.webhooks import POSTED_EVENTS, FailedAttempt, WebhookDefinition
from pushkeeper.worker.jobs.webhooks import posted_json
from support.webhook_schemas import SCHEMAS

if TYPE_CHECKING:
    from uuid import UUID

    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.webhooks import Webhook

TOKEN = "the-token-of-a-phone"
THEIRS = {event for event in POSTED_EVENTS if not event.startswith("device_")}
ENDINGS = ("accepted", "bounced", "failed", "expired", "unknown", "skipped")
PEOPLE = {"both": {"id": "ann", "email": "ann@example.com"}, "email": {"email": "b@example.com"}, "none": {}}


class Tenant:
    """A workspace with a webhook that asks for everything, and people of whom things are told."""

    def __init__(self, database: Database, workspace: WorkspaceId) -> None:
        self.database = database
        self.workspace = workspace
        self.registry = People(database)

    @staticmethod
    def tokens(known_by: dict[str, str]) -> list[Token]:
        """Of the phones that somebody who is known so has, one of each platform."""
        name = next(iter(known_by.values()), "nobody")
        return [Token(f"{TOKEN}-{name}-{platform}") for platform in Platform]

    async def person(self, known_by: dict[str, str]) -> PersonId:
        """Somebody with phones of three platforms."""
        who = [Identifier(IdentifierKind(kind), value) for kind, value in known_by.items()]
        path = who[0] if who else Identifier(IdentifierKind.ID, "nobody")
        naming = PersonReference(workspace_id=self.workspace, path=path, others=tuple(who[1:]))
        for platform, token in zip(Platform, self.tokens(known_by), strict=True):
            device = Registration(token=token, platform=platform, last_used=datetime.now(UTC))
            await self.registry.register(naming, device)
        person = (await self.registry.person(self.workspace, path)).person_id
        if not who:
            await self.database.rows(
                "delete from identifiers where workspace_id = $1 and person_id = $2", self.workspace, person
            )
        return person

    async def devices(self, person: PersonId) -> list[DeviceId]:
        rows = await self.database.rows(
            "select device_id from devices where workspace_id = $1 and person_id = $2 order by platform",
            self.workspace,
            person,
        )
        return [row["device_id"] for row in rows]

    async def message(self, kind: str, person: PersonId, *, drafted: bool = False) -> UUID:
        made = messages.new_id()
        await self.database.rows(
            "insert into messages (workspace_id, message_id, kind, content, person_id, drafted, expires_at) "
            "values ($1, $2, $3, $4, $5, $6, now() + interval '1 day')",
            self.workspace,
            made,
            kind,
            {"title": "Hello"},
            person if kind == "transactional" else None,
            drafted,
        )
        return made

    async def pushes(self, *rows: PushRow) -> None:
        await self.database.in_transaction(lambda connection: pushes.insert(connection, rows))

    def push(self, message: UUID, person: PersonId, device: DeviceId, ending: str, **said: Any) -> PushRow:
        return PushRow(
            message_id=message,
            device_id=device,
            workspace_id=self.workspace,
            person_id=person,
            generation=1,
            ending=ending,
            **{"reason": "fcm_invalid_argument_message", **said},
        )

    async def report(self, message: UUID, person: PersonId, metric: str, **said: Any) -> None:
        report = Report(
            workspace_id=self.workspace,
            message_id=message,
            person_id=person,
            authenticated=True,
            metric=AppMetric(metric),
            reported_at=datetime.now(UTC),
            **said,
        )
        await app_reports.insert(self.database, [report])

    async def posted(self) -> list[tuple[Webhook, dict[str, Any]]]:
        """What each webhook is told, as JSON on the wire."""
        found = []
        for one in await webhooks.of_workspace(self.database, self.workspace):
            for waiting in await webhooks.waiting(self.database, self.workspace, one.webhook_id, most=10_000):
                body = posted_json(
                    self.workspace, waiting, self.database.delivery_ids, with_content=one.with_content
                )
                found.append((one, json.loads(msgspec.json.encode(body))))
        return found

    async def only(self, metric: str) -> dict[str, Any]:
        """The data of the one thing of this metric that is told."""
        found: dict[str, Any]
        [found] = [body["data"] for _, body in await self.posted() if body["metric"] == metric]
        return found


@pytest_asyncio.fixture
async def tenant(database: Database, workspace: Any) -> Tenant:
    return Tenant(database, workspace[0].workspace_id)


async def hook(tenant: Tenant, **more: Any) -> None:
    wanted = WebhookDefinition(
        name="ours", endpoint="https://example.com/", events=tuple(sorted(POSTED_EVENTS)), **more
    )
    assert await webhooks.insert(tenant.database, tenant.workspace, wanted, Secret(b"sealed"), most=10)


async def everything(tenant: Tenant, known_by: dict[str, str], kind: str) -> None:
    """All events of a person: every outcome, of an existing device and of a deleted one."""
    person = await tenant.person(known_by)
    devices = [*await tenant.devices(person), DeviceId(b"\xff" * 16)]
    answers: list[dict[str, Any]] = [
        {"provider": "fcm", "provider_status": 400, "provider_reason": "INVALID_ARGUMENT", "detail": "why"},
        {"provider": "apns", "provider_reason": "timed out"},
        {"reason": "expired"},
    ]
    for ending, said in itertools.product(ENDINGS, answers):
        message = await tenant.message(kind, person)
        await tenant.pushes(*(tenant.push(message, person, device, ending, **said) for device in devices))
    for device in devices:
        message = await tenant.message(kind, person)
        await tenant.pushes(tenant.push(message, person, device, "skipped", reason="suppressed"))
    message = await tenant.message(kind, person)
    nobody = DeviceId(person.to_bytes(8, "big"))
    await tenant.pushes(tenant.push(message, person, nobody, "skipped", reason="no_device"))
    for metric, token in itertools.product(AppMetric, [*tenant.tokens(known_by), None]):
        await tenant.report(await tenant.message(kind, person), person, metric, token=token)
    if kind == "transactional":
        await tenant.message(kind, person, drafted=True)
    failed = FailedAttempt(
        workspace_id=tenant.workspace,
        message_id=await tenant.message(kind, person),
        person_id=person,
        reason="apns_service_unavailable",
        provider_status=503,
        provider_reason="ServiceUnavailable",
        detail=None,
    )
    await tenant.database.in_transaction(
        lambda connection: webhooks.report_attempts(connection, [failed, failed])
    )
    for change in (
        "unsubscribed = true",
        "unsubscribed = false",
        """attributes = '{"cio_subscription_preferences": {"topics": {"topic_1": true}}}'""",
        "attributes = '{}'",
    ):
        await tenant.database.rows(
            f"update people set {change} where workspace_id = $1 and person_id = $2", tenant.workspace, person
        )


@pytest.mark.parametrize("known_by", PEOPLE)
async def test_every_body_is_as_customer_io_documents_it(tenant: Tenant, known_by: str) -> None:
    for with_content, full_resolution in itertools.product((False, True), repeat=2):
        await hook(tenant, full_resolution=full_resolution, with_content=with_content)
    await everything(tenant, PEOPLE[known_by], "transactional")
    await everything(tenant, {}, "broadcast")
    seen: dict[int, set[str]] = {}
    for webhook, body in await tenant.posted():
        name = f"{body['object_type']}_{body['metric'].removeprefix('cio_')}"
        seen.setdefault(webhook.webhook_id, set()).add(name)
        if name in SCHEMAS:
            jsonschema_rs.validate(SCHEMAS[name], body)
            may_have = name in {"push_sent", "customer_subscription_preferences_changed"}
            assert ("content" in body["data"]) is (webhook.with_content and may_have)
    assert len(seen) == 4
    assert all(names & set(SCHEMAS) == THEIRS for names in seen.values())


async def test_a_failure_is_told_in_the_push_services_words_and_once_for_all_devices(tenant: Tenant) -> None:
    await hook(tenant)
    person = await tenant.person({"id": "ann"})
    message = await tenant.message("transactional", person)
    known = (await tenant.devices(person))[:2]
    said = {"provider": "apns", "provider_status": 400, "provider_reason": "BadPriority"}
    await tenant.pushes(
        *(
            tenant.push(message, person, device, "failed", **said)
            for device in (*known, DeviceId(b"\xff" * 16))
        )
    )
    failed = await tenant.only("failed")
    assert failed["failure_message"] == "400 BadPriority"
    told = failed["recipients"]
    assert [one["failure_message"] for one in told] == ["400 BadPriority"] * 2, "the third is gone"


async def test_a_click_is_told_with_its_link_by_the_number_that_metrics_give_it_and_its_action(
    tenant: Tenant,
) -> None:
    await hook(tenant)
    person = await tenant.person({"id": "ann"})
    message = await tenant.message("transactional", person)
    href = "https://example.com/täglich"
    await tenant.report(message, person, "clicked", href=href, action="later")
    data = await tenant.only("clicked")
    assert (data["href"], data["link_id"], data["action"]) == (href, link_id(href), "later")
    assert data["link_id"] > 0


async def test_people_without_an_id_are_posted_with_an_empty_customer_id(tenant: Tenant) -> None:
    await hook(tenant)
    person = await tenant.person({"email": "ann@example.com"})
    [device, *_] = await tenant.devices(person)
    await tenant.pushes(
        tenant.push(await tenant.message("transactional", person), person, device, "accepted")
    )
    sent = await tenant.only("sent")
    assert (sent["customer_id"], sent["identifiers"]["id"]) == ("", None)
