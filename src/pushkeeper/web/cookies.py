"""Cookies: the session, the message after an action, and the theme."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

_SESSION = "pushkeeper_session"
_NOTICE = "pushkeeper_notice"
_DEVICE = "pushkeeper_device"
BAD = "!"  # what a notice begins with when it did not go well
THEME = "pushkeeper_theme"
WORKSPACE = "pushkeeper_workspace"
_NOTICE_LIVES_S = 60
_MAX_NOTICE_BYTES = 1_500


class Names(NamedTuple):
    """What the cookies are called; over TLS browsers hold those to this very host."""

    session: str
    notice: str
    device: str
    secure: bool

    def set(self, name: str, value: str, *, lives_s: int | None = None) -> tuple[bytes, bytes]:
        """The header by which a browser keeps a value, until it is closed or for so long."""
        age = "" if lives_s is None else f"; Max-Age={lives_s}"
        secure = "; Secure" if self.secure else ""
        return b"set-cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}".encode()

    def drop(self, name: str) -> tuple[bytes, bytes]:
        """The header by which a browser forgets it."""
        return self.set(name, "", lives_s=0)

    def note(self, text: str, *, bad: bool = False) -> tuple[bytes, bytes]:
        """The cookie header for the message on the next page: a success or an error."""
        kept = f"{BAD if bad else ''}{text}".encode("utf-8", "replace")[:_MAX_NOTICE_BYTES]
        return self.set(self.notice, urlsafe_b64encode(kept).decode().rstrip("="), lives_s=_NOTICE_LIVES_S)


def names(*, secure: bool) -> Names:
    """The names to use where we are reached over TLS, or not."""
    prefix = "__Host-" if secure else ""
    return Names(
        session=f"{prefix}{_SESSION}",
        notice=f"{prefix}{_NOTICE}",
        device=f"{prefix}{_DEVICE}",
        secure=secure,
    )


def read_notice(value: str) -> str:
    """The message written by `note`; empty for anything else."""
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("utf-8", "ignore")
    except ValueError:
        return ""
