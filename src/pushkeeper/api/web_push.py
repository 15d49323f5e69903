"""The service worker to copy to a site, and a page where a browser becomes a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper.api.style import MAX_KEYLESS_BYTES, ApiStyle, no_auth
from pushkeeper.web.response import HTML, PAGE_GUARDS, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call, Handler

_FOLDER = Path(__file__).parent / "static"
_JAVASCRIPT = b"text/javascript; charset=utf-8"
_CSS = b"text/css; charset=utf-8"
_WORKER = "cio-webpush-sw.js"


def routes(context: Context) -> Sequence[Route]:
    """The worker always; the page, with a worker for its own scope, only where it is enabled."""
    surface = ApiStyle(
        name="web_push",
        authenticate=no_auth,
        render=lambda error, _: {"error": {"message": error.sentence}},
        max_body_bytes=MAX_KEYLESS_BYTES,
    )
    found = [surface.route(f"/webpush/{_WORKER}", GET=_file(_WORKER, _JAVASCRIPT))]
    if context.try_webpush:
        found += [
            surface.route("/try/webpush", GET=_file("try-webpush.html", HTML)),
            surface.route("/try/webpush.js", GET=_file("try-webpush.js", _JAVASCRIPT)),
            surface.route("/try/webpush.css", GET=_file("try-webpush.css", _CSS)),
            surface.route(f"/try/{_WORKER}", GET=_file(_WORKER, _JAVASCRIPT)),
        ]
    return found


def _file(name: str, content_type: bytes) -> Handler:
    body = (_FOLDER / name).read_bytes()

    async def answer(call: Call) -> Response:
        del call
        return Response(body, content_type=content_type, headers=PAGE_GUARDS)

    return answer
