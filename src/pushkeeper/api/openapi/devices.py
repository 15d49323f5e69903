"""Operations on devices, and explanations of deliveries."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.core.explain.explain import Explanation
from pushkeeper.services.schemas.devices import (
    DeviceCountsView,
    DeviceHistoryView,
    DeviceLinesQuery,
    DevicePageView,
    DeviceQuery,
    DevicesQuery,
    DeviceView,
    PushListView,
)
from pushkeeper.services.schemas.explain import ExplainQuery
from pushkeeper.services.schemas.strikes import UndoListView, UndoOutcome, UndoRequest

DEVICES: Operations = {
    ("GET", "/api/v1/devices"): Operation(
        id="listDevices",
        summary="List devices",
        description="Devices that match all filters given, ordered by key, one page at a time.",
        query=DevicesQuery,
        answer=DevicePageView,
    ),
    ("GET", "/api/v1/devices/{token}"): Operation(
        id="getDevice",
        summary="Get a device",
        description="One device, by its token or installation id.",
        query=DeviceQuery,
        answer=DeviceView,
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/history"): Operation(
        id="listDeviceHistory",
        summary="List the history of a device",
        description="Registrations, moves and status changes, newest first. History is kept after the device is deleted.",
        query=DeviceLinesQuery,
        answer=DeviceHistoryView,
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/pushes"): Operation(
        id="listDevicePushes",
        summary="List the pushes to a device",
        description="The pushes to a device with their outcomes, newest first.",
        query=DeviceLinesQuery,
        answer=PushListView,
        refused=(404,),
    ),
    ("GET", "/api/v1/stats/devices"): Operation(
        id="countDevices",
        summary="Count devices",
        description="Devices by platform and last status.",
        answer=DeviceCountsView,
    ),
}

EXPLANATIONS: Operations = {
    ("GET", "/api/v1/explain"): Operation(
        id="explain",
        summary="Explain a delivery",
        description="Why a person did or didn't receive a message, or whether a push would reach them now.",
        query=ExplainQuery,
        answer=Explanation,
        refused=(404,),
    ),
    ("POST", "/api/v1/undo"): Operation(
        id="undoBounces",
        summary="Revert bounces",
        description="Reverts the bounces of a period. This is a dry run unless `dry_run` is false.",
        body=UndoRequest,
        answer=UndoOutcome,
        refused=(404, 504),
    ),
    ("GET", "/api/v1/undo"): Operation(
        id="listUndos",
        summary="List reverts",
        description="Past reverts of bounces, newest first.",
        answer=UndoListView,
    ),
}
