"""What all commands that call the services share: opening them, and the actor of the operating system's user."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any, TypeVar

from pushkeeper.cli.common import settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.services import Services

T = TypeVar("T")


async def with_services(
    options: dict[str, Any], work: Callable[[Services], Awaitable[T]], *, creates: bool = False
) -> T:
    """Do something with the services of the installation that these options name.

    Raises:
        Misconfigured: there is no database in the data folder, and this command does not create one.
    """
    from pushkeeper import wiring

    settings = settings_of(options)
    if not creates:
        wiring.require_database(settings)
    async with wiring.store(settings) as store:
        return await work(store.services)


async def with_workspace(
    name: str, options: dict[str, Any], work: Callable[[Services, WorkspaceId], Awaitable[T]]
) -> T:
    """The services, and the workspace of a name.

    Raises:
        NotFound: it does not exist.
    """

    async def named(services: Services) -> T:
        return await work(services, (await services.workspaces.by_name(name)).workspace_id)

    return await with_services(options, named)


def actor() -> Actor:
    """The actor for the operating system's user who runs this command."""
    from pushkeeper.core.actor import Actor, ActorKind

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        name = str(os.getuid())
    return Actor(kind=ActorKind.COMMAND_LINE, name=name)
