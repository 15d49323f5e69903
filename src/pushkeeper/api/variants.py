"""What a template says in each language, as Customer.io's API shows and changes it."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.content import content_of

if TYPE_CHECKING:
    from pushkeeper.api.surface import Call
    from pushkeeper.core.model import Content
    from pushkeeper.store.templates import Template
    from pushkeeper.templates import Templates


def languages(template: Template) -> list[str]:
    """The languages of a template; `""` is its own."""
    return ["", *sorted(template.translations)]


def variant_json(template: Template, language: str) -> dict[str, Any]:
    """A template's content in one language."""
    content: Content = template.translations[language] if language else template.content
    return {
        "id": content_id(template, language),
        "name": template.name,
        "type": "push",
        "language": language,
        "subject": content.title or "",
        "body": content.message or "",
        **msgspec.to_builtins(content),
        "created": int(template.created_at.timestamp()),
        "updated": int(template.updated_at.timestamp()),
    }


def content_id(template: Template, language: str) -> int:
    """The number of one language's content: the same as long as the template is there."""
    return zlib.crc32(f"{template.template_id}:{language}".encode())


async def change_variant(call: Call, templates: Templates, template: Template, language: str) -> Template:
    """The template with the content of a language replaced by the request's body.

    Raises:
        BadRequest: a field of the body is malformed, or is not Liquid.
    """
    body = await call.json()
    # Their names for it are those of an email.
    content = content_of({"title": body.get("subject"), "message": body.get("body"), **body})
    new = (
        replace(template, translations={**template.translations, language: content})
        if language
        else replace(template, content=content)
    )
    return await templates.change(call.workspace.workspace_id, template.template_id, new)
