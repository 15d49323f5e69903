"""Operations on templates."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.templates import (
    NewTemplate,
    OneTemplateView,
    TemplateListView,
    TemplatesQuery,
)

TEMPLATES: Operations = {
    ("GET", "/api/v1/templates"): Operation(
        id="listTemplates",
        summary="List templates",
        description="Templates, oldest first.",
        query=TemplatesQuery,
        answer=TemplateListView,
    ),
    ("POST", "/api/v1/templates"): Operation(
        id="createTemplate",
        summary="Create a template",
        description="Creates a template. Its content is Liquid.",
        body=NewTemplate,
        status=201,
        answer=OneTemplateView,
        refused=(409,),
    ),
    ("GET", "/api/v1/templates/{id}"): Operation(
        id="getTemplate",
        summary="Get a template",
        description="One template.",
        answer=OneTemplateView,
        refused=(404,),
    ),
    ("PUT", "/api/v1/templates/{id}"): Operation(
        id="replaceTemplate",
        summary="Replace a template",
        description="Replaces a template. Messages that are already queued are not affected.",
        body=NewTemplate,
        answer=OneTemplateView,
        refused=(404, 409),
    ),
    ("DELETE", "/api/v1/templates/{id}"): Operation(
        id="deleteTemplate",
        summary="Delete a template",
        description="Deletes a template. Sent messages are not affected.",
        status=204,
        answer=None,
        refused=(404,),
    ),
}
