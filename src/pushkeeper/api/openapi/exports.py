"""Operations on exports."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.exports import ExportListView, ExportRequest, ExportView

EXPORTS: Operations = {
    ("POST", "/api/v1/exports"): Operation(
        id="createExport",
        summary="Export devices, people, history, pushes or members",
        description="Returns the file, which is sent while it is read; the rows are those of one moment, in no order. The "
        "header `X-Export-Id` has the ID of the export. A connection that ends before the last chunk is an incomplete file.",
        body=ExportRequest,
        answer=None,
        file=("text/csv", "application/jsonl"),
    ),
    ("GET", "/api/v1/exports"): Operation(
        id="listExports",
        summary="List exports",
        description="The last hundred exports, those of Customer.io's API included.",
        answer=ExportListView,
    ),
    ("GET", "/api/v1/exports/{id}"): Operation(
        id="getExport",
        summary="Get an export",
        description="An export with its state and the number of rows so far.",
        answer=ExportView,
        refused=(404,),
    ),
    ("POST", "/api/v1/exports/{id}/cancel"): Operation(
        id="cancelExport",
        summary="Cancel an export",
        description="Ends a running export. Its file stays incomplete.",
        answer=None,
        status=204,
        refused=(404, 409),
    ),
}
