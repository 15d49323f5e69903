"""`python -m pushkeeper` is `pushkeeper`."""

from pushkeeper.cli import main

main(prog_name="pushkeeper")
