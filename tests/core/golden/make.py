"""Make the golden files of `test_import_golden.py` with the vendors' own libraries, in an environment of their own.

    python -m venv golden
    golden/bin/pip install "django<6" fcm-django==3.2.0 django-push-notifications==3.3.0 botocore==1.44.8
    golden/bin/python tests/core/golden/make.py

Django runs its migrations, saves the packages' models and dumps them; botocore parses SNS's XML as its clients do, and
checks Pinpoint's endpoints by its model of the service.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AT = datetime(2026, 1, 5, 18, 33, 2, tzinfo=UTC)
APNS = "1e21b0c5" * 8
FCM = "cXyZ_1234567890abcdefg:APA91b" + "x" * 120
ARN = "arn:aws:sns:eu-west-1:123456789012:endpoint"


def main() -> None:
    """Write all files."""
    django()
    sns()
    pinpoint()


def django() -> None:
    import django as project
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=[
            *("django.contrib.auth", "django.contrib.contenttypes"),
            *("fcm_django", "push_notifications"),
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        FCM_DJANGO_SETTINGS={},
        PUSH_NOTIFICATIONS_SETTINGS={},
        USE_TZ=True,
    )
    project.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from fcm_django.models import FCMDevice
    from push_notifications.models import APNSDevice, GCMDevice, WebPushDevice, WNSDevice

    call_command("migrate", verbosity=0)
    ann = User.objects.create(username="ann")
    for kind, user, active in (
        ("ios", ann, True),
        ("android", None, True),
        ("android", ann, False),
        ("web", ann, True),
    ):
        FCMDevice.objects.create(
            registration_id=f"{FCM}{FCMDevice.objects.count()}",
            type=kind,
            user=user,
            active=active,
            name="Ann's",
        )
    APNSDevice.objects.create(
        registration_id=APNS,
        user=ann,
        application_id="io.acme.app",
        device_id="0b1c0000-0000-4000-8000-000000000000",
    )
    GCMDevice.objects.create(registration_id=FCM, user=None, cloud_message_type="FCM", device_id=255)
    WNSDevice.objects.create(registration_id="https://wns.example/x", user=ann)
    WebPushDevice.objects.create(
        registration_id="https://push.example/x", p256dh="k", auth="a", browser="CHROME"
    )
    for model in (FCMDevice, APNSDevice, GCMDevice, WNSDevice, WebPushDevice):
        model.objects.update(date_created=AT)
    for app in ("fcm_django", "push_notifications"):
        for natural in (False, True):
            text = io.StringIO()
            call_command("dumpdata", app, natural_foreign=natural, stdout=text)
            name = f"{app}{'_natural' if natural else ''}.json"
            (HERE / name).write_text(text.getvalue(), encoding="utf-8")


def sns() -> None:
    import botocore.parsers
    import botocore.session

    service = botocore.session.get_session().get_service_model("sns")
    operation = service.operation_model("ListEndpointsByPlatformApplication")
    endpoints = (
        ("APNS_SANDBOX/App/0b1c", {"Token": APNS, "Enabled": "true", "CustomUserData": '{"user":{"id":7}}'}),
        ("GCM/App/0b1d", {"Token": FCM, "Enabled": "false"}),
        ("ADM/App/0b1e", {"Token": "amzn1.x", "Enabled": "true"}),
    )
    members = "".join(
        f"<member><EndpointArn>{ARN}/{arn}</EndpointArn><Attributes>"
        + "".join(
            f"<entry><key>{name}</key><value>{value}</value></entry>" for name, value in attributes.items()
        )
        + "</Attributes></member>"
        for arn, attributes in endpoints
    )
    name = operation.name
    xml = (
        f'<{name}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{name}Result><Endpoints>{members}</Endpoints>'
        f"<NextToken>more</NextToken></{name}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{name}Response>"
    )
    answer = {"status_code": 200, "headers": {}, "body": xml.encode()}
    parsed = botocore.parsers.create_parser("query").parse(answer, operation.output_shape)
    del parsed["ResponseMetadata"]  # as the AWS CLI prints it
    _write("sns.json", json.dumps(parsed, indent=4))


def pinpoint() -> None:
    import botocore.session
    import botocore.validate

    shape = botocore.session.get_session().get_service_model("pinpoint").shape_for("EndpointResponse")
    lines = []
    for number, (channel, more) in enumerate(
        (
            ("GCM", {}),
            ("APNS_SANDBOX", {"Address": APNS, "OptOut": "ALL"}),
            ("APNS", {"Address": APNS[::-1], "EndpointStatus": "INACTIVE"}),
            ("EMAIL", {"Address": "ann@acme.io"}),
        )
    ):
        endpoint: dict[str, Any] = {
            "Address": f"{FCM}{number}",
            "ApplicationId": "0" * 32,
            "Attributes": {"team": ["red"]},
            "ChannelType": channel,
            "CohortId": "12",
            "CreationDate": "2025-01-05T18:33:02.000Z",
            "Demographic": {
                "AppVersion": "3.1",
                "Locale": "en_US",
                "Make": "apple",
                "Timezone": "Europe/Rome",
            },
            "EffectiveDate": "2026-01-05T18:33:02.000Z",
            "EndpointStatus": "ACTIVE",
            "Id": f"e{number}",
            "Location": {"City": "Rome", "Country": "ITA", "Latitude": 41.9, "Longitude": 12.5},
            "Metrics": {"sessions": 3.0},
            "OptOut": "NONE",
            "RequestId": "r",
            "User": {"UserId": f"user-{number}", "UserAttributes": {"plan": ["gold"]}},
            **more,
        }
        if (report := botocore.validate.ParamValidator().validate(endpoint, shape)).has_errors():
            raise SystemExit(report.generate_report())
        unknown = endpoint.keys() - shape.members.keys()
        if unknown:
            raise SystemExit(f"EndpointResponse has no {unknown}")
        lines.append(json.dumps(endpoint))
    _write("pinpoint.jsonl", "\n".join(lines))


def _write(name: str, text: str) -> None:
    (HERE / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
