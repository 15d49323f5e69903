"""A route of the dashboard: its path, the role that it needs, and the handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pushkeeper.core.roles import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.web.response import Response

    Handler: TypeAlias = Callable[[PageRequest], Awaitable[Response]]
    Changer: TypeAlias = Callable[[PageRequest], Awaitable["ActionResult"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """Something was changed, by a use case that wrote its line of the audit log; and what is shown after it."""

    answer: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page that is only looked at.

    Attributes:
        role: what a user must be at least; None: anybody may, logged in or not.
    """

    path: str
    role: Role | None
    show: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """The target of a form.

    Attributes:
        action: its name in the audit log when the role is missing; its use case logs the rest.
        do: makes the change.
        again: the page with the form, which is shown once more with what was typed and what is wrong with it.
        takes_file: its form ends in a file of any length, which `do` reads as it comes.
    """

    path: str
    role: Role | None
    action: str
    do: Changer
    again: Handler
    takes_file: bool = False


PageRoute: TypeAlias = View | Action


def view(path: str, show: Handler, role: Role | None = Role.VIEWER) -> View:
    """A page that this role may see."""
    return View(path=path, role=role, show=show)


def action(
    path: str,
    action: str,
    do: Changer,
    again: Handler,
    role: Role | None,
    *,
    takes_file: bool = False,
) -> Action:
    """The target of a form that this role may submit."""
    return Action(path=path, role=role, action=action, do=do, again=again, takes_file=takes_file)
