"""The sources of imports by the names that operators give them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.imports import (
    customerio,
    django,
    firebase,
    generic,
    onesignal,
    parse,
    pinpoint,
    pushkeeper,
    sns,
)

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import Reader

READERS: dict[str, Reader] = {
    "customerio": customerio.read,
    "django-push-notifications": django.read_push_notifications,
    "fcm-django": django.read_fcm_django,
    "firebase": firebase.read,
    "generic": generic.read,
    "onesignal": onesignal.read,
    "parse": parse.read,
    "pinpoint": pinpoint.read,
    "pushkeeper": pushkeeper.read,
    "sns": sns.read,
}
