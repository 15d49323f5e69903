"""The keys of browsers' subscriptions: sealed from their registration on, and opened for a push alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from pushkeeper.core.devices import browser_keys
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from pushkeeper.core.model import Browser, Token, WorkspaceId
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.devices.devices import Registration


def seal(vault: Vault | None, workspace: WorkspaceId, registration: Registration) -> Registration:
    """The registration as it may be stored: a browser's keys sealed for its workspace and endpoint.

    Raises:
        Misconfigured: it has such keys, and the installation has no secret key.
    """
    browser = registration.browser
    if browser is None:
        return registration
    if vault is None:
        raise Misconfigured("secret key: needed to encrypt the keys of a browser")
    sealed = vault.seal(
        browser_keys.packed(browser.p256dh, browser.auth), browser_keys.label(workspace, registration.token)
    )
    return replace(registration, browser=None, browser_keys=sealed, vapid_key=browser.vapid_key or None)


def unseal(
    vault: Vault, workspace: WorkspaceId, token: Token, sealed: bytes, vapid_key: str | None
) -> Browser:
    """What a push to this browser is encrypted with.

    Raises:
        Misconfigured: the keys were sealed with another secret key, or are damaged.
    """
    packed = vault.open(sealed, browser_keys.label(workspace, token))
    found = browser_keys.unpacked(packed, vapid_key or "")
    if found is None:
        raise Misconfigured("database: the stored keys of a browser are damaged")
    return found
