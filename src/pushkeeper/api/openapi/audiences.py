"""Operations on audiences."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.audiences import (
    AudienceListView,
    AudienceRequest,
    CountRequest,
    MembersView,
    NewAudience,
    OneAudienceView,
    PlanView,
    PreviewView,
    SizeView,
)
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.devices import DevicePageView

AUDIENCES: Operations = {
    ("POST", "/api/v1/audiences/count"): Operation(
        id="countAudience",
        summary="Count an audience",
        description="How many people and devices match a filter. With `within_ms`, an estimate where counting takes longer.",
        body=CountRequest,
        answer=SizeView,
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/sample"): Operation(
        id="sampleAudience",
        summary="List devices of a filter",
        description="Devices that match a filter, in a stable order, one page at a time.",
        query=PageQuery,
        body=AudienceRequest,
        answer=DevicePageView,
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/preview"): Operation(
        id="compareAudience",
        summary="Compare per-device and per-person matching",
        description="Devices that would be wrongly included or excluded if the filter were evaluated per person.",
        body=AudienceRequest,
        answer=PreviewView,
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/explain"): Operation(
        id="explainAudience",
        summary="Explain a filter",
        description="The query plan of a filter, its duration, and index suggestions.",
        body=AudienceRequest,
        answer=PlanView,
        refused=(504,),
    ),
    ("GET", "/api/v1/audiences"): Operation(
        id="listAudiences",
        summary="List audiences",
        description="Saved audiences and manual lists, oldest first.",
        answer=AudienceListView,
    ),
    ("POST", "/api/v1/audiences"): Operation(
        id="createAudience",
        summary="Save an audience",
        description="Saves a filter. It is evaluated whenever the audience is used.",
        body=NewAudience,
        status=201,
        answer=OneAudienceView,
    ),
    ("GET", "/api/v1/audiences/{id}"): Operation(
        id="getAudience",
        summary="Get an audience",
        description="An audience, and where it is used.",
        answer=OneAudienceView,
        refused=(404,),
    ),
    ("PUT", "/api/v1/audiences/{id}"): Operation(
        id="replaceAudience",
        summary="Replace an audience",
        description="Replaces a saved audience. Past sends are not affected.",
        body=NewAudience,
        answer=OneAudienceView,
        refused=(404,),
    ),
    ("DELETE", "/api/v1/audiences/{id}"): Operation(
        id="deleteAudience",
        summary="Delete an audience",
        description="Deletes an audience that no other audience or template references.",
        status=204,
        answer=None,
        refused=(404, 409),
    ),
    ("GET", "/api/v1/audiences/{id}/members"): Operation(
        id="listAudienceMembers",
        summary="List the members of an audience",
        description="The devices of a device filter, or the people of a person filter or list, one page at a time.",
        query=PageQuery,
        answer=MembersView,
        refused=(404, 504),
    ),
}
