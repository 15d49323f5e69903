"""Operations on imports."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.imports.counts import Verification
from pushkeeper.services.schemas.imports import ImportListView, ImportRequest, ImportView

_IMPORT = "/api/v1/imports/{id}"

IMPORTS: Operations = {
    ("GET", "/api/v1/imports"): Operation(
        id="listImports",
        summary="List imports",
        description="The last hundred imports, newest first.",
        answer=ImportListView,
    ),
    ("POST", "/api/v1/imports"): Operation(
        id="createImport",
        summary="Import people and devices",
        description="Imports the file at `url`, or the file of a multipart form with the same fields, of which `file` must be "
        "the last. Without `apply` it is a dry run: the result says what would change, and nothing does.",
        body=ImportRequest,
        has_upload=True,
        answer=ImportView,
        status=202,
        refused=(409,),
    ),
    ("GET", _IMPORT): Operation(
        id="getImport",
        summary="Get an import",
        description="The progress of an import and its result so far.",
        answer=ImportView,
        refused=(404,),
    ),
    ("POST", f"{_IMPORT}/apply"): Operation(
        id="applyImport",
        summary="Apply a dry run",
        description="Imports the file of a finished dry run, as a new import.",
        answer=ImportView,
        status=202,
        refused=(404, 409),
    ),
    ("POST", f"{_IMPORT}/cancel"): Operation(
        id="cancelImport",
        summary="Cancel an import",
        description="Stops an import. What it has written stays, and its file is deleted.",
        answer=ImportView,
        refused=(404, 409),
    ),
    ("GET", f"{_IMPORT}/verification"): Operation(
        id="getImportVerification",
        summary="Verify an import",
        description="Compares the devices of the file with those that were stored once it was applied.",
        answer=Verification,
        refused=(404, 409),
    ),
}
