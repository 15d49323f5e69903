"""Which person a call's identifiers resolve to, and which identifiers they get. Customer.io's rules (Track API, "identify")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.model import PersonId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CIO_ID_DIGITS = 12


class IdentifierKind(StrEnum):
    ID = "id"
    EMAIL = "email"
    CIO_ID = "cio_id"


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """One way to name a person."""

    kind: IdentifierKind
    value: str

    @property
    def key(self) -> tuple[str, str]:
        """What two identifiers of the same person share: emails compare without case."""
        return (self.kind.value, self.value.lower() if self.kind is IdentifierKind.EMAIL else self.value)

    @property
    def person_id(self) -> PersonId | None:
        """The person of a cio_id; None for other kinds and for text that is no cio_id."""
        if self.kind is not IdentifierKind.CIO_ID:
            return None
        return person_of_cio_id(self.value)


def of_path(segment: str) -> Identifier:
    """Read a path segment: `cio_…` is a cio_id, what looks like an email is one, all else is an id."""
    if segment.startswith("cio_"):
        return Identifier(IdentifierKind.CIO_ID, segment.removeprefix("cio_"))
    if _EMAIL.fullmatch(segment):
        return Identifier(IdentifierKind.EMAIL, segment)
    return Identifier(IdentifierKind.ID, segment)


def cio_id(person_id: PersonId) -> str:
    """The person's key in hexadecimal, as Customer.io's clients show it."""
    return f"{person_id:0{_CIO_ID_DIGITS}x}"


def person_of_cio_id(text: str) -> PersonId | None:
    """The inverse of `cio_id`; None for text that is no cio_id."""
    if not re.fullmatch(r"[0-9a-f]{12,16}", text):
        return None
    person = PersonId(int(text, 16))
    return person if 0 < person < 1 << 63 and cio_id(person) == text else None


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows about the identifiers of a call.

    Attributes:
        owners: the person of each identifier, by its key; valid cio_ids included.
        kinds: the kinds of identifier that each of these people has.
    """

    owners: Mapping[tuple[str, str], PersonId]
    kinds: Mapping[PersonId, frozenset[IdentifierKind]]


@dataclass(frozen=True, slots=True)
class Update:
    """The person exists; they get these identifiers, some replacing the ones they have."""

    person_id: PersonId
    adds: tuple[Identifier, ...]
    replaces: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    """Nobody exists yet; a new person gets these identifiers."""

    adds: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody exists and nobody may be created: the call succeeds without effect."""


Plan: TypeAlias = Update | Create | Drop

_NOBODY = PersonId(0)


def plan(path: Identifier, others: Sequence[Identifier], known: Known, *, create: bool = True) -> Plan:
    """Resolve a call by `path`, which may carry `others` to set.

    An identifier that somebody else has is not applied, and an existing one is changed only through the cio_id;
    neither fails the call.
    """
    person = known.owners.get(path.key)
    if person is not None:
        return _update(person, others, known, may_replace=path.kind is IdentifierKind.CIO_ID)
    if path.kind is IdentifierKind.CIO_ID:
        return Drop()
    for other in others:
        owner = known.owners.get(other.key)
        if owner is not None and path.kind not in known.kinds.get(owner, frozenset()):
            return _update(owner, [path, *others], known, may_replace=False)
    return Create(_free([path, *others], known)) if create else Drop()


def _update(person: PersonId, others: Sequence[Identifier], known: Known, *, may_replace: bool) -> Update:
    has = known.kinds.get(person, frozenset())
    free = _free(others, known)
    adds = tuple(other for other in free if other.kind not in has)
    return Update(
        person,
        adds=adds,
        replaces=tuple(other for other in free if other not in adds) if may_replace else (),
    )


def not_applied(made: Plan, wanted: Sequence[Identifier], known: Known) -> tuple[Identifier, ...]:
    """The ids and emails of a call that its plan does not apply: somebody else has them, or the person has another."""
    if isinstance(made, Drop):
        return ()
    person = made.person_id if isinstance(made, Update) else None
    applied = made.adds + made.replaces if isinstance(made, Update) else made.adds
    return tuple(
        one
        for one in wanted
        if one.kind is not IdentifierKind.CIO_ID
        and one not in applied
        and known.owners.get(one.key, _NOBODY) != person
    )


def _free(wanted: Sequence[Identifier], known: Known) -> tuple[Identifier, ...]:
    """The identifiers that nobody has yet: the first of each kind, and no cio_id, which cannot be assigned."""
    firsts: dict[IdentifierKind, Identifier] = {}
    for one in wanted:
        if one.kind is not IdentifierKind.CIO_ID:
            firsts.setdefault(one.kind, one)
    return tuple(one for one in firsts.values() if one.key not in known.owners)
