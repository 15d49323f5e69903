"""One item of the Data Pipelines API, read into what the registry and reporting take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pushkeeper.api.customerio import delivery_reports, parse, subscriptions
from pushkeeper.core import identity, times
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.placeholders import placeholder
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.people import Call, PersonReference, PersonUpdate, placeholder_refusal
from pushkeeper.services.reports.deliveries import AppReport
from pushkeeper.services.validation import OnBad

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import EventKind, People
    from pushkeeper.web.body import Check

Said: TypeAlias = Call | AppReport

_REGISTRATION = "Device Created or Updated"
_KINDS = ("identify", "track", "page", "screen", "group", "alias")
# Of objects, content and relationships there is nothing to keep here.
_IGNORED_EVENTS = frozenset({"Relationship Deleted", "Object Deleted", "Report Content Event"})
_NOBODY = frozenset({"", "null"})  # what SDKs send for an unknown user
_TOKEN = "context.device.token"  # noqa: S105 - a field's name, not a secret
_READ = frozenset(
    {
        "anonymousId",
        "context",
        "event",
        "messageId",
        "name",
        "originalTimestamp",
        "previousId",
        "properties",
        "sentAt",
        "timestamp",
        "traits",
        "type",
        "userId",
    }
)
DEVICE_FIELDS = ("token", "type")  # the fields of a context.device


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item: `kind` is given by the path; in a batch each item names its own.

    `sent_with` is the `sentAt` of its batch, for an item without one. `spoiled` has the errors of removed attributes, and `on_bad` receives those of other attributes that can't be stored.
    """

    given: dict[str, Any]
    kind: str | None
    sent_with: object
    request_id: str
    on_bad: OnBad
    spoiled: Sequence[BadRequest] = ()


def cut_unread(given: dict[str, Any]) -> None:
    """Remove the parts of an item that are never read, so that invalid values in them cost nothing."""
    for name in given.keys() - _READ:
        del given[name]
    if not isinstance(given.get("messageId"), str):  # remembered only where it is text
        given.pop("messageId", None)
    context = given.get("context")
    if isinstance(context, dict):
        given["context"] = {"device": context["device"]} if "device" in context else {}
        if isinstance(device := context.get("device"), dict):
            given["context"]["device"] = {name: device[name] for name in DEVICE_FIELDS if name in device}


def cut_attributes(given: dict[str, Any], kind: str | None, checks: Sequence[Check]) -> list[BadRequest]:
    """Remove the attributes that fail a check, so that the person or device is still stored; return the errors."""
    kind, event = kind or given.get("type"), given.get("event")
    is_device = kind == "track" and isinstance(event, str) and event.strip() == _REGISTRATION
    field = "traits" if kind == "identify" else "properties" if is_device else ""
    found = given.get(field)
    attributes = found if isinstance(found, dict) else {}
    spoiled: list[BadRequest] = []
    for name, value in list(attributes.items()):
        try:
            for check in checks:
                check({field: {name: value}})
            validation.check_attribute(name, value, field)
        except BadRequest as error:
            spoiled.append(error)
            del attributes[name]
    return spoiled


def read_item(people: People, workspace: WorkspaceId, item: Item) -> list[Said]:
    """Read one item.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or too long.
    """
    reader = _Reader(people, workspace, item)
    match item.kind or validation.one_of(item.given.get("type"), "type", _KINDS):
        case "identify":
            return reader.identify()
        case "track":
            return reader.track()
        case "alias":
            return reader.alias()
        case "group":
            return []
        case other:
            return reader.view("page" if other == "page" else "screen")


class _Reader:
    def __init__(self, people: People, workspace: WorkspaceId, item: Item) -> None:
        self._people = people
        self._workspace = workspace
        self._item = item.given
        self._request_id = item.request_id
        self._on_bad = item.on_bad
        self._spoiled = item.spoiled
        self._once = parse.once("cdp", self._item.get("messageId"))
        self._at = _happened_at(item.given, item.sent_with, datetime.now(UTC))
        self._user = _user(self._item.get("userId"))
        self._anonymous_id = self._read_anonymous_id()

    def identify(self) -> list[Said]:
        for error in self._spoiled:
            self._on_bad(error)
        traits = self._attributes("traits")
        email = self._email(traits)
        by_email = Identifier(IdentifierKind.EMAIL, email) if email and email.strip() else None
        path = self._user or by_email
        if path is None:
            return []
        others = (by_email,) if by_email is not None and by_email.key != path.key else ()
        change = parse.change(traits, at=self._at, field="traits", on_bad=self._on_bad)
        field = "traits.email" if self._user is None else "userId"
        naming = PersonReference(
            workspace_id=self._workspace, path=path, others=others, field=field, within="traits."
        )
        return [
            PersonUpdate(
                workspace_id=self._workspace,
                naming=naming,
                change=change,
                anonymous_id=self._anonymous_id,
                once=self._once,
            )
        ]

    def _attributes(self, field: str) -> dict[str, Any]:
        """The attributes of a person or device; a value that is not an object is dropped, and the rest is stored."""
        try:
            return validation.optional_object(self._item.get(field), field)
        except BadRequest as error:
            self._on_bad(error)
            return {}

    def _email(self, traits: dict[str, Any]) -> str | None:
        """The email among the traits; if it is invalid or a placeholder, only the email is dropped from a user's item."""
        try:
            email = validation.optional_text(
                traits.get("email"), "traits.email", max_bytes=validation.MAX_ID_BYTES
            )
        except BadRequest as error:
            if self._user is None:
                raise
            self._on_bad(error)
            return None
        word = placeholder(email) if email else None
        if word is None or self._user is None:
            return email
        self._on_bad(placeholder_refusal("traits.email", word))
        return None

    def _read_anonymous_id(self) -> str | None:
        """The anonymous id; if it is invalid, only the id is dropped from a user's item."""
        try:
            return _anonymous_id(self._item.get("anonymousId"), "anonymousId")
        except BadRequest as error:
            if self._user is None:
                raise
            self._on_bad(error)
            return None

    def alias(self) -> list[Said]:
        """Treat the previous id as an anonymous id: even if it is a user's id, nobody is renamed or merged."""
        former = _anonymous_id(self._item.get("previousId"), "previousId")
        if self._user is None or former is None:
            return []
        naming = PersonReference(workspace_id=self._workspace, path=self._user, field="userId")
        return [
            PersonUpdate(workspace_id=self._workspace, naming=naming, anonymous_id=former, once=self._once)
        ]

    def view(self, kind: EventKind) -> list[Said]:
        properties = validation.optional_object(self._item.get("properties"), "properties")
        name = self._item.get("name") or properties.get("url") or properties.get("path") or kind
        if isinstance(name, str):
            name = name.strip().encode()[: validation.MAX_EVENT_NAME_BYTES].decode(errors="ignore")
        return self._happened(name, properties, kind)

    def track(self) -> list[Said]:
        name = self._item.get("event")
        if isinstance(name, str):
            name = name.strip()
            if name in _IGNORED_EVENTS:
                return []
        if name == _REGISTRATION:
            return self._register()
        properties = validation.optional_object(self._item.get("properties"), "properties")
        match name:
            case "Device Deleted":
                return self._forget_device(properties)
            case "Report Delivery Event":
                return self._report(properties)
            case "User Deleted" | "User Suppressed" | "User Unsuppressed":
                return self._end(name)
        return self._happened(name, properties, "event")

    # Devices. `context.device.token` is on every event: only these two may change anything by it.

    def _register(self) -> list[Said]:
        properties = self._attributes("properties")
        device = self._device(properties)
        given = {name: value for name, value in properties.items() if name != "device"}
        registration = parse.registered(
            validation.new_token(device.get("token"), _TOKEN),
            platform=validation.platform(device.get("type"), "context.device.type"),
            last_used=self._at,
            attributes=parse.device_attributes(given, "properties", self._on_bad, self._spoiled),
            request_id=self._request_id,
            must_register=True,
        )
        subscriptions.require_for(registration, token_field=_TOKEN, field="properties")
        if self._user is None and self._anonymous_id is None:
            raise BadRequest("userId", "is needed, or an anonymousId", "missing")
        naming = (
            None
            if self._user is None
            else PersonReference(workspace_id=self._workspace, path=self._user, field="userId")
        )
        return [
            PersonUpdate(
                workspace_id=self._workspace,
                naming=naming,
                anonymous_id=self._anonymous_id if naming is None else None,
                registration=registration,
                once=self._once,
            )
        ]

    def _forget_device(self, properties: dict[str, Any]) -> list[Said]:
        token = validation.known_token(self._device(properties).get("token"), _TOKEN)
        request_id, once = self._request_id, self._once
        if self._user is None:
            return [
                self._people.forgetting_token(
                    self._workspace, token, self._anonymous_id, request_id=request_id, once=once
                )
            ]
        return [
            self._people.forgetting_device(
                self._workspace, self._user, token, request_id=request_id, once=once
            )
        ]

    def _device(self, properties: dict[str, Any]) -> dict[str, Any]:
        """In the context, or among the properties, as one page of Customer.io's has it."""
        context = validation.optional_object(self._item.get("context"), "context")
        device = validation.optional_object(context.get("device"), "context.device")
        told = properties.get("device")
        beside = told if isinstance(told, dict) else {}
        return {name: device.get(name, beside.get(name)) for name in DEVICE_FIELDS}

    # Everything else.

    def _report(self, properties: dict[str, Any]) -> list[Said]:
        found = delivery_reports.report(
            properties.get("deliveryId"),
            properties.get("metric"),
            properties.get("recipient"),
            at=self._at,
            href=properties.get("href"),
            # As their in-app clicks have it, or as a report by hand does.
            action=properties.get("actionName") or properties.get("action"),
        )
        return [] if found is None else [replace(found, workspace_id=self._workspace)]

    def _end(self, name: str) -> list[Said]:
        if self._user is None:
            raise BadRequest("userId", "is needed, and cannot be empty", "missing")
        people, user, once = self._people, self._user, self._once
        if name == "User Unsuppressed":
            return [people.unsuppressing(self._workspace, user, once=once)]
        done = people.suppressing if name == "User Suppressed" else people.forgetting_person
        return [done(self._workspace, user, request_id=self._request_id, once=once)]

    def _happened(self, name: object, properties: dict[str, Any], kind: EventKind) -> list[Said]:
        field = "event" if kind == "event" else "name"
        event = parse.happened(name, field, properties, "properties", kind=kind, at=self._at)
        if self._user is not None:
            naming = PersonReference(workspace_id=self._workspace, path=self._user, field="userId")
            return [PersonUpdate(workspace_id=self._workspace, naming=naming, event=event, once=self._once)]
        if self._anonymous_id is None:
            raise BadRequest("userId", "is needed, or an anonymousId", "missing")
        return [
            PersonUpdate(
                workspace_id=self._workspace,
                anonymous_id=self._anonymous_id,
                event=event,
                once=self._once,
            )
        ]


def _anonymous_id(found: object, field: str) -> str | None:
    text = parse.anonymous_id(found, field)
    return None if text is None or text.strip() in _NOBODY else text


def _user(found: object) -> Identifier | None:
    """The person that a userId names; None for a missing one, an empty one and the word null."""
    text = validation.optional_text(
        validation.number_as_text(found), "userId", max_bytes=validation.MAX_ID_BYTES
    )
    if text is None or text.strip() in _NOBODY:
        return None
    return validation.checked_identifier(identity.of_path(text), "userId")


def _happened_at(item: dict[str, Any], sent_with: object, received_at: datetime) -> datetime:
    """When an item happened, by our clock; the time of receipt if it has no valid time.

    A `timestamp` next to an `originalTimestamp` was already corrected by the sender that forwarded the item.
    """
    original, said_at = _time(item.get("originalTimestamp")), _time(item.get("timestamp"))
    sent_at = _time(item.get("sentAt")) or _time(sent_with)
    happened_at = original or said_at
    if happened_at is not None and sent_at is not None:
        return times.corrected(happened_at, sent_at=sent_at, received_at=received_at)
    return said_at or original or received_at


def _time(found: object) -> datetime | None:
    return None if found is None else times.from_iso(found) or times.from_milliseconds(found)
