"""Commands that a page of the documentation prints, run as a newcomer would: pasted into a shell."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.processes import CLEAN

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, *, under=None):
    """The shell blocks of a page in their order, or those below one of its headings."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if under is not None:
        sections = re.split(r"^## ", text, flags=re.MULTILINE)
        (text,) = [section for section in sections if section.startswith(under)]
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Shell:
    """A folder to work in, with `pushkeeper` on the path as an installation has it, and variables that last."""

    def __init__(self, folder, **env):
        self.folder = Path(folder)
        programs = self.folder / "programs"
        programs.mkdir(parents=True, exist_ok=True)
        script = programs / "pushkeeper"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m pushkeeper "$@"\n')
        script.chmod(0o755)
        self.env = {**CLEAN, **env, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(self, text):
        """What the commands say; the first that fails fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (text, done.stdout, done.stderr)
        return done.stdout


def commands(page):
    """Each `pushkeeper …` that a page's shell blocks print, as its words."""
    for block in blocks(page):
        text = re.sub(r"\\\n\s*", " ", block)
        for found in re.findall(
            r"""(?:^|[\s(/])pushkeeper ([a-z](?:"[^"]*"|'[^']*'|[^\n|;&>#)"'])*)""", text
        ):
            # Variables are replaced by a word; text in quotation marks is one.
            words = shlex.split(re.sub(r"\$\w+|\$\{\w+\}", "WORD", found), comments=True)
            if words != ["pushkeeper"]:  # an image of this name in a folder of this name
                yield words
