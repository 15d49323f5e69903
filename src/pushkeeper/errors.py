"""The public error tree.

    PushkeeperError
    ├── BadRequest            what was asked for is malformed; names the field
    │   └── TooLarge          … because it is over a limit
    ├── Unauthorized          no key, or a wrong one
    │   └── WrongCell         … because it is a key of another cell
    ├── Forbidden             the key is right; what it asks for isn't set up or allowed
    ├── NotFound              nothing of that name
    ├── Conflict              the name is taken, or the thing is in use
    ├── TooManyRequests       this key has made all the calls that it may for now
    ├── TooSlow               the answer would take longer than may be waited for
    ├── Misconfigured         a setting, file or folder is not usable; says which
    └── Unreachable           a server that is needed does not answer, or not now

Each class has a stable `code`, for machines; its message is for people and never holds a secret or a whole token.
"""

from __future__ import annotations


class PushkeeperError(Exception):
    """What all of ours derive from."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(PushkeeperError):
    """The field named is missing, malformed or out of range; nothing was changed."""

    code = "bad_request"

    def __init__(self, field: str, message: str) -> None:
        """`field` is a dotted path (`device.platform`); `message` a whole sentence that names it."""
        super().__init__(message)
        self.field = field


class TooLarge(BadRequest):
    """The field named is over its limit."""

    code = "too_large"


class Unauthorized(PushkeeperError):
    """No key was given, or it is not one of ours."""

    code = "unauthorized"


class WrongCell(Unauthorized):
    """The key names another cell than the one that was asked: the request was sent to the wrong database."""

    code = "wrong_cell"


class Forbidden(PushkeeperError):
    """The key is good, but what it asks for is not set up or not allowed."""

    code = "forbidden"


class NotFound(PushkeeperError):
    """There is nothing of that name in this workspace."""

    code = "not_found"


class Conflict(PushkeeperError):
    """The name is taken, or the thing is in use by another."""

    code = "conflict"


class TooManyRequests(PushkeeperError):
    """This key, or its workspace, asks for more than it may for now; `retry_after_s` says when to ask again."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooSlow(PushkeeperError):
    """What was asked is about so much that the answer takes longer than it may."""

    code = "too_slow"


class Misconfigured(PushkeeperError):
    """A setting, file or folder cannot be used; the message says which and what to do."""

    code = "misconfigured"


class Unreachable(PushkeeperError):
    """A server that is needed does not answer, or cannot do what is asked of it now; nothing was changed."""

    code = "unreachable"

    def __init__(self, message: str, *, retry_after_s: int = 2) -> None:
        """It may be well again after so many seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


_HTTP_STATUS: tuple[tuple[type[PushkeeperError], int], ...] = (
    (BadRequest, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooManyRequests, 429),
    (Unreachable, 503),
    (TooSlow, 504),
)


def http_status(error: PushkeeperError) -> int:
    """The HTTP status of an error: what is none of the caller's fault is 500."""
    return next((status for kind, status in _HTTP_STATUS if isinstance(error, kind)), 500)
