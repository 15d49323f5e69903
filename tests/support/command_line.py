"""Commands as click reads them, without running them."""

import click

from pushkeeper.cli import main


def resolved(words):
    """The command that these words name, its name, and the words that are left for it."""
    name, command, rest = main.resolve_command(click.Context(main), list(words))
    while isinstance(command, click.Group) and rest:
        name, command, rest = command.resolve_command(click.Context(command), rest)
    assert command is not None
    return name, command, rest


def parsed(words):
    """The context in which these words run: raises where there is no such command or option.

    Beneath the program's own context, as click keeps a command's help option as the first context had it made.
    """
    name, command, rest = resolved(words)
    root = click.Context(main, info_name="pushkeeper", **main.context_settings)
    return command.make_context(name, rest, parent=root)
