"""What others may put into every field that is theirs, and what a page must look like all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.dashboard import Seen

# None of it may become anything but text: neither a tag, nor an attribute, nor the result of a template.
HOSTILE = """<img src=x onerror=alert(1)>"'></script><script>alert(2)</script>{{7*7}}"""
EVIL = (
    HOSTILE,
    "<pk-evil>",
    "\"' onpk=alert(1) autofocus x='",
    "</textarea></title></style></script><pk-evil>",
    "<svg/onload=alert(1)><pk-evil>",
    "{{ 7777 * 7777 }}{% for x in (1..3) %}{{ x }}{% endfor %}",
    "${7777*7777}#{7777*7777}<%= 7777*7777 %>",
    "&lt;pk-evil&gt;&#60;pk-evil&#62;",
    "javascript:alert(document.domain)",
    "JaVa\tScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\u202e\u2066reversed\u2069<pk-evil>",
)
PRODUCT = str(7777 * 7777)


def held(seen: Seen) -> None:
    """Nothing inline, nothing from elsewhere, and the headers that hold browsers to it."""
    policy = seen.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert seen.headers["referrer-policy"] == "same-origin"
    assert seen.headers["cache-control"] == "no-store"
    page = seen.page
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (
            tag,
            attributes,
        )
        for name in ("src", "href", "action", "formaction", "hx-get", "hx-post"):
            # Browsers drop white space before and in a scheme.
            address = re.sub(r"[\0-\x20]", "", attributes.get(name) or "").lower()
            assert not re.match(r"[a-z][a-z0-9+.-]*:|//|\\", address), (tag, name, address)
    assert {"style", "pk-evil", "svg/onload"}.isdisjoint(tag for tag, _ in page.tags)
    assert all(script.get("src") for script in page.all("script"))
    assert PRODUCT not in seen.text
