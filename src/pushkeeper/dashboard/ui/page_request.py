"""One browser request, with its user and workspace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.errors import BadRequest, NotFound, PushkeeperError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.datastructures import QueryParams

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.core.roles import Role
    from pushkeeper.services.accounts import User
    from pushkeeper.services.workspaces import NamedWorkspace
    from pushkeeper.web.upload import Upload

MAX_QUERY_CHARACTERS = 4_000
_BIGINT_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Form:
    """A form's input, and what is wrong with it.

    Attributes:
        values: by the fields' names; a field that is there several times has them all.
        files: what was chosen in file fields.
        upload: the file that ends the form, where it may be of any length.
        problem: why it was not taken.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    upload: Upload | None = field(default=None, repr=False)
    problem: PushkeeperError | None = None

    @property
    def is_sent(self) -> bool:
        """Whether there is one at all."""
        return bool(self.values)

    def text(self, name: str, default: str = "") -> str:
        """A field's text, without surrounding spaces."""
        return self.raw(name, default).strip()

    def raw(self, name: str, default: str = "") -> str:
        """A field's text unchanged, for passwords."""
        found = self.values.get(name)
        return found[0] if found else default

    def every(self, name: str) -> Sequence[str]:
        """All that was ticked of a field."""
        return self.values.get(name, ())

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return name in self.values

    def wrong(self, name: str) -> str:
        """The error of a field, shown beside it; empty when valid."""
        return said_of(self.problem) if self.problem and self.about == name else ""

    @property
    def about(self) -> str:
        """The field that is wrong; empty when it is none, or not said."""
        if not isinstance(self.problem, BadRequest):
            return ""
        return str(self.problem.path[0]) if self.problem.path else ""


def said_of(error: PushkeeperError) -> str:
    """An error as a sentence, without the name of the field it is shown at."""
    return error.beside_its_field if isinstance(error, BadRequest) else error.sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One request.

    Attributes:
        user: who is logged in; None on public pages.
        workspace: that of the address, or else the last visited one.
        workspaces: all of them, for a logged-in user.
        held: the session cookie.
        device: the cookie of a browser that somebody logged in with.
        latest: the number of the last visited workspace, from its cookie.
        simulator: whether there is a simulator, and so its panel.
        fragment: htmx requests only a part of the page.
    """

    method: str
    path: str
    segments: Mapping[str, str]
    query: QueryParams
    address: str
    request_id: str
    held: str = field(repr=False)
    device: str = field(default="", repr=False)
    notice: str = ""
    theme: str = ""
    latest: str = ""
    fragment: bool = False
    simulator: bool = False
    user: User | None = None
    workspace: NamedWorkspace | None = None
    workspaces: Sequence[NamedWorkspace] = ()
    form: Form = field(default_factory=Form)

    @property
    def known_user(self) -> User:
        """The logged-in user, on a page that requires one."""
        assert self.user is not None  # noqa: S101 - the guard requires one
        return self.user

    @property
    def actor(self) -> Actor:
        """Who makes a change by this request."""
        user = self.user
        return Actor(
            kind=ActorKind.USER,
            user_id=user.user_id if user else None,
            name=user.name if user else "",
            address=self.address,
        )

    @property
    def workspace_id(self) -> WorkspaceId:
        """The workspace of an address that names one."""
        assert self.workspace is not None  # noqa: S101 - the gate looked it up
        return self.workspace.workspace_id

    def may(self, role: Role) -> bool:
        """Whether the logged-in user has this role."""
        return self.user is not None and self.user.role.includes(role)

    def number(self, name: str, what: str) -> int:
        """A number of the address.

        Raises:
            NotFound: it is none.
        """
        text = self.segments[name]
        if not _is_number(text):
            raise NotFound(f"{what.capitalize()} not found")
        return int(text)

    def asked(self, name: str) -> str:
        """What the address asks for by this name.

        Raises:
            BadRequest: it is too long.
        """
        found = (self.query.get(name) or "").replace("\0", "").strip()
        if len(found) > MAX_QUERY_CHARACTERS:
            raise BadRequest(name, f"at most {MAX_QUERY_CHARACTERS:,} characters", "out_of_range")
        return found

    def asked_number(self, name: str) -> int | None:
        """A number that the address asks for by this name; None where it asks for none.

        Raises:
            BadRequest: it is no whole number.
        """
        text = self.asked(name)
        if not text:
            return None
        if not _is_number(text):
            raise BadRequest(name, "expected a whole number")
        return int(text)

    def to(self, *segments: object) -> str:
        """An address in this workspace."""
        assert self.workspace is not None  # noqa: S101 - the gate looked it up
        return path_of("w", self.workspace.name, *segments)

    def with_form(self, **changes: Any) -> PageRequest:  # noqa: ANN401 - a form's own fields
        """The same with what its form says changed."""
        return replace(self, form=replace(self.form, **changes))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _BIGINT_DIGITS


def path_of(*segments: object) -> str:
    """An address of these segments, whatever is in them."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)
