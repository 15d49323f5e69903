"""The rooms, each on an open store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.services.accounts import Users
from pushkeeper.services.audiences import Audiences
from pushkeeper.services.broadcasts.service import Broadcasts
from pushkeeper.services.broadcasts.triggered import Triggers
from pushkeeper.services.explanations import Explanations
from pushkeeper.services.exports import Exports
from pushkeeper.services.jobs import Jobs
from pushkeeper.services.messages.snippets import Snippets
from pushkeeper.services.messages.templates import Templates
from pushkeeper.services.messages.transactional import Sending
from pushkeeper.services.people import Registry
from pushkeeper.services.reports.deliveries import Reporting
from pushkeeper.services.reports.insights import Insights
from pushkeeper.services.reports.reach import Census
from pushkeeper.services.routes import Routing
from pushkeeper.services.strikes import Ledger
from pushkeeper.services.webhooks import Webhooks
from pushkeeper.wiring.providers import CHECKS

if TYPE_CHECKING:
    from pushkeeper.wiring.store import Store


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
