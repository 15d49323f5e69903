"""What a workspace chose, and lists about it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, defstruct, structs

from pushkeeper.core.actor import ActorKind
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import Environment, Provider
from pushkeeper.services.schemas.base import PageQuery, Request, View
from pushkeeper.store.admin.audit import Outcome
from pushkeeper.store.admin.workspaces import KeyKind, Options

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.admin.audit import AuditLine
    from pushkeeper.store.webhooks import LoggedCall


OptionsChange = defstruct(
    "OptionsChange",
    [(option.name, option.type | UnsetType, UNSET) for option in structs.fields(Options)],
    bases=(Request,),
    namespace={"__doc__": "The options to change; others are kept."},
    frozen=True,
    kw_only=True,
)


class ChosenOptionsView(View, frozen=True, kw_only=True):
    """All options of a workspace."""

    options: Options


class CredentialView(View, frozen=True, kw_only=True):
    """A credential of a push service, without its secret."""

    credential_id: int
    provider: Provider
    kind: str
    app: str
    environment: Environment
    facts: dict[str, Any]
    endpoint_url: str | None
    created_at: datetime
    changed_at: datetime


class CredentialListView(View, frozen=True, kw_only=True):
    """The credentials of a workspace."""

    credentials: list[CredentialView]


class KeyView(View, frozen=True, kw_only=True):
    """An API key without its secret: its site ID or prefix."""

    kind: KeyKind
    key_id: str
    created_at: datetime


class KeyListView(View, frozen=True, kw_only=True):
    """The API keys of a workspace."""

    keys: list[KeyView]


class ActorView(View, frozen=True, kw_only=True):
    """Who made a change."""

    kind: ActorKind
    name: Annotated[
        str | None,
        Meta(
            description="The site ID or public prefix of a key, the operating system's user of the command line, or the "
            "kind of job; null for users."
        ),
    ]


class AuditLineView(View, frozen=True, kw_only=True):
    """A line of the audit log, without the name (an e-mail address) and the network address of a user of the dashboard.

    App keys are in back-ends and with third parties, and workspaces share the dashboard's users. The number is enough to
    tell users apart; admins see in the dashboard whose it is.
    """

    audit_id: int
    at: datetime
    actor: ActorView
    user_id: Annotated[
        int | None, Meta(description="The number of the dashboard user; null for other actors.")
    ]
    action: str
    target: str
    outcome: Outcome
    detail: str

    @classmethod
    def of(cls, line: AuditLine) -> Self:
        return cls.from_attributes(
            line,
            actor=ActorView(kind=line.actor, name=None if line.actor is ActorKind.USER else line.user_name),
        )


class AuditPageView(View, frozen=True, kw_only=True):
    """A page of the audit log, newest first."""

    audit: list[AuditLineView]
    next: str | None


class WebhookCallView(View, frozen=True, kw_only=True):
    """A delivery to a webhook's endpoint: its event and the response."""

    call: int
    at: datetime
    event_id: UUID
    event: str
    delivery_id: str | None
    person: str | None
    attempt: int
    status: int | None
    failure: str | None
    took_ms: int

    @classmethod
    def of(cls, one: LoggedCall) -> Self:
        return cls.from_attributes(
            one,
            delivery_id=None if one.delivery_id is None else str(one.delivery_id),
            person=None if one.person_id is None else cio_id(one.person_id),
        )


class WebhookCallPageView(View, frozen=True, kw_only=True):
    """A page of the calls of a webhook, newest first."""

    calls: list[WebhookCallView]
    next: str | None


class AuditQuery(PageQuery, frozen=True, kw_only=True):
    """Lines of the audit log."""

    actor: Annotated[ActorKind, Meta(description="Only changes by this type of actor.")] | None = None
