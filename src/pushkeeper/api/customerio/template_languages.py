"""A template's content in each language, as Customer.io's API shows and changes it."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.messages.content import content_of

if TYPE_CHECKING:
    from pushkeeper.api.style import Call
    from pushkeeper.core.model import Content
    from pushkeeper.services.messages.templates import Template, Templates

_OURS = {"subject": "title", "body": "message"}
_FIELDS = ("title", "message", "link", "image_url", "sound", "custom_data", "custom_payload")


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
    """The number of one language's content, which never changes."""
    return zlib.crc32(f"{template.template_id}:{language}".encode())


async def change_variant(call: Call, templates: Templates, template: Template, language: str) -> Template:
    """The template with the fields of the request's body set in a language; the others are unchanged.

    Raises:
        BadRequest: a field of the body is malformed, or is not Liquid.
        NotFound: the template is not in this language.
    """
    if language not in languages(template):
        raise NotFound("Translation not found")
    body = await call.json()
    try:
        return await templates.change(
            call.actor, call.workspace_id, template.template_id, _changed(template, language, body)
        )
    except BadRequest as refused:
        raise _as_spelled(refused, language, body) from None


def _changed(template: Template, language: str, body: dict[str, Any]) -> Template:
    # Customer.io's names for it are those of an email.
    given = {**{ours: body[theirs] for theirs, ours in _OURS.items() if theirs in body}, **body}
    read = content_of(given)
    changes = {name: getattr(read, name) for name in _FIELDS if name in given}
    if not language:
        return replace(template, content=msgspec.structs.replace(template.content, **changes))
    said = msgspec.structs.replace(template.translations[language], **changes)
    return replace(template, translations={**template.translations, language: said})


def _as_spelled(refused: BadRequest, language: str, body: dict[str, Any]) -> BadRequest:
    """The same refusal, of the field as the body has it."""
    path = refused.path[2:] if refused.path[:2] == ("translations", language) else refused.path
    spelled = {name: theirs for theirs, name in _OURS.items() if theirs in body and name not in body}
    return refused.at((spelled.get(str(path[0]), path[0]), *path[1:]))
