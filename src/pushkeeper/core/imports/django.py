"""fcm-django and django-push-notifications: what `manage.py dumpdata` writes. Pure.

Source: the models of fcm-django 3.2 and django-push-notifications 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked, status_of
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_FCM_TYPES = {"ios": Platform.IOS, "android": Platform.ANDROID}
_MODELS = {
    "push_notifications.apnsdevice": Platform.IOS,
    "push_notifications.gcmdevice": Platform.ANDROID,
}


def read_fcm_django(record: Record, options: ImportOptions) -> ImportedRow:
    """One `FCMDevice`: its tokens are FCM's, of iPhones too.

    `Skip` where it is not of a phone, or nothing of it can be imported.
    """
    model = values.text(record, "model")
    if model is None or not model.endswith(".fcmdevice"):
        raise Skip(SkipReason.MALFORMED, "model", "is not fcm_django.fcmdevice")
    fields = values.json_object(record, "fields")
    kind = (values.text(fields, "type") or "").lower()
    if kind == "web":
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "fields.type")
    if kind not in _FCM_TYPES:
        raise Skip(SkipReason.MALFORMED, "fields.type", "is not ios, android or web")
    return _row("fcm-django", record, fields, _FCM_TYPES[kind], options)


def read_push_notifications(record: Record, options: ImportOptions) -> ImportedRow:
    """One `APNSDevice` or `GCMDevice`.

    `Skip` where it is not of a phone, or nothing of it can be imported.
    """
    model = values.text(record, "model") or ""
    fields = values.json_object(record, "fields")
    if model == "push_notifications.webpushdevice":
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "model")
    if model == "push_notifications.wnsdevice":
        raise Skip(SkipReason.PLATFORM_NOT_SUPPORTED, "model", "Windows")
    if model not in _MODELS:
        raise Skip(SkipReason.MALFORMED, "model", "is not a device of push_notifications")
    # Each model numbers its rows by itself.
    source = f"django-push-notifications:{model.rpartition('.')[2]}"
    return _row(source, record, fields, _MODELS[model], options)


def _row(
    source: str, record: Record, fields: Record, platform: Platform, options: ImportOptions
) -> ImportedRow:
    user = values.text(_with_natural_key(fields), "user")
    number = values.text(record, "pk")
    if user is None and number is None:
        raise Skip(SkipReason.NO_PERSON, "fields.user", "is empty, and so is pk")
    return ImportedRow(
        person=ImportedPerson(id=user, anonymous_id=None if user else f"{source}:{number}"),
        devices=(
            checked(
                ImportedDevice(
                    token=values.text(fields, "registration_id") or "",
                    platform=platform,
                    app=values.text(fields, "application_id"),
                    last_used=values.time(fields, "date_created"),
                    status=status_of(valid=values.flag(fields, "active") is not False),
                    attributes=values.without_empty(
                        name=values.text(fields, "name"), device_id=values.text(fields, "device_id")
                    ),
                ),
                options,
                field="fields.registration_id",
            ),
        ),
    )


def _with_natural_key(fields: Record) -> Record:
    """`dumpdata --natural-foreign` writes a user as a list: of the user name alone, unless a project changed that."""
    user = fields.get("user")
    return {**fields, "user": user[0]} if isinstance(user, list) and len(user) == 1 else fields
