"""Operations on the erasure of people."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.people import (
    BegunErasureView,
    ErasureListView,
    ErasuresQuery,
    OneErasureView,
)

ERASURES: Operations = {
    ("POST", "/api/v1/customers/{identifier}/erase"): Operation(
        id="erasePerson",
        summary="Erase a person",
        description="Deletes a person and all data about them. The receipt shows when that is complete.",
        answer=BegunErasureView,
        status=202,
        refused=(404,),
    ),
    ("GET", "/api/v1/erasures"): Operation(
        id="listErasures",
        summary="List erasure receipts",
        description="The last hundred receipts, or those of one identifier, newest first.",
        query=ErasuresQuery,
        answer=ErasureListView,
    ),
    ("GET", "/api/v1/erasures/{id}"): Operation(
        id="getErasure",
        summary="Get an erasure receipt",
        description="Whether an erasure is complete, and how many rows of each kind were erased.",
        answer=OneErasureView,
        refused=(404,),
    ),
}
