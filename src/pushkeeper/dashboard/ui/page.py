"""A door: one address of the dashboard, who may go through it, and what is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pushkeeper.core.roles import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer

    Handler: TypeAlias = Callable[[Visit], Awaitable[Answer]]
    Changer: TypeAlias = Callable[[Visit], Awaitable["Done"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something was changed, by a use case that wrote its line of the audit log; and what is shown after it."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A page that is only looked at.

    Attributes:
        role: what a user must be at least; None: anybody may, logged in or not.
    """

    path: str
    role: Role | None
    show: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a form is sent to.

    Attributes:
        action: what the audit log calls it where it is refused for lack of the role; the rest its use case writes.
        do: makes the change.
        again: the page with the form, which is shown once more with what was typed and what is wrong with it.
    """

    path: str
    role: Role | None
    action: str
    do: Changer
    again: Handler


Door: TypeAlias = Look | Change


def look(path: str, show: Handler, role: Role | None = Role.VIEWER) -> Look:
    """A page, for whoever may look."""
    return Look(path=path, role=role, show=show)


def change(path: str, action: str, do: Changer, again: Handler, role: Role | None) -> Change:
    """What a form is sent to, by whoever has this role."""
    return Change(path=path, role=role, action=action, do=do, again=again)
