"""Headers that every answer has, whatever the route, the key and the outcome."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pushkeeper import config, wiring
from pushkeeper.core.roles import Role
from support.inside import Inside, app_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.dashboard import Place, Site


async def test_no_answer_is_kept_by_a_cache_or_taken_for_something_else(site: Site, place: Place) -> None:
    app, tried, wrong = app_of(site), 0, list[object]()
    keys = place.keys
    authorized = {"authorization": f"Bearer {keys.app_api_key}"}
    everybody: list[tuple[Inside, dict[str, str]]] = [
        (Inside.of(site, app, role), {}) for role in (None, Role.ADMIN)
    ]
    everybody.append((Inside.of(site, app, None), authorized))
    paths = [(route.path, route.path) for route in app.routes]
    for path, template in [*paths, ("/nowhere", ""), ("/api/v1/nowhere", "")]:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            for browser, headers in everybody:
                where = re.sub(r"{[^}]+}", "7", path)
                if "live" in template and browser.cookies:
                    continue  # it is sent for as long as somebody listens
                seen = await browser.ask(method, where, b"" if method in {"POST", "PUT"} else None, headers)
                tried += 1
                kept = "immutable" in seen.headers.get("cache-control", "")
                if (seen.headers.get("cache-control") != "no-store" and not kept) or (
                    seen.headers.get("x-content-type-options") != "nosniff"
                ):
                    wrong.append((method, path, seen.status, seen.headers))
                if kept and not template.startswith("/static"):
                    wrong.append((method, path, "kept"))
    assert wrong == []
    assert tried > 2_000


async def test_browsers_are_told_to_use_tls_alone_where_it_is_ours(site: Site, tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    ours = config.Settings(data_dir=tmp_path, tls_cert=pem, tls_key=pem)
    made_here = config.Settings(data_dir=tmp_path, tls_self_signed=True)
    for settings, told in ((ours, True), (made_here, False), (config.Settings(data_dir=tmp_path), False)):
        browser = Inside.of(site, wiring.api(site.store, site.url, settings), None)
        for path in ("/healthz", "/login", "/v1/segments", "/nowhere"):
            seen = await browser.ask("GET", path)
            assert ("strict-transport-security" in seen.headers) == told, path
