"""People as they were registered: by their ID or email, where an answer has the identifier that we gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushkeeper.cli.client import Client

_AT_ONCE = 100


def names_of(client: Client, found: Iterable[dict[str, Any]], key: str = "person") -> dict[str, str]:
    """What to call the people whom these items have a cio_id of, by that; who is gone is not in it."""
    ids = sorted({one[key] for one in found if one.get(key)})
    named: dict[str, str] = {}
    for begin in range(0, len(ids), _AT_ONCE):
        body = {"ids": ids[begin : begin + _AT_ONCE]}
        for one in client.post("/v1/customers/attributes", body, id_type="cio_id")["customers"]:
            known = one["customer"]["identifiers"]
            named[known["cio_id"]] = shown_name(known)
    return named


def shown_name(identifiers: dict[str, Any]) -> str:
    """An ID, else an email, else the identifier that we gave them."""
    return str(identifiers.get("id") or identifiers.get("email") or f"cio_{identifiers['cio_id']}")
