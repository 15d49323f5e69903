"""Files that the vendors' own libraries wrote (`golden/make.py`), read to the last record."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushkeeper.core.imports.records import records
from pushkeeper.core.imports.row import ImportOptions, Skip
from pushkeeper.core.imports.sources import READERS
from pushkeeper.core.model import Environment

GOLDEN = Path(__file__).parent / "golden"
FCM = "cXyZ_1234567890abcdefg:APA91b" + "x" * 120
APNS = "1e21b0c5" * 8


def read(name: str, source: str, **options: object) -> list[str]:
    """A line for each device and each reason, in the order of the file."""
    found = []
    with (GOLDEN / name).open("rb") as file:
        for numbered in records(file):
            assert not isinstance(numbered.record, Skip)
            try:
                row = READERS[source](numbered.record, ImportOptions(**options))  # type: ignore[arg-type]  # of the test
            except Skip as skip:
                found.append(skip.reason.value)
                continue
            who = row.person.id or row.person.anonymous_id
            for one in row.devices:
                kind = "APNs" if one.token == APNS else "FCM" if one.token.startswith(FCM) else one.token
                world = one.environment.value if one.environment else "any"
                found.append(
                    f"{who}: {one.platform.value} {kind} {world} {one.app or '-'} {one.status.value or 'unused'}"
                )
    return found


@pytest.mark.parametrize(("name", "ann"), [("fcm_django.json", "1"), ("fcm_django_natural.json", "ann")])
def test_what_fcm_django_dumps(name: str, ann: str) -> None:
    assert read(name, "fcm-django") == [
        f"{ann}: ios FCM any - unused",
        "fcm-django:2: android FCM any - unused",
        "invalid_at_source",
        "web_not_supported",
    ]
    assert read(name, "fcm-django", keep_status=True)[2] == f"{ann}: android FCM any - suppressed"


@pytest.mark.parametrize(
    ("name", "ann"), [("push_notifications.json", "1"), ("push_notifications_natural.json", "ann")]
)
def test_what_django_push_notifications_dumps(name: str, ann: str) -> None:
    found = read(name, "django-push-notifications", environment=Environment.PRODUCTION)
    assert sorted(found) == [
        f"{ann}: ios APNs production io.acme.app unused",
        "django-push-notifications:gcmdevice:1: android FCM any - unused",
        "platform_not_supported",
        "web_not_supported",
    ]


def test_what_the_aws_command_line_prints_of_sns() -> None:
    assert read("sns.json", "sns", person_from="user.id", keep_status=True) == [
        "7: ios APNs sandbox - unused",
        "sns:0b1d: android FCM any - suppressed",
        "platform_not_supported",
    ]


def test_what_an_export_job_of_pinpoint_writes() -> None:
    assert read("pinpoint.jsonl", "pinpoint") == [
        "user-0: android FCM any - unused",
        "user-1: ios APNs sandbox - unused",
        "invalid_at_source",
        "channel_not_supported",
    ]
