"""Sends of many workspaces are committed together: what one of them cannot do is not the others' loss."""

import asyncio
import secrets

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content
from pushkeeper.errors import Forbidden
from pushkeeper.services.messages.transactional import Queued, TransactionalPush, TransactionalPushes
from pushkeeper.store.admin import workspaces
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.reports import metrics


def hello(workspace_id, number):
    path = Identifier(IdentifierKind.ID, f"p{number}")
    return TransactionalPush(
        naming=PersonReference(workspace_id=workspace_id, path=path), content=Content(title="Hello")
    )


async def test_a_workspace_that_cannot_send_does_not_break_up_the_commits_of_one_that_can(sender):
    database, able = sender.database, sender.workspace_id
    unable = (await workspaces.create(database, secrets.token_hex(8)))[0].workspace_id
    sending = TransactionalPushes(database, {})
    answers = await asyncio.gather(
        *(sending.accept(hello(workspace, number)) for number in range(20) for workspace in (unable, able)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Forbidden, Queued] * 20
    commits = await database.value(
        "select count(distinct xmin::text) from messages where workspace_id = $1", able
    )
    assert commits < 10, "they share commits: broken up, each of the 20 has one of its own"
    assert not await database.value("select count(*) from people where workspace_id = $1", unable)


async def test_a_draft_is_not_due_until_it_is_sent(sender):
    async def waiting():
        names = await metrics.workspace_names(sender.database)
        lines = await metrics.queue(sender.database)
        return [
            (line.state, line.oldest_due_s is None)
            for line in lines
            if line.workspace == names[sender.workspace_id]
        ]

    device = {"device": {"id": "t1", "platform": "android"}}
    await sender.track("PUT", "/api/v1/customers/42/devices", device)
    push = {"identifiers": {"id": "42"}, "title": "Hello", "message": "text", "queue_draft": True}
    _, draft = await sender.app("POST", "/v1/send/push", push)
    assert await waiting() == [("parked", True)]
    status, answer = await sender.app("POST", f"/api/v1/drafts/{draft['delivery_id']}/send", {})
    assert status == 200, answer
    assert await waiting() == [("due", False)]
