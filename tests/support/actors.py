"""Who makes the changes that tests make past the surfaces."""

from __future__ import annotations

from pushkeeper.core.actor import Actor, ActorKind

BY = Actor(kind=ActorKind.COMMAND_LINE, name="tests")
