"""What is changed on the command line is written into the audit log, as what is changed in the dashboard is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pushkeeper.cli.common import settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.store.admin.workspaces import Workspace
    from pushkeeper.wiring import Store

T = TypeVar("T")

_WHO = "command line"


async def noted(
    action: str, target: str, options: dict[str, Any], work: Callable[[Store], Awaitable[T]]
) -> T:
    """Do something to the installation, and write down whether it was done or refused."""
    from pushkeeper import wiring

    async with wiring.store(settings_of(options)) as store:
        return await _noted(store, action, target, None, work(store))


async def noted_in(
    name: str,
    action: str,
    target: str,
    options: dict[str, Any],
    work: Callable[[Store, Workspace], Awaitable[T]],
) -> T:
    """The same in the workspace of a name."""
    from pushkeeper import wiring
    from pushkeeper.store.admin import workspaces

    async with wiring.store(settings_of(options)) as store:
        found = await workspaces.by_name(store.database, name)
        return await _noted(store, action, target, found, work(store, found))


async def _noted(
    store: Store, action: str, target: str, workspace: Workspace | None, work: Awaitable[T]
) -> T:
    from pushkeeper.errors import PushkeeperError
    from pushkeeper.store.admin import audit
    from pushkeeper.store.admin.audit import Act, Outcome

    act = Act(
        user_id=None,
        user_name=_WHO,
        action=action,
        workspace_id=workspace.workspace_id if workspace else None,
        workspace=workspace.name if workspace else "",
        target=target,
    )
    line = await audit.begin(store.database, act)
    try:
        done = await work
    except PushkeeperError as error:
        await audit.end(store.database, line, Outcome.REFUSED, detail=error.message)
        raise
    await audit.end(store.database, line, Outcome.DONE)
    return done
