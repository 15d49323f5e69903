"""Operations on audiences."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record, ref
from pushkeeper.api.openapi.schemas import COUNT, FLAG, MAYBE_TEXT, OBJECT
from pushkeeper.services.schemas.audiences import AudienceRequest, CountRequest, NewAudience
from pushkeeper.services.schemas.base import PageQuery

_ONE: Schema = record({"audience": ref("Audience")})

AUDIENCES: Operations = {
    ("POST", "/api/v1/audiences/count"): Operation(
        id="countAudience",
        summary="Count an audience",
        description="How many people and devices match a filter. With `within_ms`, an estimate where counting takes longer.",
        body=CountRequest,
        answer=record(
            {"people": COUNT, "devices": COUNT},
            estimated=FLAG,
            people_margin=COUNT,
            devices_margin=COUNT,
        ),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/sample"): Operation(
        id="sampleAudience",
        summary="List devices of a filter",
        description="Devices that match a filter, in an order that stays the same, one page at a time.",
        query=PageQuery,
        body=AudienceRequest,
        answer=record({"devices": list_of(ref("Device")), "next": MAYBE_TEXT}),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/preview"): Operation(
        id="compareAudience",
        summary="Compare both readings of a filter",
        description="The devices that would be included or excluded wrongly if the filter were evaluated per person.",
        body=AudienceRequest,
        answer=record(
            {
                "people": COUNT,
                "devices": COUNT,
                "wrongly_included": COUNT,
                "wrongly_excluded": COUNT,
                "examples": list_of(OBJECT),
            }
        ),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/explain"): Operation(
        id="explainAudience",
        summary="Explain the query of a filter",
        description="How a filter is evaluated, how long that takes, and which indexes would make it faster.",
        body=AudienceRequest,
        answer=record(
            {
                "people": COUNT,
                "devices": COUNT,
                "took_ms": {"type": "number"},
                "scans": list_of(OBJECT),
                "advice": list_of(OBJECT),
            }
        ),
        refused=(504,),
    ),
    ("GET", "/api/v1/audiences"): Operation(
        id="listAudiences",
        summary="List audiences",
        description="Saved audiences, and lists of people kept by hand, oldest first.",
        answer=record({"audiences": list_of(ref("Audience"))}),
    ),
    ("POST", "/api/v1/audiences"): Operation(
        id="createAudience",
        summary="Save an audience",
        description="Saves a filter under a name. Its members are those who match it whenever it is used.",
        body=NewAudience,
        status=201,
        answer=_ONE,
    ),
    ("GET", "/api/v1/audiences/{id}"): Operation(
        id="getAudience",
        summary="Get an audience",
        description="One audience, with what uses it.",
        answer=_ONE,
        refused=(404,),
    ),
    ("PUT", "/api/v1/audiences/{id}"): Operation(
        id="replaceAudience",
        summary="Replace an audience",
        description="Replaces a saved audience. What was already sent to it is not affected.",
        body=NewAudience,
        answer=_ONE,
        refused=(404,),
    ),
    ("DELETE", "/api/v1/audiences/{id}"): Operation(
        id="deleteAudience",
        summary="Delete an audience",
        description="Deletes an audience that no other audience and no template uses.",
        status=204,
        answer=None,
        refused=(404, 409),
    ),
    ("GET", "/api/v1/audiences/{id}/members"): Operation(
        id="listAudienceMembers",
        summary="List the members of an audience",
        description="The devices of an audience of devices, else its people, one page at a time.",
        query=PageQuery,
        answer=record({"next": MAYBE_TEXT}, devices=list_of(ref("Device")), people=list_of(OBJECT)),
        refused=(404, 504),
    ),
}
