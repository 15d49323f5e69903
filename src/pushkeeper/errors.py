"""The public error tree.

    PushkeeperError
    ├── BadRequest            what was asked for is malformed; has the field's path and a code
    │   └── TooLarge          … because it is over a limit
    ├── Unauthorized          no key, or a wrong one
    │   └── WrongCell         … because it is a key of another cell
    ├── Forbidden             the key is right; what it asks for isn't set up or allowed
    ├── NotFound              nothing of that name
    ├── Conflict              the name is taken, or the thing is in use
    ├── TooManyRequests       this key has made all the calls that it may for now
    ├── TooSlow               the answer would take longer than may be waited for
    ├── Misconfigured         a setting, file or folder is not usable; says which
    ├── MethodNotAllowed      the path exists, but not for this HTTP method
    └── Unreachable           a server that is needed does not answer, or not now

Each class has a stable `code`, for machines; its message is for people and never holds a secret or a whole token.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

Path: TypeAlias = "tuple[str | int, ...]"
FieldCode: TypeAlias = Literal[
    "missing",
    "unknown_field",
    "unknown_value",
    "wrong_type",
    "out_of_range",
    "too_large",
    "conflicting_fields",
    "malformed",
]
FIELD_CODES: Mapping[FieldCode, str] = MappingProxyType(
    {
        "missing": "A required field is missing.",
        "unknown_field": "The field does not exist. The message suggests a similar one, if there is one.",
        "unknown_value": "The value is not one of the allowed values, which the message lists.",
        "wrong_type": "The value has the wrong type.",
        "out_of_range": "The number, or the number of items, is too small or too large.",
        "too_large": "The text, list or body is longer than its limit.",
        "conflicting_fields": "The field cannot be combined with another field of the request.",
        "malformed": "The value has the right type, but cannot be parsed.",
    }
)
FIELD_REMEDIES: Mapping[FieldCode, str] = MappingProxyType(
    {
        "missing": "Add the field that `path` names.",
        "unknown_field": "Check the spelling, and the fields of the call in the API reference.",
        "unknown_value": "Use one of the values that the message lists.",
        "wrong_type": "Send the type that the message expects; numbers and booleans without quotes.",
        "out_of_range": "Use a value within the range that the message gives.",
        "too_large": "Shorten the value, or split the request into several.",
        "conflicting_fields": "Send only one of the two fields.",
        "malformed": "Correct the value; for filters and templates the message gives the position of the error.",
    }
)
"""What to do about each code, for the generated page of errors."""

_PREDICATE = re.compile(r"(?:is|are|was|has|cannot|can|must|may|does|do|goes|needs|requires|makes) ")
_PLAIN_WORD = re.compile(r"[a-z]+(?=[ ,;]|\.?\Z)")
_INDEXES = re.compile(r"(?:\[[0-9]{1,9}\])+\Z")


DOCS_PATH = "/api/docs/errors"  # the page of all codes, which the service serves itself


def docs_url(code: str) -> str:
    """The address of the explanation of an error code, relative to the service."""
    return f"{DOCS_PATH}#{code}"


class PushkeeperError(Exception):
    """The base of all errors of Pushkeeper.

    Attributes:
        code: stable, for machines.
        remedy: what a caller can do about it, for the generated page of errors.
    """

    code = "internal_error"
    remedy = ""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def sentence(self) -> str:
        """The message as a whole sentence."""
        return sentence(self.message)


class BadRequest(PushkeeperError):
    """A field is missing, malformed or out of range; nothing was changed.

    `code` is one of FIELD_CODES; `type(error).code` says no more than that it is a bad request.

    Attributes:
        path: names and indexes that lead to the field: `("batch", 3, "name")`.
        problem: what is wrong with it, without its name; with `is_sentence`, a sentence that needs no name before it.
    """

    code = "bad_request"
    remedy = "Correct the field that `path` names."
    _usual: FieldCode = "malformed"

    def __init__(
        self, path: str | Path, problem: str, code: FieldCode | None = None, *, is_sentence: bool = False
    ) -> None:
        """`path` can be written as text: `batch[3].name`."""
        self.path: Path = path_of(path) if isinstance(path, str) else path
        self.problem = problem
        self.is_sentence = is_sentence
        super().__init__(problem if is_sentence else f"{self.field}: {problem}")
        self.code = code or self._usual

    @property
    def sentence(self) -> str:
        """The message as a whole sentence, such as "Invalid limit: expected a whole number."."""
        if self.is_sentence or not self.path:
            return sentence(self.problem)
        if _PREDICATE.match(self.problem):
            return sentence(f"{self.field} {self.problem}", starts_with_name=True)
        return sentence(f"Invalid {self.field}: {self.problem}")

    @property
    def beside_its_field(self) -> str:
        """The same message for display next to the field."""
        if not self.is_sentence and _PREDICATE.match(self.problem):
            return sentence(f"This field {self.problem}")
        return sentence(self.problem)

    @property
    def field(self) -> str:
        """The path as people write it: `batch[3].name`."""
        return shown_path(self.path)

    def at(self, path: str | Path) -> Self:
        """The same error of a field of another name or place."""
        return type(self)(path, self.problem, cast("FieldCode", self.code), is_sentence=self.is_sentence)

    def renamed(self, old: str, new: str) -> Self:
        """The same error for a caller whose field is called otherwise: the outermost name is replaced."""
        return self.at((new, *self.path[1:])) if self.path[:1] == (old,) else self

    def under(self, outer: str | Path) -> Self:
        """The same error where its field is within another: `error.under("content")`."""
        return self.at((*(path_of(outer) if isinstance(outer, str) else outer), *self.path))


class TooLarge(BadRequest):
    """The field is over its limit."""

    code = "too_large"
    _usual: FieldCode = "too_large"


def sentence(text: str, *, starts_with_name: bool = False) -> str:
    """A text with a capital at its start and a full stop at its end; the name of a field keeps its case."""
    if not starts_with_name and _PLAIN_WORD.match(text):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) or not text else f"{text}."


def path_of(field: str) -> Path:
    """The names and indexes of a path that is written as `batch[3].name`."""
    path: list[str | int] = []
    for n, part in enumerate(field.split(".")):
        found = _INDEXES.search(part)
        name, indexes = (part[: found.start()], found[0]) if found else (part, "")
        # A field that begins with an index has no name before it.
        if name or n or (field and not found):
            path.append(name)
        path += [int(index) for index in indexes[1:-1].split("][") if index]
    return tuple(path)


def shown_path(path: Path) -> str:
    """A path as people write it."""
    shown = ""
    for n, part in enumerate(path):
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if n else part
    return shown


class Unauthorized(PushkeeperError):
    """The request has no key, or the key is not valid for this API."""

    code = "unauthorized"
    remedy = (
        "Native API and App API: `Authorization: Bearer` with an App API key. Track API: site ID and API key. Data Pipelines "
        "API: the write key. `pushkeeper keys list` shows which keys are active."
    )


class WrongCell(Unauthorized):
    """The key belongs to another cell than the one that received the request."""

    code = "wrong_cell"
    remedy = "Send the request to the host of the cell in the message, or update the map of the proxy in front of the cells."


class Forbidden(PushkeeperError):
    """The key is valid, but the request is not allowed, or what it needs is not set up."""

    code = "forbidden"
    remedy = "The message says what is missing, such as credentials of the workspace."


class NotFound(PushkeeperError):
    """The object does not exist in this workspace."""

    code = "not_found"
    remedy = "Check the ID, and that the key belongs to the workspace of the object."


class Conflict(PushkeeperError):
    """The name is taken, or the object is in use, or was changed by somebody else."""

    code = "conflict"
    remedy = "Read the object again, then retry with another name or the current `version`."


class TooManyRequests(PushkeeperError):
    """The key, or its workspace, exceeded its rate limit; `retry_after_s` says when to retry."""

    code = "too_many_requests"
    remedy = "Wait for `Retry-After`, send batches, or raise the setting `requests_per_s`."

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooSlow(PushkeeperError):
    """The request concerns so much data that the response would take longer than allowed."""

    code = "too_slow"
    remedy = "Narrow the filter or the period, or ask for an estimate (`within_ms`)."


class Misconfigured(PushkeeperError):
    """A setting, file or folder cannot be used; the message says which."""

    code = "misconfigured"
    remedy = "Correct the setting that the message names, then run `pushkeeper doctor`."


class MethodNotAllowed(PushkeeperError):
    """The path exists, but not for this HTTP method."""

    code = "method_not_allowed"
    remedy = "Use one of the methods in the `Allow` header."


class Unreachable(PushkeeperError):
    """A server that is needed, such as the database, cannot answer now; nothing was changed."""

    code = "unreachable"
    remedy = (
        "Wait for `Retry-After` and send the request again. `/readyz` and `pushkeeper doctor` give the cause."
    )

    def __init__(self, message: str, *, retry_after_s: int = 2) -> None:
        """The number of seconds after which to retry."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


_HTTP_STATUS: tuple[tuple[type[PushkeeperError], int], ...] = (
    (BadRequest, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (MethodNotAllowed, 405),
    (Conflict, 409),
    (TooManyRequests, 429),
    (Unreachable, 503),
    (TooSlow, 504),
)


def http_status(error: PushkeeperError) -> int:
    """The HTTP status of an error: what is none of the caller's fault is 500."""
    return next((status for kind, status in _HTTP_STATUS if isinstance(error, kind)), 500)


class ErrorCode(NamedTuple):
    """An error code as the pages of errors show it."""

    code: str
    status: str
    meaning: str
    remedy: str


def reference() -> tuple[list[ErrorCode], list[ErrorCode]]:
    """All codes: those of requests as a whole, and those of fields."""
    whole = [
        ErrorCode(kind.code, str(http_status(kind("x"))), (kind.__doc__ or "").splitlines()[0], kind.remedy)
        for kind in globals().values()
        if isinstance(kind, type)
        and issubclass(kind, PushkeeperError)
        and kind is not PushkeeperError
        and not issubclass(kind, BadRequest)
    ]
    internal = ErrorCode(
        PushkeeperError.code,
        "500",
        "An unexpected error of the server.",
        "Search the log for the request ID, and report it.",
    )
    fields = [
        ErrorCode(code, "400 or 413" if code == "too_large" else "400", meaning, FIELD_REMEDIES[code])
        for code, meaning in FIELD_CODES.items()
    ]
    return [*whole, internal], fields
