"""The last look before a push leaves."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from msgspec.structs import replace as with_changes

from pushkeeper.core.broadcasts.schedule import Schedule, Window
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.eligibility import SkipReason
from pushkeeper.core.delivery.route_choice import RouteTable, choose_route
from pushkeeper.core.model import (
    Content,
    DeviceId,
    Environment,
    IdKind,
    PersonId,
    Platform,
    Provider,
    RouteId,
    Token,
    WorkspaceId,
    uuid7,
)
from pushkeeper.store.delivery.queue import ClaimedDevice, MessageToSend, Target
from pushkeeper.store.delivery.routes import Route
from pushkeeper.worker import final_check
from pushkeeper.worker.final_check import Expire, Go, Later, Skip, Stop, Wait

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANN, BOB = PersonId(1), PersonId(2)

PHONE = ClaimedDevice(
    person_id=ANN,
    token=Token("token"),
    id_kind=IdKind.TOKEN,
    platform=Platform.ANDROID,
    app="",
    environment="",
    status=LastStatus.UNUSED,
    generation=1,
    registered_at=NOW,
)
TARGET = Target(device_id=DeviceId(b"d" * 16), planned_for=ANN, device=PHONE)
MESSAGE = MessageToSend(
    message_id=uuid7(0, bytes(10)),
    content=Content(title="Hello"),
    expires_at=NOW + timedelta(days=1),
)


def route(number, provider, app, *, environment=Environment.PRODUCTION, leg="", paused=None):
    return Route(
        route_id=RouteId(number),
        credential_id=number,
        workspace_id=WorkspaceId(1),
        provider=provider,
        app=app,
        environment=environment,
        leg=leg,
        changed_at=NOW,
        accepted_at=None,
        paused_at=NOW if paused else None,
        pause_reason=paused,
    )


FCM = route(1, Provider.FCM, "project")
FCM_APPLE = route(2, Provider.FCM, "project", leg="apple")
APNS = route(3, Provider.APNS, "com.example")
SANDBOX = route(4, Provider.APNS, "com.example", environment=Environment.SANDBOX)
OTHER_APP = route(5, Provider.APNS, "com.example.other")


def fate(*, target=TARGET, message=MESSAGE, routes=(FCM, FCM_APPLE), now=NOW):
    return final_check.decide(target, message, RouteTable(routes), now)


def with_phone(**changes):
    return with_changes(TARGET, device=with_changes(PHONE, **changes))


def test_a_device_as_it_was_planned_goes():
    assert fate() == Go(PHONE, FCM)


@pytest.mark.parametrize(
    ("target", "message", "reason"),
    [
        (with_changes(TARGET, device=None), MESSAGE, SkipReason.DELETED),
        (
            TARGET,
            replace(MESSAGE, content=Content(custom_payload={"ios": {"aps": {}}})),
            SkipReason.NO_CONTENT,
        ),
        (with_changes(TARGET, device=None), replace(MESSAGE, cancelled=True), SkipReason.CANCELLED),
        (with_changes(TARGET, skip="channel_off"), MESSAGE, SkipReason.CHANNEL_OFF),
        (
            with_changes(TARGET, skip="moved"),
            replace(MESSAGE, content=Content(custom_payload={"ios": {"aps": {}}})),
            SkipReason.MOVED,
        ),
        (with_phone(platform=Platform.WEB), MESSAGE, SkipReason.NO_ROUTE),
        (with_phone(app="another-project"), MESSAGE, SkipReason.NO_ROUTE),
    ],
)
def test_what_stands_against_sending_is_named(target, message, reason):
    assert fate(target=target, message=message) == Skip(reason)


def test_a_bounced_device_is_tried_once_more():
    bounced = with_phone(status=LastStatus.BOUNCED)
    assert fate(target=bounced) == Go(bounced.device, FCM)


def test_a_message_past_its_time_expires():
    assert fate(now=MESSAGE.expires_at) == Expire()


def test_a_paused_message_waits_even_where_something_stands_against_it():
    paused = replace(MESSAGE, paused=True)
    assert (
        fate(message=paused) == fate(target=with_changes(TARGET, device=None), message=paused) == Later(NOW)
    )


@pytest.mark.parametrize(
    ("zone", "opens_at"),
    [
        ("Europe/Berlin", None),  # 13:00
        ("America/New_York", NOW + timedelta(hours=2)),  # 07:00
        ("Asia/Tokyo", NOW + timedelta(hours=12)),  # 21:00
        (None, NOW + timedelta(hours=2)),  # the message's own: New York
        ("Nowhere/At all", NOW + timedelta(hours=2)),
    ],
)
def test_outside_its_hours_a_push_waits_until_they_begin_at_the_device(zone, opens_at):
    hours = Schedule(time_zone="America/New_York", window=Window(opens=time(9), closes=time(20)))
    found = fate(target=with_changes(TARGET, zone=zone), message=replace(MESSAGE, schedule=hours))
    assert found == (Go(PHONE, FCM) if opens_at is None else Later(opens_at))


def test_a_message_that_has_stopped_or_cannot_be_read_goes_to_nobody():
    stopped = replace(MESSAGE, stop_reason="malformed: fcm 400 INVALID_ARGUMENT")
    assert fate(message=stopped) == Stop("malformed", "fcm 400 INVALID_ARGUMENT")
    assert fate(message=replace(MESSAGE, content=None)) == Stop("unreadable")


def test_a_paused_route_holds_its_push_and_the_others_go_on():
    paused = replace(FCM_APPLE, paused_at=NOW, pause_reason="credentials 401 THIRD_PARTY_AUTH_ERROR")
    iphone = with_phone(platform=Platform.IOS)
    assert fate(target=iphone, routes=(FCM, paused)) == Wait(paused)
    assert fate(routes=(FCM, paused)) == Go(PHONE, FCM)


OF_APNS = [Token("ab" * 32), Token("AB" * 32), Token("0123456789abcdefABCDEF" * 7)]
OF_FCM = [Token("fMEP0vJqS0:" + "APA91b" * 24), Token("dmEyS3VwcGVyLWluc3RhbA"), Token("ab" * 31 + ":")]


@pytest.mark.parametrize(
    ("device", "routes", "chosen"),
    [
        *(
            ({"platform": Platform.IOS, "token": token}, (APNS, FCM, FCM_APPLE), FCM_APPLE)
            for token in OF_FCM
        ),
        *(({"platform": Platform.IOS, "token": token}, (APNS,), None) for token in OF_FCM),
        *(({"platform": Platform.IOS, "token": token}, (APNS, FCM_APPLE), APNS) for token in OF_APNS),
        *(({"platform": Platform.IOS, "token": token}, (FCM, FCM_APPLE), None) for token in OF_APNS),
        ({"platform": Platform.IOS, "token": Token("my-phone")}, (FCM, FCM_APPLE, APNS), FCM_APPLE),
        ({"platform": Platform.IOS, "token": Token("my-phone")}, (APNS,), APNS),
        ({"platform": Platform.ANDROID, "token": OF_APNS[0]}, (APNS, FCM, FCM_APPLE), FCM),
        ({"platform": Platform.IOS, "token": OF_APNS[0]}, (FCM, FCM_APPLE, APNS), APNS),
        ({"platform": Platform.IOS}, (FCM, FCM_APPLE), FCM_APPLE),
        ({"platform": Platform.IOS}, (APNS, SANDBOX), APNS),
        ({"platform": Platform.IOS}, (SANDBOX,), SANDBOX),
        ({"platform": Platform.IOS, "environment": "sandbox"}, (APNS, SANDBOX), SANDBOX),
        ({"platform": Platform.IOS, "environment": "sandbox"}, (APNS,), None),
        ({"platform": Platform.IOS}, (APNS, OTHER_APP), None),
        ({"platform": Platform.IOS, "app": "com.example.other"}, (APNS, OTHER_APP), OTHER_APP),
        ({"platform": Platform.IOS, "app": "com.example.other"}, (FCM, FCM_APPLE), FCM_APPLE),
        ({"platform": Platform.ANDROID}, (APNS, FCM, FCM_APPLE), FCM),
        ({"platform": Platform.ANDROID}, (APNS,), None),
        ({"platform": Platform.ANDROID, "app": "project"}, (FCM, FCM_APPLE), FCM),
    ],
)
def test_the_route_is_the_only_one_that_fits(device, routes, chosen):
    assert choose_route(with_changes(PHONE, **device), routes) == chosen
