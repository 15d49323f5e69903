"""Who makes a change: a user of the dashboard, a client by its key, somebody at the command line, or a job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.core.roles import UserId


class ActorKind(StrEnum):
    USER = "user"
    KEY = "key"
    COMMAND_LINE = "command_line"
    JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change.

    Attributes:
        name: a user's e-mail address, a key's site id or public beginning, the operating system's user, or the kind of job.
        address: the network address that the call came from, where there is one.
    """

    kind: ActorKind
    name: str
    user_id: UserId | None = None
    address: str = ""

    def signed(self, text: str) -> str:
        """How other users see the author of a change: with the name, if it is a user; not for the audit log."""
        if self.kind is not ActorKind.USER:
            return text
        return f"{text} ({self.name})" if text else f"by {self.name}"


def job(kind: str) -> Actor:
    """What workers do by themselves."""
    return Actor(kind=ActorKind.JOB, name=kind)
