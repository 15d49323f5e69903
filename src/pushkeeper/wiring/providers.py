"""FCM, APNs and Web Push: their clients, what they have to say against a message, and the keys that they take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pushkeeper.core.destination import Destinations
from pushkeeper.core.devices.browser_keys import encoded
from pushkeeper.core.model import Environment, Provider, Secret
from pushkeeper.errors import BadRequest
from pushkeeper.providers import credentials as signing_credentials
from pushkeeper.providers.apns.client import ApnsClient
from pushkeeper.providers.fcm.client import FcmClient
from pushkeeper.providers.pem import blocks, text_of
from pushkeeper.providers.shared.apns_reasons import OUTAGE_WAIT_S
from pushkeeper.providers.transport.address import Address
from pushkeeper.providers.transport.tls import tls_context
from pushkeeper.providers.webpush.client import WebPushClient
from pushkeeper.providers.webpush.origins import Where
from pushkeeper.providers.webpush.vapid import KeyRing, VapidKey, subject_of
from pushkeeper.store.admin import credentials
from pushkeeper.store.admin.credentials import NewCredential

if TYPE_CHECKING:
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.worker.provider_clients import OnVerdicts, ProviderClient

AppleApp = credentials.AppleApp
WEB_APP = "web"  # of a workspace with one site
_LONGEST_APP = 100
# `_` is in none that Apple gives out today, but harms nothing.
_TOPIC = re.compile(r"[A-Za-z0-9._-]+")


def open_sender(
    credential: Credential,
    on_verdicts: OnVerdicts,
    *,
    outage_wait_s: float = OUTAGE_WAIT_S,
    destinations: Destinations | None = None,
    webpush_hosts: tuple[str, ...] = (),
) -> ProviderClient:
    """The provider's client for a stored credential.

    `outage_wait_s` is what a push waits after APNs was in trouble; `destinations` and `webpush_hosts` are which addresses and
    hosts the endpoints of browsers may have besides those of the browsers' vendors.

    Raises:
        BadRequest, Misconfigured: what is stored is not usable.
    """
    secret = credential.secret.value
    if credential.provider is Provider.FCM:
        return FcmClient(
            signing_credentials.ServiceAccount.parse(secret),
            on_verdicts,
            endpoint_url=credential.endpoint_url,
            ca_pem=credential.ca_pem,
        )
    if credential.provider is Provider.WEBPUSH:
        where = Where(
            destinations=destinations or Destinations(),
            hosts=webpush_hosts,
            endpoint_url=credential.endpoint_url,
            ca_pem=credential.ca_pem,
        )
        keys = KeyRing.parse(credential.secret)
        return WebPushClient(keys, on_verdicts, subject=credential.facts["subject"], where=where)
    signer: signing_credentials.AppleKey | signing_credentials.AppleCertificate
    if credential.kind == "key":
        facts = credential.facts
        signer = signing_credentials.AppleKey.parse(secret, key_id=facts["key_id"], team_id=facts["team_id"])
    else:
        signer = signing_credentials.AppleCertificate.parse(secret)
    return ApnsClient(
        signer,
        on_verdicts,
        topic=credential.app,
        environment=credential.environment,
        endpoint_url=credential.endpoint_url,
        ca_pem=credential.ca_pem,
        outage_wait_s=outage_wait_s,
    )


def fcm_credential(service_account: bytes, *, endpoint_url: str | None, ca_pem: str | None) -> NewCredential:
    """A service account, checked.

    Raises:
        BadRequest: it is not one; the message names what is missing.
    """
    account = signing_credentials.ServiceAccount.parse(service_account)
    Address.parse(account.token_uri, "service_account.token_uri")
    new = NewCredential(
        provider=Provider.FCM,
        kind="service_account",
        app=account.project_id,
        environment=Environment.PRODUCTION,
        facts={"project_id": account.project_id, "client_email": account.client_email},
        secret=Secret(service_account),
        endpoint_url=endpoint_url,
        ca_pem=_repaired_ca(ca_pem),
    )
    return _usable(new)


def vapid_credential(
    *,
    subject: str,
    app: str = WEB_APP,
    private_key: bytes | None = None,
    endpoint_url: str | None = None,
    ca_pem: str | None = None,
) -> NewCredential:
    """A VAPID key, made or imported.

    Raises:
        BadRequest: the subject or the name is malformed, or the private key is not P-256.
    """
    if not _TOPIC.fullmatch(app) or len(app) > _LONGEST_APP:
        raise BadRequest("app", f"must be 1 to {_LONGEST_APP} letters, digits, '.', '-' and '_'")
    new = VapidKey.generate() if private_key is None else VapidKey.parse(private_key)
    return _usable(
        NewCredential(
            provider=Provider.WEBPUSH,
            kind="vapid",
            app=app,
            environment=Environment.PRODUCTION,
            facts={
                "subject": subject_of(subject),
                "public_key": encoded(new.public),
                "key_id": new.key_id,
                "former_key_ids": [],
            },
            secret=KeyRing((new,)).sealed(),
            endpoint_url=endpoint_url,
            ca_pem=_repaired_ca(ca_pem),
        )
    )


def apns_key(p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential:
    """A signing key, checked.

    Raises:
        BadRequest: it is not one, or its id or team's id is missing.
    """
    key = signing_credentials.AppleKey.parse(p8, key_id=key_id, team_id=team_id)
    return _apns("key", key.private_key, {"key_id": key.key_id, "team_id": key.team_id}, app)


def apns_certificate(pem: bytes, app: AppleApp) -> NewCredential:
    """A certificate with its private key, checked.

    Raises:
        BadRequest: it is not that, or good for another time than now, or for another app.
    """
    certificate = signing_credentials.AppleCertificate.parse(pem)
    now = signing_credentials.utc_now()
    if certificate.expires_at <= now:
        raise BadRequest("certificate", f"it expired on {certificate.expires_at:%Y-%m-%d}.")
    if certificate.starts_at > now:
        raise BadRequest("certificate", f"it is good from {certificate.starts_at:%Y-%m-%d} on.")
    if certificate.app is not None and app.topic.strip() != certificate.app:
        # APNs would answer DeviceTokenNotForTopic for every device.
        raise BadRequest("topic", f"the certificate is for {certificate.app}")
    return _apns("certificate", certificate.pem, {"expires_at": certificate.expires_at}, app)


def _apns(kind: str, secret: Secret, facts: dict[str, object], app: AppleApp) -> NewCredential:
    topic = app.topic.strip()
    if not topic:
        raise BadRequest("topic", "the app's bundle id is needed")
    if not _TOPIC.fullmatch(topic):
        raise BadRequest("topic", "a bundle id has letters, digits, '.', '-' and '_' alone")
    new = NewCredential(
        provider=Provider.APNS,
        kind=kind,
        app=topic,
        environment=app.environment,
        facts=facts,
        secret=secret,
        endpoint_url=app.endpoint_url,
        ca_pem=_repaired_ca(app.ca_pem),
    )
    return _usable(new)


def _usable(new: NewCredential) -> NewCredential:
    """What the sender can open: looked at as it will.

    Raises:
        BadRequest: the address is no HTTPS URL, the CA is no certificate, or OpenSSL doesn't take the certificate.
    """
    if new.endpoint_url is not None:
        Address.parse(new.endpoint_url, "endpoint")
    tls_context(new.ca_pem, new.secret if new.kind == "certificate" else None)
    return new


def _repaired_ca(pem: str | None) -> str | None:
    if pem is None:
        return None
    found = [block.pem.decode() for block in blocks(text_of(pem.encode())) if block.label == "CERTIFICATE"]
    if not found:
        raise BadRequest("ca", "there is no certificate in it.")
    return "".join(found)
