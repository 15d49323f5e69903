"""Which route takes a push to a device, and why none does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pushkeeper.core.delivery.route_choice import RouteTable, choose_route, no_route_reason
from pushkeeper.core.model import Environment, Platform, Provider, TokenShape


@dataclass(frozen=True)
class Phone:
    """A device as it was registered, which says neither its app nor its environment."""

    platform: Platform = Platform.IOS
    app: str = ""
    environment: str = ""
    shape: TokenShape = TokenShape.ANY


@dataclass(frozen=True)
class Route:
    """A route of a workspace."""

    provider: Provider
    app: str
    environment: Environment = Environment.PRODUCTION
    leg: str = ""


APNS = Route(Provider.APNS, "com.example.shop")
SANDBOX = Route(Provider.APNS, "com.example.shop", Environment.SANDBOX)
OTHER_APP = Route(Provider.APNS, "com.example.other")
OTHER_SANDBOX = Route(Provider.APNS, "com.example.other", Environment.SANDBOX)
FCM = Route(Provider.FCM, "shop-1")
APPLE_LEG = Route(Provider.FCM, "shop-1", leg="apple")
OTHER_PROJECT = Route(Provider.FCM, "other-2")
OTHER_LEG = Route(Provider.FCM, "other-2", leg="apple")

IPHONE = Phone()
ANDROID = Phone(Platform.ANDROID)


def iphone(shape: TokenShape = TokenShape.ANY, *, app: str = "", environment: str = "") -> Phone:
    return Phone(app=app, environment=environment, shape=shape)


@pytest.mark.parametrize(
    ("device", "routes", "chosen"),
    [
        # An iPhone's token goes only to the service that can have issued it.
        (iphone(TokenShape.APNS), [APNS, FCM, APPLE_LEG], APNS),
        (iphone(TokenShape.FCM), [APNS, FCM, APPLE_LEG], APPLE_LEG),
        (iphone(TokenShape.APNS), [FCM, APPLE_LEG], None),
        (iphone(TokenShape.FCM), [APNS, FCM], None),
        # Of neither shape: by FCM's Apple leg, otherwise by APNs.
        (IPHONE, [APNS, FCM, APPLE_LEG], APPLE_LEG),
        (IPHONE, [APNS, FCM], APNS),
        (IPHONE, [FCM], None),
        # Of two environments production, unless the device says; a sandbox that is alone is taken.
        (IPHONE, [SANDBOX, APNS], APNS),
        (IPHONE, [SANDBOX], SANDBOX),
        (iphone(environment="sandbox"), [SANDBOX, APNS], SANDBOX),
        (iphone(environment="production"), [SANDBOX, APNS], APNS),
        (iphone(environment="production"), [SANDBOX], None),
        # Rather none than a guess between several.
        (IPHONE, [APNS, OTHER_APP], None),
        (IPHONE, [SANDBOX, OTHER_SANDBOX], None),
        (IPHONE, [SANDBOX, OTHER_APP], OTHER_APP),
        (IPHONE, [APPLE_LEG, OTHER_LEG], None),
        (iphone(app="com.example.other"), [APNS, OTHER_APP], OTHER_APP),
        (iphone(app="com.example.third"), [APNS, OTHER_APP], None),
        (iphone(app="com.example.other", environment="sandbox"), [OTHER_APP, SANDBOX], None),
        # An iPhone's app is a bundle id, and says nothing of the project.
        (iphone(TokenShape.FCM, app="com.example.other"), [APPLE_LEG], APPLE_LEG),
        # Android goes by FCM itself.
        (ANDROID, [APNS, FCM, APPLE_LEG], FCM),
        (ANDROID, [APNS, APPLE_LEG], None),
        (ANDROID, [FCM, OTHER_PROJECT], None),
        (Phone(Platform.ANDROID, app="other-2"), [FCM, OTHER_PROJECT], OTHER_PROJECT),
        (Phone(Platform.ANDROID, app="third-3"), [FCM], None),
        (Phone(Platform.WEB), [APNS, FCM, APPLE_LEG], None),
        (IPHONE, [], None),
    ],
)
def test_a_device_goes_by(device, routes, chosen):
    assert choose_route(device, routes) == chosen
    assert choose_route(device, routes[::-1]) == chosen, "the order of the routes decides nothing"
    table = RouteTable(routes)
    assert [table.of(device), table.of(device)] == [chosen, chosen]


def test_a_table_keeps_apart_what_differs_in_anything():
    table = RouteTable([APNS, SANDBOX, OTHER_APP, FCM, APPLE_LEG])
    devices = {
        iphone(TokenShape.FCM): APPLE_LEG,
        iphone(TokenShape.APNS): None,
        iphone(TokenShape.APNS, app="com.example.other"): OTHER_APP,
        iphone(TokenShape.APNS, app="com.example.shop"): APNS,
        iphone(TokenShape.APNS, app="com.example.shop", environment="sandbox"): SANDBOX,
        ANDROID: FCM,
    }
    for _ in range(2):
        assert {device: table.of(device) for device in devices} == devices


REASONS = {
    "a web device": [(Phone(Platform.WEB), [FCM]), (Phone(Platform.WEB), [])],
    "several": [(IPHONE, [APNS, OTHER_APP]), (ANDROID, [FCM, OTHER_PROJECT])],
    "Android without FCM": [(ANDROID, [APNS]), (ANDROID, [])],
    "a token of APNs": [(iphone(TokenShape.APNS), [APPLE_LEG]), (iphone(TokenShape.APNS), [])],
    "a token of FCM": [(iphone(TokenShape.FCM), [APNS]), (iphone(TokenShape.FCM), [])],
    "nothing for it": [(IPHONE, [FCM]), (IPHONE, [])],
}


def test_each_reason_why_a_device_has_no_route_has_words_of_its_own():
    words = {}
    for kind, cases in REASONS.items():
        assert [choose_route(device, routes) for device, routes in cases] == [None, None]
        [words[kind]] = {no_route_reason(device, routes) for device, routes in cases}
    assert len(set(words.values())) == len(REASONS)
    assert all(words.values())
