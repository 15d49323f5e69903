"""All use cases, each built once for a process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.services.accounts import Users
from pushkeeper.services.api_keys import ApiKeys
from pushkeeper.services.audiences import Audiences
from pushkeeper.services.audit import Audit
from pushkeeper.services.broadcasts.service import Broadcasts
from pushkeeper.services.broadcasts.triggered import Triggers
from pushkeeper.services.bulk import BulkActions
from pushkeeper.services.credentials import Credentials
from pushkeeper.services.explanations import Explanations
from pushkeeper.services.exports.customerio import CustomerioExports
from pushkeeper.services.exports.service import Exports
from pushkeeper.services.imports.service import Imports
from pushkeeper.services.jobs import Jobs
from pushkeeper.services.listings import Listings
from pushkeeper.services.messages.snippets import Snippets
from pushkeeper.services.messages.templates import Templates
from pushkeeper.services.messages.transactional import TransactionalPushes
from pushkeeper.services.people import People
from pushkeeper.services.reports.deliveries import DeliveryReports
from pushkeeper.services.reports.insights import Insights
from pushkeeper.services.reports.reach import ReachReports
from pushkeeper.services.routes import Routes
from pushkeeper.services.sending import Sending
from pushkeeper.services.strikes import Strikes
from pushkeeper.services.webhooks import Webhooks
from pushkeeper.services.workspaces import Workspaces

if TYPE_CHECKING:
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the APIs, the dashboard, the command line and the worker call."""

    accounts: Users
    api_keys: ApiKeys
    audiences: Audiences
    audit: Audit
    bulk: BulkActions
    broadcasts: Broadcasts
    deliveries: DeliveryReports
    credentials: Credentials
    customerio_exports: CustomerioExports
    explanations: Explanations
    exports: Exports
    imports: Imports
    insights: Insights
    jobs: Jobs
    listings: Listings
    people: People
    reach: ReachReports
    routes: Routes
    sending: Sending
    snippets: Snippets
    strikes: Strikes
    templates: Templates
    transactional: TransactionalPushes
    triggered: Triggers
    webhooks: Webhooks
    workspaces: Workspaces
    database: Database
    vault: Vault

    async def drain(self) -> None:
        """Wait until all that callers handed over is committed, whether they still wait for it or not."""
        await asyncio.gather(self.people.drain(), self.transactional.drain(), self.deliveries.drain())

    @classmethod
    def on(cls, database: Database, vault: Vault, renderer: Renderer, checks: Checks) -> Services:
        """The use cases on a database; `checks` are what the providers of each platform hold against a content."""
        people = People(database, vault)
        return cls(
            accounts=Users(database, device_key=vault.key_for("known device")),
            api_keys=ApiKeys(database),
            audiences=Audiences(database),
            audit=Audit(database),
            bulk=BulkActions(database, people),
            broadcasts=Broadcasts(database, checks, renderer),
            deliveries=DeliveryReports(database),
            credentials=Credentials(database, vault),
            customerio_exports=CustomerioExports(database, vault),
            explanations=Explanations(database),
            exports=Exports(database),
            imports=Imports(database, vault),
            insights=Insights(database),
            jobs=Jobs(database),
            listings=Listings(database),
            people=people,
            reach=ReachReports(database),
            routes=Routes(database),
            sending=Sending(database),
            snippets=Snippets(database),
            strikes=Strikes(database),
            templates=Templates(database, checks),
            transactional=TransactionalPushes(database, checks, vault),
            triggered=Triggers(database, checks),
            webhooks=Webhooks(database, vault),
            workspaces=Workspaces(database),
            database=database,
            vault=vault,
        )
