"""What the push services have to say against a message before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.model import Platform, Provider
from pushkeeper.providers.apns import message as apns_message
from pushkeeper.providers.fcm import message as fcm_message
from pushkeeper.providers.webpush import message as webpush_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.worker.provider_clients import Check

CHECKS: Checks = {
    Platform.IOS: {Provider.APNS: apns_message, Provider.FCM: fcm_message},
    Platform.ANDROID: {Provider.FCM: fcm_message},
    Platform.WEB: {Provider.WEBPUSH: webpush_message},
}
CHECKS_OF_PROVIDERS: Mapping[Provider, Check] = {
    Provider.APNS: apns_message,
    Provider.FCM: fcm_message,
    Provider.WEBPUSH: webpush_message,
}
