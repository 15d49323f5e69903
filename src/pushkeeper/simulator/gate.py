"""Keeps web pages from the control API: a page in a developer's browser must not control the simulator.

A page of another site is recognised by `Origin` and `Sec-Fetch-Site`, DNS rebinding by `Host`; and what a page can
send without a preflight, such as a form, is not JSON.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_FORBIDDEN, _UNSUPPORTED = 403, 415
_READS = {"GET", "HEAD"}
_OWN_SITES = {"", "none", "same-origin"}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:@\[\]]+)(:[0-9]+)?")


class OriginGuard:
    """Lets programs and pages of the same origin through, under the names of this machine and one more."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or let the app answer."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, field, message = refusal
        body = msgspec.json.encode({"error": {"field": field, "message": message}})
        await Response(body, status, media_type="application/json")(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, header and sentence; None where nothing is wrong."""
        said: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            said.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1").strip())
        hosts = said.get("host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            found = ", ".join(map(repr, hosts)) or "no Host"
            message = (
                f"{found} is not a name of this simulator; start it with --host NAME to give it another."
            )
            return _FORBIDDEN, "host", message
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in said.get("origin", [])):
            return _FORBIDDEN, "origin", "A page of another site may not drive the simulator."
        if not _OWN_SITES.issuperset(said.get("sec-fetch-site", [])):
            return _FORBIDDEN, "sec-fetch-site", "A page of another site may not drive the simulator."
        kinds = [kind.partition(";")[0].strip().lower() for kind in said.get("content-type", [])]
        if scope["method"] not in _READS and kinds != ["application/json"]:
            message = 'Send JSON, and say so: curl -H "content-type: application/json".'
            return _UNSUPPORTED, "content-type", message
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine: by an address, as localhost, or by the name that we were given."""
        parts = _HOST.fullmatch(host.lower())
        if parts is None:
            return False
        name = parts["name"].strip("[]").removesuffix(".")
        return name in {"localhost", self._host} or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
