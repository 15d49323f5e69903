"""The APIs for the command line on the server: called in this process without a key, by the user who runs the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Match

from pushkeeper.api import app_key
from pushkeeper.api.context import Context
from pushkeeper.errors import NotFound
from pushkeeper.services.api_keys import Authenticator, Caller
from pushkeeper.web.endpoint import Endpoint
from pushkeeper.web.request import Request

if TYPE_CHECKING:
    from starlette.types import Message

    from pushkeeper.core.actor import Actor
    from pushkeeper.services.workspaces import Workspace
    from pushkeeper.wiring.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator(Caller):
    """A workspace that somebody works in who can read its database anyway."""

    actor: Actor

    def at(self, address: str) -> Actor:
        del address
        return self.actor


class _NoKeys(Authenticator):
    """Lets one caller in, whatever key there is or is not."""

    def __init__(self, opened: Store, caller: Caller) -> None:
        super().__init__(opened.database)
        self._caller = caller

    async def app(self, authorization: bytes) -> Caller:
        del authorization
        return self._caller


class LocalApi:
    """The calls that take an App API key, as a program on another machine makes them; they are neither logged nor counted."""

    def __init__(self, opened: Store, workspace: Workspace, actor: Actor) -> None:
        caller = _Operator(workspace.workspace_id, workspace.name, actor=actor)
        context = Context(services=opened.services, keys=_NoKeys(opened, caller), url="", cell=opened.cell)
        self._routes = app_key.routes(context)

    async def call(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """The status and body of the response to a call of this path and query."""
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL and isinstance(route.endpoint, Endpoint):
                response = await route.endpoint.respond(Request({**scope, **found}, receive))
                return response.status, response.body
        raise NotFound(f"There is no call {method} {path}")
