"""Contexts: the servers that somebody works with, each with the key of one workspace, in a file that only they can read."""

from __future__ import annotations

import os
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pushkeeper.errors import BadRequest, Misconfigured, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

_READABLE_BY_OTHERS = 0o077
_ON_THIS_MACHINE = ("data", "database_url", "config_file")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace on a server.

    Attributes:
        key: an App API key of the workspace.
        ca_file: the certificate authority of the server, where it is not one that this machine trusts.
    """

    url: str
    key: str
    workspace: str
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"Context(url={self.url!r}, workspace={self.workspace!r})"


class Contexts(msgspec.Struct, kw_only=True):
    """All of them by name, and which one is used where none is named."""

    current: str | None = None
    contexts: dict[str, Context] = msgspec.field(default_factory=dict)


def place(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of contexts."""
    folder = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder, "pushkeeper", "contexts.json")


def read() -> Contexts:
    """The contexts there are.

    Raises:
        Misconfigured: the file cannot be read, is none of ours, or can be read by other users.
    """
    file = place()
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & _READABLE_BY_OTHERS:
                raise Misconfigured(
                    f"{file} holds keys and can be read by other users. Run `chmod 600 {file}`"
                )
            return msgspec.json.decode(opened.read(), type=Contexts)
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"{file} is not a file of contexts: {error}") from error


def write(contexts: Contexts) -> None:
    """Write all of them, whole, and for this user alone.

    Raises:
        Misconfigured: the file cannot be written.
    """
    file = place()
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(msgspec.json.format(msgspec.json.encode(contexts)))
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise Misconfigured(f"{file} cannot be written ({error.strerror})") from error


def named(name: str) -> Context:
    """The context of this name.

    Raises:
        NotFound: it does not exist.
    """
    found = read().contexts
    if name not in found:
        known = (
            f"Known contexts: {', '.join(sorted(found))}" if found else "Run `pushkeeper login` to add one"
        )
        raise NotFound(f"There is no context named {name!r}. {known}")
    return found[name]


def chosen(options: Mapping[str, Any]) -> Context | None:
    """Which server a command is about: None for the database of this machine.

    An option comes before the environment, and the environment before the context that is in use.

    Raises:
        NotFound, Misconfigured: there is no such context, or only half of what the environment needs.
    """
    if options.get("context") is not None:
        return named(options["context"])
    if any(options.get(name) is not None for name in _ON_THIS_MACHINE):
        return None
    if name := os.environ.get("PUSHKEEPER_CONTEXT"):
        return named(name)
    if url := os.environ.get("PUSHKEEPER_URL"):
        key = os.environ.get("PUSHKEEPER_APP_API_KEY")
        if not key:
            raise Misconfigured(
                "PUSHKEEPER_URL is set without PUSHKEEPER_APP_API_KEY, the key to call it with"
            )
        workspace = os.environ.get("PUSHKEEPER_WORKSPACE", "")
        return Context(url=url, key=key, workspace=workspace, ca_file=os.environ.get("PUSHKEEPER_CA_FILE"))
    if any(os.environ.get(name) for name in ("PUSHKEEPER_DATA_DIR", "PUSHKEEPER_DATABASE_URL")):
        return None
    current = read().current
    return None if current is None else named(current)


def require_safe(url: str) -> None:
    """Refuse an address to which a key cannot be sent safely.

    Raises:
        BadRequest: it is no address of a server, or unencrypted over a network.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadRequest(
            "url",
            f"{url!r} is not the address of a server. Use one such as https://push.example.com",
            is_sentence=True,
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise BadRequest(
            "url", "Use https: over http, others on the network could read the key", is_sentence=True
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
