"""The result of an import, or of its dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import Skip

MOST_EXAMPLES = 5  # for each reason
MOST_DIFFERENCES = 100


class PeopleCount(msgspec.Struct, kw_only=True):
    """People of a file, each counted once."""

    new: int = 0
    known: int = 0


class DeviceCounts(msgspec.Struct, kw_only=True):
    """Devices of a file, each counted once.

    Attributes:
        known: their person has them already.
        moved: somebody else had them.
        anonymous: of people who never logged in; each is kept until a person identifies with its anonymous id.
    """

    new: int = 0
    known: int = 0
    moved: int = 0
    anonymous: int = 0


class SkipExample(msgspec.Struct, kw_only=True):
    """A line of the file of which something was skipped, and the reason."""

    line: int
    reason: str
    field: str
    detail: str


class Verification(msgspec.Struct, kw_only=True):
    """The devices of the file compared with those that are there after it was imported.

    Attributes:
        lines: those of the first differences.
    """

    devices: int = 0
    missing: int = 0
    wrong_owner: int = 0
    lines: list[int] = msgspec.field(default_factory=list)


class ProbeCounts(msgspec.Struct, kw_only=True):
    """What FCM said to a sample of the file's Android devices when it was asked to validate a push, and to send none.

    Attributes:
        accepted: FCM would take a push.
        unregistered: it knows the device as gone. It does not say so of all that are.
        other_sender: the token belongs to another Firebase project.
        refused: it is no token.
        no_credentials: the workspace has none for the device's app.
        unanswered: FCM was busy, or answered something else.
    """

    accepted: int = 0
    unregistered: int = 0
    other_sender: int = 0
    refused: int = 0
    no_credentials: int = 0
    unanswered: int = 0


class Counts(msgspec.Struct, kw_only=True):
    """The result of an import so far; of a dry run, what an import would do."""

    rows: int = 0
    people: PeopleCount = msgspec.field(default_factory=PeopleCount)
    devices: DeviceCounts = msgspec.field(default_factory=DeviceCounts)
    platforms: dict[str, int] = msgspec.field(default_factory=dict)
    skipped: dict[str, int] = msgspec.field(default_factory=dict)
    examples: list[SkipExample] = msgspec.field(default_factory=list)
    verified: Verification | None = None
    probe: ProbeCounts | None = None

    def skip(self, line: int, reason: str, field: str = "", detail: str = "") -> None:
        """Count a skipped record, and keep the first examples of each reason."""
        so_far = self.skipped[reason] = self.skipped.get(reason, 0) + 1
        if so_far <= MOST_EXAMPLES:
            self.examples.append(SkipExample(line=line, reason=reason, field=field, detail=detail))

    def skipped_as(self, line: int, skip: Skip) -> None:
        """The same for what a reader left out."""
        self.skip(line, skip.reason.value, skip.field, skip.detail)

    def differs(self, line: int, what: str) -> None:
        """Count a device that is `missing` or has the `wrong_owner`."""
        assert self.verified is not None  # noqa: S101 - it is being verified
        setattr(self.verified, what, getattr(self.verified, what) + 1)
        if len(self.verified.lines) < MOST_DIFFERENCES:
            self.verified.lines.append(line)
