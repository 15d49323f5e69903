"""The line of a change: there before it, and done exactly where the change is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import Conflict
from pushkeeper.services.audit import Audit, AuditFilter, Outcome
from support.actors import BY

if TYPE_CHECKING:
    from pushkeeper.services.audit import AuditLine
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection


async def last(database: Database, tenant: WorkspaceId) -> AuditLine:
    [line] = await Audit(database).lines(AuditFilter(workspace_id=tenant, limit=1))
    return line


async def test_a_line_is_begun_before_the_change_and_done_after_it(
    database: Database, tenant: WorkspaceId
) -> None:
    async with Audit(database).change(BY, "thing.change", tenant, "one") as entry:
        assert (await last(database, tenant)).outcome is Outcome.BEGUN
        entry.changed("name", "a", "b")
        entry.changed("size", 3, 3)
        entry.changed("on", None, True)  # noqa: FBT003 - any value
        entry.detail = "and more"
    line = await last(database, tenant)
    assert (line.outcome, line.target) == (Outcome.DONE, "one")
    assert line.detail == "name: a → b; on: none → true; and more"
    assert (line.actor, line.user_name) == (ActorKind.COMMAND_LINE, "tests")


async def test_a_refusal_says_why_and_what_breaks_says_nothing(
    database: Database, tenant: WorkspaceId
) -> None:
    with pytest.raises(Conflict):
        async with Audit(database).change(BY, "thing.change", tenant):
            raise Conflict("thing: it is another")
    assert (await last(database, tenant)).detail == "thing: it is another"
    with pytest.raises(ZeroDivisionError):
        async with Audit(database).change(BY, "thing.change", tenant):
            raise ZeroDivisionError("a secret")
    line = await last(database, tenant)
    assert (line.outcome, line.detail) == (Outcome.FAILED, "")


async def test_what_its_transaction_has_committed_stays_done_whatever_fails_after_it(
    database: Database, tenant: WorkspaceId
) -> None:
    async def change() -> None:
        async with Audit(database).change(BY, "thing.change", tenant) as entry:
            await database.of(tenant).in_transaction(entry.done_with)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert (await last(database, tenant)).outcome is Outcome.DONE


async def test_what_is_rolled_back_is_not_done(database: Database, tenant: WorkspaceId) -> None:
    async def work(connection: Connection) -> None:
        await entry.done_with(connection)
        raise Conflict("thing: somebody was first")

    with pytest.raises(Conflict):
        async with Audit(database).change(BY, "thing.change", tenant) as entry:
            await database.of(tenant).in_transaction(work)
    assert (await last(database, tenant)).outcome is Outcome.REFUSED


async def test_long_values_are_cut_and_no_line_is_of_another_workspace(
    database: Database, tenant: WorkspaceId
) -> None:
    by = Actor(kind=ActorKind.JOB, name="guard")
    async with Audit(database).change(by, "thing.change", tenant) as entry:
        entry.changed("text", "x" * 1_000, "y" * 1_000)
    line = await last(database, tenant)
    assert len(line.detail) < 200
    assert await Audit(database).lines(AuditFilter(workspace_id=WorkspaceId(tenant + 10**9), limit=1)) == []
    assert await Audit(database).lines(AuditFilter(workspace_id=tenant, actor=ActorKind.KEY, limit=1)) == []
