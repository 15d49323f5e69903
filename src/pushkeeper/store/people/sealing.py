"""What may be in no queue and no row as it came: the keys of browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from pushkeeper.store.devices import browser_keys
from pushkeeper.store.people.ingest import PersonUpdate

if TYPE_CHECKING:
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.people.ingest import Call


def sealed(vault: Vault | None, call: Call) -> Call:
    """The call as it may be kept.

    Raises:
        Misconfigured: it has keys, and the installation has no secret key.
    """
    if not isinstance(call, PersonUpdate) or call.registration is None or call.registration.browser is None:
        return call
    return replace(call, registration=browser_keys.seal(vault, call.workspace_id, call.registration))
