"""Completion of commands and options by the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print a script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print a script that completes commands, options and context names in SHELL.

    \b
    Examples:
      echo 'eval "$(pushkeeper completion bash)"' >> ~/.bashrc
      pushkeeper completion zsh > "${fpath[1]}/_pushkeeper"
      pushkeeper completion fish > ~/.config/fish/completions/pushkeeper.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click has one for each choice
    root = ctx.find_root().command
    click.echo(made(root, {}, "pushkeeper", "_PUSHKEEPER_COMPLETE").source())
