"""FCM and APNs: their clients, what they have to say against a message, and the keys that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.core.model import Environment, Platform, Provider, Secret
from pushkeeper.errors import BadRequest, Misconfigured
from pushkeeper.providers import signing
from pushkeeper.providers.apns import message as apns_message
from pushkeeper.providers.apns.client import ApnsClient
from pushkeeper.providers.apple import OUTAGE_WAIT_S
from pushkeeper.providers.fcm import message as fcm_message
from pushkeeper.providers.fcm.client import FcmClient
from pushkeeper.store import credentials
from pushkeeper.store.credentials import NewCredential

if TYPE_CHECKING:
    from pushkeeper.store.credentials import Credential
    from pushkeeper.worker.senders import OnVerdicts, Sender

CHECKS = {
    Platform.IOS: (apns_message.check, fcm_message.check),
    Platform.ANDROID: (fcm_message.check,),
}
CHECKS_OF_PROVIDERS = {Provider.APNS: apns_message.check, Provider.FCM: fcm_message.check}
AppleApp = credentials.AppleApp


def open_sender(
    credential: Credential, on_verdicts: OnVerdicts, *, outage_wait_s: float = OUTAGE_WAIT_S
) -> Sender:
    """The provider's client for a stored credential; `outage_wait_s` is what a push waits after APNs was in trouble.

    Raises:
        BadRequest, Misconfigured: what is stored is not usable.
    """
    secret = credential.secret.value
    if credential.provider is Provider.FCM:
        return FcmClient(
            signing.ServiceAccount.parse(secret),
            on_verdicts,
            endpoint_url=credential.endpoint_url,
            ca_pem=credential.ca_pem,
        )
    signer: signing.AppleKey | signing.AppleCertificate
    if credential.kind == "key":
        facts = credential.facts
        signer = signing.AppleKey.parse(secret, key_id=facts["key_id"], team_id=facts["team_id"])
    else:
        signer = signing.AppleCertificate.parse(secret)
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
    account = signing.ServiceAccount.parse(service_account)
    return NewCredential(
        provider=Provider.FCM,
        kind="service_account",
        app=account.project_id,
        environment=Environment.PRODUCTION,
        facts={"project_id": account.project_id, "client_email": account.client_email},
        secret=Secret(service_account),
        endpoint_url=_checked_url(endpoint_url),
        ca_pem=_checked_ca(ca_pem),
    )


def apns_key(p8: bytes, *, key_id: str, team_id: str, app: AppleApp) -> NewCredential:
    """A signing key, checked.

    Raises:
        BadRequest: it is not one, or its id or team's id is missing.
    """
    signing.AppleKey.parse(p8, key_id=key_id, team_id=team_id)
    return _apns("key", p8, {"key_id": key_id, "team_id": team_id}, app)


def apns_certificate(pem: bytes, app: AppleApp) -> NewCredential:
    """A certificate with its private key, checked.

    Raises:
        BadRequest: it is not that.
    """
    certificate = signing.AppleCertificate.parse(pem)
    return _apns("certificate", pem, {"expires_at": certificate.expires_at}, app)


def _apns(kind: str, secret: bytes, facts: dict[str, object], app: AppleApp) -> NewCredential:
    if not app.topic.strip():
        raise BadRequest("topic", "--topic: the app's bundle id is needed")
    return NewCredential(
        provider=Provider.APNS,
        kind=kind,
        app=app.topic,
        environment=app.environment,
        facts=facts,
        secret=Secret(secret),
        endpoint_url=_checked_url(app.endpoint_url),
        ca_pem=_checked_ca(app.ca_pem),
    )


def _checked_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise BadRequest("endpoint", "--endpoint: expected https://host[:port]")
    return url


def _checked_ca(pem: str | None) -> str | None:
    if pem is not None and "-----BEGIN CERTIFICATE-----" not in pem:
        raise Misconfigured("--ca: there is no certificate in it")
    return pem
