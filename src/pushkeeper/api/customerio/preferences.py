"""Subscription preferences and relationships of people, as in the App API."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.customerio.app_api import person_of, render
from pushkeeper.api.style import ApiStyle
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.people import Person
    from pushkeeper.web.response import Response


_PUSH = {
    "id": 1,
    "type": "push",
    "name": "Push",
    "description": "Push notifications",
    "subscribed_by_default": True,
}
_MOST_DIGITS = 10


def routes(context: Context) -> Sequence[Route]:
    """The routes of preferences and relationships."""
    preferences = _Preferences(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    one = "/v1/customers/{id}"
    return [
        surface.route(f"{one}/subscription_preferences", GET=preferences.subscriptions),
        surface.route(f"{one}/relationships", GET=preferences.relationships),
        surface.route("/v1/subscription_topics", GET=preferences.topics),
        surface.route("/v1/subscription_channels", GET=preferences.channels),
    ]


class _Preferences:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def subscriptions(self, call: Call) -> Response:
        person = await person_of(self._context, call)
        chosen = topics_of(person.attributes.get("cio_subscription_preferences"))
        return response.of_json(
            {
                "customer": {
                    "id": person.id or "",
                    "identifiers": _identifiers(person),
                    "unsubscribed": person.unsubscribed,
                    "topics": [
                        {
                            "identifier": topic,
                            "id": topic,
                            "name": topic,
                            "description": "",
                            "subscribed": subscribed,
                        }
                        for topic, subscribed in sorted(chosen.items())
                    ],
                    "header": "",
                    "subheader": "",
                }
            }
        )

    async def topics(self, call: Call) -> Response:
        chosen = await self._context.services.people.topics(call.workspace_id)
        found = sorted({topic for one in chosen for topic in topics_of(one)})
        return response.of_json({"topics": [topic_json(topic) for topic in found]})

    async def channels(self, call: Call) -> Response:
        """The only channel."""
        del call
        return response.of_json({"channels": [_PUSH]})

    async def relationships(self, call: Call) -> Response:
        person = await person_of(self._context, call)
        said = await self._context.services.people.notes_of(call.workspace_id, person)
        known = relationships_of(said, _identifiers(person))
        return response.of_json(
            {
                "identifiers": [one["identifiers"] for one in known],
                "relationships": known,
                "cio_relationships": known,
                "next": "",
            }
        )


def topic_json(topic: str) -> dict[str, Any]:
    """A subscription topic as Customer.io shows it: only its name is known, and people who have not chosen are subscribed."""
    number = topic.removeprefix("topic_")
    is_numbered = number != topic and number.isascii() and number.isdecimal() and len(number) < _MOST_DIGITS
    return {
        "id": int(number) if is_numbered else zlib.crc32(topic.encode()),
        "identifier": topic,
        "name": topic,
        "description": "",
        "subscribed_by_default": True,
    }


def relationships_of(said: Iterable[dict[str, Any]], person: dict[str, str | None]) -> list[dict[str, Any]]:
    """The relationships that remain after applying all notes, oldest first."""
    known: dict[bytes, dict[str, Any]] = {}
    for item in said:
        gone = item.get("action") == "delete_relationships"
        for thing, attributes in _related(item, person):
            key = msgspec.json.encode(thing, order="sorted")
            if gone:
                known.pop(key, None)
            else:
                former = known.get(key, {}).get("relationship_attributes", {})
                known[key] = {
                    "object_type_id": str(thing.get("object_type_id", "")),
                    "identifiers": thing,
                    "relationship_attributes": {**former, **attributes},
                }
    return list(known.values())


def _related(
    item: dict[str, Any], person: dict[str, str | None]
) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """The objects that an item relates a person to, with the attributes of that: either side may say it."""
    for one in item.get("cio_relationships") or ():
        if not isinstance(one, dict) or not isinstance(named := one.get("identifiers"), dict):
            continue
        given = one.get("relationship_attributes")
        attributes = given if isinstance(given, dict) else {}
        if item.get("type") != "object":
            yield named, attributes
        elif isinstance(thing := item.get("identifiers"), dict) and _is(named, person):
            yield thing, attributes


def _is(named: dict[str, Any], person: dict[str, str | None]) -> bool:
    return any(value is not None and person.get(kind) == value for kind, value in named.items())


def topics_of(kept: Any) -> dict[str, bool]:  # noqa: ANN401 - the attribute can have any JSON value
    """Topics that a person has chosen for or against."""
    if isinstance(kept, str):
        try:
            kept = msgspec.json.decode(kept)
        except msgspec.DecodeError:
            return {}
    topics = kept.get("topics") if isinstance(kept, dict) else None
    return {topic: value is True for topic, value in topics.items()} if isinstance(topics, dict) else {}


def _identifiers(person: Person) -> dict[str, str | None]:
    return {"id": person.id, "email": person.email, "cio_id": person.cio_id}
