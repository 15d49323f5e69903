"""Deliveries: who is reachable, and the outcome of a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.delivery_id import read_unsigned
from pushkeeper.errors import NotFound
from pushkeeper.store.db.group_commit import Combiner
from pushkeeper.store.db.turns import Keys
from pushkeeper.store.devices import counts
from pushkeeper.store.messages import messages, template_series
from pushkeeper.store.messages.messages import DeliveriesFilter, DeliveryRecord, PushRecord
from pushkeeper.store.messages.messages import Page as DeliveriesPage
from pushkeeper.store.people import activities
from pushkeeper.store.people.activities import TYPES as ACTIVITY_TYPES
from pushkeeper.store.people.activities import ActivitiesPage, Activity
from pushkeeper.store.reports import app_reports
from pushkeeper.store.reports.app_reports import AppMetric, Report, Reported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import PersonId, Token, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.devices.counts import Count
    from pushkeeper.store.messages.messages import AnswerCount, ListedDelivery, Page
    from pushkeeper.store.messages.template_series import Period
    from pushkeeper.store.messages.templates import Template
    from pushkeeper.store.people.activities import Feed

__all__ = [
    "ACTIVITY_TYPES",
    "NO_DEVICE",
    "PERIODS",
    "ActivitiesPage",
    "Activity",
    "AppMetric",
    "AppReport",
    "DeliveriesFilter",
    "DeliveriesPage",
    "DeliveryRecord",
    "DeliveryReports",
    "Metric",
    "PushRecord",
    "Reported",
    "failure_message",
    "metrics",
]


class Metric(StrEnum):
    """The states of a delivery, in Customer.io's words."""

    CREATED = "created"  # it was accepted by our API
    ATTEMPTED = "attempted"  # at least one request was made to a push service
    SENT = "sent"  # a push service accepted it for at least one device
    BOUNCED = "bounced"  # a push service refused at least one device
    DROPPED = "dropped"  # a device was left out: suppressed, moved or deleted
    FAILED = "failed"  # it could not be sent to a device, for a fault that is not the device's
    UNDELIVERABLE = "undeliverable"  # there was no device to send to
    DRAFTED = "drafted"  # it waits until somebody sends it
    DELIVERED = "delivered"  # the app on a device says that it came
    OPENED = "opened"  # the app says that somebody opened it
    CLICKED = "clicked"  # the app says that somebody followed a link in it
    CONVERTED = "converted"  # the app says that somebody did what it was for


NO_DEVICE = "no_device"  # why a push to nobody was not sent
_OF_ENDING = {
    "accepted": Metric.SENT,
    "bounced": Metric.BOUNCED,
    "skipped": Metric.DROPPED,
    "failed": Metric.FAILED,
    "expired": Metric.FAILED,
    "unknown": Metric.FAILED,
}


# How far back a series may go, in periods of each length.
PERIODS = {"hours": 24, "days": 45, "weeks": 12, "months": 121}
_PERIOD: dict[str, Period] = {"hours": "hour", "days": "day", "weeks": "week", "months": "month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReport:
    """An app's report about a push.

    Attributes:
        delivery: the text that came with the push.
        workspace_id: of the key it came with; None without a key.
        by_server: the key is no app's, so that it may report any delivery of the workspace.
        token: of the reporting device.
        href: the link that was followed.
        action: names the button that was used.
    """

    delivery: str
    metric: AppMetric
    reported_at: datetime
    workspace_id: WorkspaceId | None = None
    by_server: bool = False
    token: Token | None = None
    href: str | None = None
    action: str | None = None


class DeliveryReports:
    """Reads deliveries, and writes what apps report about them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reports: Combiner[Report, None] = Combiner(
            self._commit, lambda report: Keys(owner=report.workspace_id), name="reporting"
        )

    async def deliveries_of(self, workspace: WorkspaceId, person: PersonId, page: Page) -> list[DeliveryId]:
        """The deliveries of a person, and of those who were merged into them, the newest message first."""
        return await messages.of_person(self._database, workspace, person, page)

    async def deliveries(self, workspace: WorkspaceId, wanted: DeliveriesFilter) -> list[ListedDelivery]:
        """The deliveries of a workspace, the newest message first."""
        return await messages.of_workspace(self._database, workspace, wanted)

    async def activities_of(
        self, workspace: WorkspaceId, person: PersonId, asked: ActivitiesPage
    ) -> list[Activity]:
        """What a person did and what happened to them, the newest first."""
        return await activities.of_person(self._database, workspace, person, asked)

    async def feed(self, workspace: WorkspaceId, asked: ActivitiesPage, *, deleted: bool) -> Feed:
        """What happened to the people of a workspace, newest first; `deleted` includes those of deleted people."""
        return await activities.of_workspace(self._database, workspace, asked, deleted=deleted)

    async def report(self, report: AppReport) -> DeliveryId | None:
        """Write an app's report, and return the delivery; None if it can't be authenticated.

        Reports of unsent deliveries, and repeated ones, change nothing. An ID of release 0.1 needs the token of a
        device that the message went to.
        """
        delivery = self._database.delivery_ids.read(report.delivery)
        authenticated = delivery is not None or report.by_server
        if delivery is None and (report.token is not None or report.by_server):
            delivery = await self._of_release_0_1(report)
        if delivery is None or report.workspace_id not in {None, delivery.workspace_id}:
            return None
        await self._reports(
            Report(
                workspace_id=delivery.workspace_id,
                message_id=delivery.message_id,
                person_id=delivery.person_id,
                authenticated=authenticated,
                metric=report.metric,
                reported_at=report.reported_at,
                token=report.token,
                href=report.href,
                action=report.action,
            )
        )
        return delivery

    async def _of_release_0_1(self, report: AppReport) -> DeliveryId | None:
        former = read_unsigned(report.delivery)
        sent = None if former is None else await app_reports.sender(self._database, former.message_id)
        if former is None or sent is None:
            return None
        return self._database.delivery_ids.of(sent[0], former.message_id, former.person_id)

    async def known_by_recipient(self, text: str) -> DeliveryId | None:
        """The delivery of an id that only its recipient can know; None of any other text.

        Such is one of release 0.1 too where its message went to nobody else.
        """
        if (found := self._database.delivery_ids.read(text)) is not None:
            return found
        former = read_unsigned(text)
        sent = None if former is None else await app_reports.sender(self._database, former.message_id)
        if former is None or sent is None or sent[1] != former.person_id:
            return None
        return self._database.delivery_ids.of(sent[0], former.message_id, former.person_id)

    async def reported(self, delivery_id: DeliveryId) -> list[Reported]:
        """What the app reported about a delivery, by metric."""
        return await app_reports.firsts(self._database, delivery_id)

    async def drain(self) -> None:
        """Wait until all that was reported is committed."""
        await self._reports.drain()

    async def _commit(self, told: Sequence[Report]) -> list[None]:
        await app_reports.insert(self._database, told)
        return [None] * len(told)

    async def device_counts(self, workspace: WorkspaceId) -> list[Count]:
        """Devices by platform and last status."""
        return await counts.counts(self._database, workspace)

    async def answers(self, workspace: WorkspaceId, *, days: int = 30) -> list[AnswerCount]:
        """Outcomes at the push services within the last days."""
        return await messages.answers(self._database, workspace, days=days)

    async def series(
        self, workspace: WorkspaceId, template: Template, period: str, steps: int
    ) -> dict[Metric, list[int]]:
        """Each metric of a template's deliveries in the last so many periods (of PERIODS), the oldest first."""
        found = await template_series.of_template(self._database, workspace, template, _PERIOD[period], steps)
        return {metric: found.get(metric, [0] * steps) for metric in Metric}

    async def link_series(
        self, workspace: WorkspaceId, template: Template, period: str, steps: int, *, unique: bool = False
    ) -> dict[str, list[int]]:
        """Clicks on each link in a template's deliveries, by period; with `unique`, only each person's first click."""
        return await template_series.links(
            self._database, workspace, template, _PERIOD[period], steps, unique=unique
        )

    async def delivery(self, workspace: WorkspaceId, delivery_id: DeliveryId) -> DeliveryRecord:
        """A message for one person.

        Raises:
            NotFound: this workspace sent no such message.
        """
        facts = await messages.delivery(self._database, workspace, delivery_id)
        if facts is None:
            raise NotFound("Message not found in this workspace")
        return facts


def metrics(delivery: DeliveryRecord, reported: Sequence[Reported] = ()) -> dict[Metric, datetime]:
    """When each metric first happened to this delivery, including reports of the app; others are missing."""
    found = {Metric.CREATED: delivery.created_at}
    for push in delivery.pushes:
        if push.attempts:
            found.setdefault(Metric.ATTEMPTED, push.settled_at)
        metric = Metric.UNDELIVERABLE if push.reason == NO_DEVICE else _OF_ENDING[push.ending]
        found.setdefault(metric, push.settled_at)
    if delivery.drafted:
        found[Metric.DRAFTED] = delivery.created_at
    return {**found, **{Metric(one.metric.value): one.at for one in reported}}


def failure_message(delivery: DeliveryRecord) -> str | None:
    """Why the delivery reached no device, or not all of them; None when there is nothing to say."""
    if delivery.held_reason is not None:
        return f"on hold: {delivery.held_reason}"
    for push in delivery.pushes:
        if push.reason == NO_DEVICE:
            return "the person has no device"
        if push.ending != "accepted":
            answer = " ".join(filter(None, [push.ending, push.reason, push.provider_reason]))
            return f"{answer}: {push.detail}" if push.detail else answer
    return None
