"""The operations of erasing people."""

from __future__ import annotations

from pushkeeper.api.openapi_operation import Operation
from pushkeeper.api.openapi_schemas import TEXT, list_of, record, ref

ERASURES: dict[tuple[str, str], Operation] = {
    ("POST", "/api/v1/customers/{identifier}/erase"): Operation(
        summary="Delete a person, and erase what is left of them; the receipt says when nothing is",
        answer=record({"erasure": ref("Erasure"), "receipt": TEXT}),
        status=202,
        refused=(404,),
    ),
    ("GET", "/api/v1/erasures"): Operation(
        summary="The last hundred receipts, or those of whoever had an identifier, the newest first",
        query={"identifier": TEXT},
        answer=record({"erasures": list_of(ref("Erasure"))}),
    ),
    ("GET", "/api/v1/erasures/{id}"): Operation(
        summary="The receipt of an erasure: whether it is done, and how many rows of each kind were erased",
        answer=record({"erasure": ref("Erasure")}),
        refused=(404,),
    ),
}
