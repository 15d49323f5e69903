"""Each vendor's records, read into our rows: what carries over, and a reason for what does not."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.imports import generic
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, ImportOptions, Skip
from pushkeeper.core.imports.sources import READERS
from pushkeeper.core.model import Environment, Platform

APNS = "1e21b0c5" * 8
FCM = "cXyZ_1234567890abcdefg:APA91b" + "x" * 120
PRODUCTION = ImportOptions(environment=Environment.PRODUCTION)
KEEP = ImportOptions(environment=Environment.PRODUCTION, keep_status=True)
AT = datetime(2026, 1, 5, 18, 33, 2, tzinfo=UTC)

ONESIGNAL = {
    "id": "5a1b",
    "identifier": APNS.upper(),
    "external_user_id": "ann",
    "device_type": "0",
    "tags": '{"plan":"gold","age":"7"}',
    "last_active": "2026-01-05 18:33:02 UTC",
    "game_version": "3.1",
    "device_model": "iPhone14,2",
    "device_os": "17.1",
    "language": "en",
    "timezone": "-18000",
    "notification_types": "-2",
    "invalid_identifier": "f",
}
PINPOINT = {
    "Id": "e1",
    "Address": FCM,
    "ChannelType": "GCM",
    "EffectiveDate": "2026-01-05T18:33:02.000Z",
    "EndpointStatus": "ACTIVE",
    "OptOut": "ALL",
    "Attributes": {"team": ["red"], "tags": ["a", "b"]},
    "Demographic": {"AppVersion": "3.1", "Locale": "en_US", "Timezone": "Europe/Rome"},
    "Location": {"Country": "ITA"},
    "User": {"UserId": "ann", "UserAttributes": {"plan": ["gold"]}},
}
PINPOINT_CSV = {
    "Id": "e1",
    "Address": FCM,
    "ChannelType": "GCM",
    "EffectiveDate": "2026-01-05T18:33:02.000Z",
    "EndpointStatus": "ACTIVE",
    "OptOut": "ALL",
    "Attributes.team": "red",
    "Attributes.a.b": "",
    "Demographic.AppVersion": "3.1",
    "User.UserId": "ann",
    "User.UserAttributes.plan.is": "gold",
}
ARN = "arn:aws:sns:eu-west-1:123456789012:endpoint"
SNS: dict[str, Any] = {
    "EndpointArn": f"{ARN}/APNS_SANDBOX/App/0b1c",
    "Attributes": {"Token": APNS, "Enabled": "true", "CustomUserData": '{"user":{"id":7}}'},
}
FCM_DJANGO: dict[str, Any] = {
    "model": "fcm_django.fcmdevice",
    "pk": 1,
    "fields": {
        "name": "Ann's",
        "active": True,
        "user": 7,
        "date_created": "2026-01-05T18:33:02Z",
        "device_id": None,
        "registration_id": FCM,
        "type": "ios",
    },
}
PUSH_NOTIFICATIONS = {
    "model": "push_notifications.apnsdevice",
    "pk": 3,
    "fields": {
        "name": "",
        "active": True,
        "user": ["ann"],
        "date_created": "2026-01-05T18:33:02+00:00",
        "application_id": "io.acme.app",
        "device_id": None,
        "registration_id": APNS,
    },
}
PARSE = {
    "objectId": "x1",
    "installationId": "0b1c",
    "deviceToken": APNS,
    "deviceType": "ios",
    "appIdentifier": "io.acme.app",
    "appVersion": "3.1",
    "timeZone": "Europe/Rome",
    "channels": ["news"],
    "updatedAt": "2026-01-05T18:33:02.000Z",
    "user": {"__type": "Pointer", "className": "_User", "objectId": "ann"},
}
PARSE_MONGO = {
    "_id": "x1",
    "deviceToken": APNS,
    "deviceType": "ios",
    "_updated_at": {"$date": "2026-01-05T18:33:02Z"},
    "_p_user": "_User$ann",
}
CUSTOMERIO: dict[str, Any] = {
    "id": "ann",
    "identifiers": {"id": "ann", "email": "ann@acme.io", "cio_id": "d9c106000001"},
    "attributes": {"id": "ann", "email": "ann@acme.io", "cio_id": "d9c106000001", "plan": "gold"},
    "unsubscribed": False,
    "devices": [
        {"id": APNS, "platform": "ios", "last_used": 1767637982, "attributes": {"_last_status": "bounced"}},
        {"id": "", "platform": "android"},
    ],
}
GENERIC = {
    "token": FCM,
    "platform": "Android",
    "person": "ann",
    "email": "ann@acme.io",
    "last_used": "1767637982000",
    "status": "sent",
    "app": "acme",
    "attribute.app_version": "3.1",
    "person_attribute.plan": "gold",
}


def of(**person):
    return ImportedPerson(id="ann", **person)


def iphone(**more):
    return ImportedDevice(
        token=APNS,
        platform=Platform.IOS,
        **{"environment": Environment.PRODUCTION, "last_used": AT, **more},
    )


def android(**more):
    return ImportedDevice(token=FCM, platform=Platform.ANDROID, **{"last_used": AT, **more})


WHOLE = {
    "onesignal": (
        "onesignal",
        ONESIGNAL,
        of(attributes={"plan": "gold", "age": "7"}),
        iphone(
            attributes={
                "app_version": "3.1",
                "device_model": "iPhone14,2",
                "device_os": "17.1",
                "device_locale": "en",
                "utc_offset_s": "-18000",
                "push_enabled": False,
            }
        ),
    ),
    "pinpoint": (
        "pinpoint",
        PINPOINT,
        of(attributes={"plan": "gold"}, unsubscribed=True),
        android(
            attributes={
                "team": "red",
                "tags": ["a", "b"],
                "app_version": "3.1",
                "device_locale": "en_US",
                "timezone": "Europe/Rome",
                "country": "ITA",
            }
        ),
    ),
    "pinpoint's CSV": (
        "pinpoint",
        PINPOINT_CSV,
        of(attributes={"plan.is": "gold"}, unsubscribed=True),
        android(attributes={"team": "red", "app_version": "3.1"}),
    ),
    "fcm-django": (
        "fcm-django",
        FCM_DJANGO,
        ImportedPerson(id="7"),
        ImportedDevice(
            token=FCM,
            platform=Platform.IOS,
            environment=Environment.PRODUCTION,
            last_used=AT,
            attributes={"name": "Ann's"},
        ),
    ),
    "django-push-notifications": (
        "django-push-notifications",
        PUSH_NOTIFICATIONS,
        of(),
        iphone(app="io.acme.app"),
    ),
    "parse by REST": (
        "parse",
        PARSE,
        of(),
        iphone(
            app="io.acme.app",
            attributes={"app_version": "3.1", "timezone": "Europe/Rome", "channels": ["news"]},
        ),
    ),
    "parse by mongoexport": ("parse", PARSE_MONGO, of(), iphone()),
    "firebase": (
        "firebase",
        {"token": FCM, "user_id": "ann", "timestamp": "2026-01-05T18:33:02Z"},
        of(),
        android(),
    ),
    "generic": (
        "generic",
        GENERIC,
        of(email="ann@acme.io", attributes={"plan": "gold"}),
        android(app="acme", status=LastStatus.SENT, attributes={"app_version": "3.1"}),
    ),
}


@pytest.mark.parametrize(("source", "record", "person", "device"), WHOLE.values(), ids=WHOLE)
def test_a_whole_record_carries_over(source, record, person, device):
    before = deepcopy(record)
    assert READERS[source](record, KEEP) == ImportedRow(person=person, devices=(device,))
    assert record == before


def test_customerio_has_several_devices_of_a_person_and_a_bad_one_costs_itself():
    before = deepcopy(CUSTOMERIO)
    row = READERS["customerio"](CUSTOMERIO, KEEP)
    assert before == CUSTOMERIO
    assert row.person == of(email="ann@acme.io", attributes={"plan": "gold"}, unsubscribed=False)
    assert row.devices == (iphone(status=LastStatus.BOUNCED),)
    [skip] = row.skipped
    assert (skip.reason, skip.field) == ("no_token", "devices[1].id")
    assert READERS["customerio"](CUSTOMERIO, PRODUCTION).devices == (iphone(),)
    assert READERS["pushkeeper"](CUSTOMERIO, KEEP).devices == row.devices


@pytest.mark.parametrize(
    ("person_from", "data", "expected"),
    [("", "7", None), ("text", " 7 ", "7"), ("user.id", '{"user":{"id":7}}', "7"), ("user.id", "{}", None)],
)
def test_sns_keeps_whose_an_endpoint_is_in_its_custom_data(person_from, data, expected):
    record = {**SNS, "Attributes": {**SNS["Attributes"], "CustomUserData": data}}
    row = READERS["sns"](record, ImportOptions(person_from=person_from))
    assert row.person == ImportedPerson(id=expected, anonymous_id=None if expected else "sns:0b1c")
    assert row.devices == (iphone(environment=Environment.SANDBOX, last_used=None),)


def test_a_user_of_nobody_is_anonymous():
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("onesignal", {**ONESIGNAL, "external_user_id": ""}, "onesignal:5a1b"),
        ("pinpoint", {**PINPOINT, "User": {}}, "pinpoint:e1"),
        ("fcm-django", {**FCM_DJANGO, "fields": {**FCM_DJANGO["fields"], "user": None}}, "fcm-django:1"),
        ("parse", {**PARSE, "user": None}, "parse:0b1c"),
    ]
    for source, record, expected in cases:
        person = READERS[source](record, PRODUCTION).person
        assert (person.id, person.anonymous_id) == (None, expected)


SKIPPED = [
    ("onesignal", {**ONESIGNAL, "device_type": "5"}, "web_not_supported", "device_type"),
    ("onesignal", {**ONESIGNAL, "device_type": "11"}, "channel_not_supported", "device_type"),
    ("onesignal", {**ONESIGNAL, "device_type": "13"}, "platform_not_supported", "device_type"),
    ("onesignal", {**ONESIGNAL, "device_type": "99"}, "malformed", "device_type"),
    ("onesignal", {**ONESIGNAL, "identifier": ""}, "no_token", "identifier"),
    ("onesignal", {**ONESIGNAL, "identifier": "null"}, "bad_token", "identifier"),
    ("onesignal", {**ONESIGNAL, "invalid_identifier": "t"}, "invalid_at_source", ""),
    ("onesignal", {**ONESIGNAL, "external_user_id": "", "id": ""}, "no_person", "external_user_id"),
    ("onesignal", {**ONESIGNAL, "tags": "{"}, "malformed", "tags"),
    ("onesignal", {**ONESIGNAL, "last_active": "yesterday"}, "malformed", "last_active"),
    ("pinpoint", {**PINPOINT, "ChannelType": "EMAIL"}, "channel_not_supported", "ChannelType"),
    ("pinpoint", {**PINPOINT, "ChannelType": "APNS_VOIP"}, "platform_not_supported", "ChannelType"),
    ("pinpoint", {**PINPOINT, "EndpointStatus": "INACTIVE"}, "invalid_at_source", ""),
    ("pinpoint", {**PINPOINT, "Attributes": "x"}, "malformed", "Attributes"),
    ("sns", {**SNS, "EndpointArn": "arn:aws:sns:eu-west-1:1:app/GCM/App"}, "malformed", "EndpointArn"),
    ("sns", {**SNS, "EndpointArn": f"{ARN}/ADM/App/0b1c"}, "platform_not_supported", "EndpointArn"),
    ("sns", {**SNS, "Attributes": {"Token": APNS, "Enabled": "false"}}, "invalid_at_source", ""),
    ("fcm-django", {**FCM_DJANGO, "model": "auth.user"}, "malformed", "model"),
    (
        "django-push-notifications",
        {**PUSH_NOTIFICATIONS, "model": "push_notifications.webpushdevice"},
        "web_not_supported",
        "model",
    ),
    ("parse", {**PARSE, "user": None, "deviceToken": None}, "no_token", "deviceToken"),
    ("parse", {**PARSE, "user": None, "deviceType": "winphone"}, "platform_not_supported", "deviceType"),
    ("customerio", {**CUSTOMERIO, "identifiers": {}, "id": ""}, "no_person", "identifiers"),
    ("generic", {**GENERIC, "person": "", "email": ""}, "no_person", "person"),
    ("generic", {**GENERIC, "platform": "symbian"}, "malformed", "platform"),
    ("generic", {**GENERIC, "status": "gone"}, "malformed", "status"),
    ("firebase", {"token": "x y"}, "bad_token", "token"),
]


@pytest.mark.parametrize(("source", "record", "reason", "field"), SKIPPED)
def test_what_does_not_carry_over_is_left_out_with_its_reason(source, record, reason, field):
    with pytest.raises(Skip) as skipped:
        READERS[source](record, PRODUCTION)
    assert (skipped.value.reason, skipped.value.field) == (reason, field)


def test_an_iphone_needs_apples_environment_unless_its_token_is_fcms():
    with pytest.raises(Skip) as skipped:
        READERS["onesignal"](ONESIGNAL, ImportOptions())
    assert skipped.value.reason == "environment_unknown"
    assert READERS["fcm-django"](FCM_DJANGO, ImportOptions()).devices[0].environment is None


def test_devices_that_are_gone_at_the_source_are_suppressed_where_statuses_are_kept():
    row = READERS["onesignal"]({**ONESIGNAL, "invalid_identifier": "t"}, KEEP)
    assert row.devices[0].status is LastStatus.SUPPRESSED


def test_a_person_without_a_token_is_imported_alone():
    row = READERS["parse"]({**PARSE, "deviceToken": None}, PRODUCTION)
    assert (row.person.id, row.devices, [skip.reason for skip in row.skipped]) == ("ann", (), ["no_token"])


def test_a_mapping_names_the_columns_of_any_file():
    columns = generic.mapping(
        """
        token = "device_token"
        platform = "os"
        person = "user"
        [attribute]
        app_version = "ver"
        [values.platform]
        1 = "ios"
        """
    )
    record = {"device_token": APNS, "os": "1", "user": "ann", "ver": "3.1", "attribute.x": "y"}
    row = generic.reader(columns)(record, PRODUCTION)
    assert row == ImportedRow(
        person=of(), devices=(iphone(last_used=None, attributes={"app_version": "3.1"}),)
    )
    for wrong in ("token = 1", "tokn = 'x'", "= ="):
        with pytest.raises(generic.BadMapping):
            generic.mapping(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05 18:33:02",
        "2026-01-05T18:33:02Z",
        "2026-01-05 18:33:02.000 UTC",
        "2026-01-05 18:33:02 +0000 UTC",
        "2026-01-05T19:33:02.000000+01:00",
        "1767637982",
        "1767637982.0",
        "1767637982000",
        1767637982,
        {"__type": "Date", "iso": "2026-01-05T18:33:02.000Z"},
        {"$date": {"$numberLong": "1767637982000"}},
    ],
)
def test_times_are_read_however_they_are_written(text):
    record = {**GENERIC, "last_used": text}
    assert READERS["generic"](record, PRODUCTION).devices[0].last_used == AT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
SAMPLES = [(source, record) for source, record, *_ in [*WHOLE.values(), *SKIPPED]]


@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_any_value_of_a_field_gives_a_row_or_a_reason(sample, data):
    source, record = sample
    damaged = dict(record)
    for name in data.draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        inner = damaged[name]
        if isinstance(inner, dict) and inner and data.draw(st.booleans()):
            damaged[name] = {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(JSON)}
        else:
            damaged[name] = data.draw(JSON)
    outcome = row_or_skip(source, damaged)
    if isinstance(outcome, Skip):
        assert APNS not in f"{outcome.field} {outcome.detail}"
    else:
        assert outcome.person.id or outcome.person.email or outcome.person.anonymous_id


def row_or_skip(source, record):
    try:
        return READERS[source](record, KEEP)
    except Skip as skip:
        return skip
