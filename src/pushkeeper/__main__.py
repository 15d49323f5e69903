"""The program `pushkeeper`, which is also `python -m pushkeeper`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLES = {"--database-url": "PUSHKEEPER_DATABASE_URL", "--replica-url": "PUSHKEEPER_REPLICA_URL"}
_WITH_VALUES = {*_VARIABLES, "--data", "--config"}
_WARNING = """\
Warning: {option} holds a password, which other users of this machine could read in the list of processes until now, and \
which your shell may keep. Set {variable} instead, or leave the password out and set PGPASSWORD or PGPASSFILE.
"""


def main() -> None:
    """Run a command; a database password among its arguments is moved to where only this user can read it.

    Standard input, output and error are opened if the caller closed them: otherwise the next file or socket would get
    one of their numbers, and what is printed would end up there. The arguments of a running process can be read by
    everybody, and cannot reliably be overwritten: the process starts itself again, with the same process ID, without
    it.
    """
    open_standard_files()
    arguments, moved = sys.argv[1:], dict[str, str]()
    for option, variable in _VARIABLES.items():
        arguments, url = without_password(arguments, option)
        if url is not None:
            sys.stderr.write(_WARNING.format(option=option, variable=variable))
            moved[variable] = url
    if moved:
        sys.stderr.flush()
        before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
        environment = {**os.environ, **moved}
        os.execve(sys.executable, [sys.executable, *before, *arguments], environment)  # noqa: S606 - ourselves
    from pushkeeper.cli import main as commands

    commands(prog_name="pushkeeper")


def open_standard_files() -> None:
    """Open the null device as each of standard input, output and error that is closed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is given out, which is this one: those below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - takes no keywords
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def without_password(arguments: Sequence[str], option: str) -> tuple[list[str], str | None]:
    """The arguments without the URL of an option, and the URL, where it holds a password; else the arguments unchanged, and None."""
    kept: list[str] = []
    url = None
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--" or _is_foreign(argument, kept):
            kept += [argument, *rest]
        elif name == option:
            url = value if equals else next(rest, "")
        else:
            kept += [argument, *([next(rest, "")] if argument in _WITH_VALUES else [])]
    return (kept, url) if url is not None and holds_password(url) else (list(arguments), None)


def holds_password(url: str) -> bool:
    """Whether a PostgreSQL URL holds a password, in either of its places; one that can't be read might."""
    try:
        parts = urlsplit(url)
        return bool(parts.password) or not {"password", "sslpassword"}.isdisjoint(parse_qs(parts.query))
    except ValueError:
        return "@" in url


def _is_foreign(argument: str, kept: Sequence[str]) -> bool:
    """Whether this begins the command of `pushkeeper postgres COMMAND …`, whose arguments are none of ours."""
    return kept[:1] == ["postgres"] and not argument.startswith("-")


if __name__ == "__main__":
    main()
