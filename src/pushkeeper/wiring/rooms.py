"""The rooms, each on an open store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.audience import Audiences
from pushkeeper.broadcasts import Broadcasts
from pushkeeper.census import Census
from pushkeeper.explanations import Explanations
from pushkeeper.exports import Exports
from pushkeeper.insights import Insights
from pushkeeper.jobs import Jobs
from pushkeeper.ledger import Ledger
from pushkeeper.registry import Registry
from pushkeeper.reporting import Reporting
from pushkeeper.routing import Routing
from pushkeeper.sending import Sending
from pushkeeper.snippets import Snippets
from pushkeeper.templates import Templates
from pushkeeper.triggers import Triggers
from pushkeeper.users import Users
from pushkeeper.webhooks import Webhooks
from pushkeeper.wiring.providers import CHECKS

if TYPE_CHECKING:
    from pushkeeper.wiring.opened import Store


def audiences(opened: Store) -> Audiences:
    return Audiences(opened.database)


def registry(opened: Store) -> Registry:
    return Registry(opened.database)


def sending(opened: Store) -> Sending:
    return Sending(opened.database, CHECKS)


def broadcasts(opened: Store) -> Broadcasts:
    return Broadcasts(opened.database, CHECKS, opened.renderer)


def explanations(opened: Store) -> Explanations:
    return Explanations(opened.database)


def insights(opened: Store) -> Insights:
    return Insights(opened.database)


def ledger(opened: Store) -> Ledger:
    return Ledger(opened.database)


def triggers(opened: Store) -> Triggers:
    return Triggers(opened.database, CHECKS)


def reporting(opened: Store) -> Reporting:
    return Reporting(opened.database)


def routing(opened: Store) -> Routing:
    return Routing(opened.database)


def users(opened: Store) -> Users:
    return Users(opened.database, device_key=opened.vault.key_for("known device"))


def census(opened: Store) -> Census:
    return Census(opened.database)


def exports(opened: Store) -> Exports:
    return Exports(opened.database, opened.vault)


def jobs(opened: Store) -> Jobs:
    return Jobs(opened.database)


def templates(opened: Store) -> Templates:
    return Templates(opened.database, CHECKS)


def snippets(opened: Store) -> Snippets:
    return Snippets(opened.database)


def webhooks(opened: Store) -> Webhooks:
    return Webhooks(opened.database, opened.vault)
