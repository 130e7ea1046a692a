"""The transcripts of docs/guides/prepare-transcripts.md: runs their commands and writes the page anew.

python -m tests.real.transcripts
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path
from unittest import mock

from tunekit.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "prepare-transcripts.md"
BLOCK = re.compile(r"```text\n\$ (tunekit prepare [^\n]+)\n((?:(?!```).*\n)*)```\n")


def said(command: str, folder: Path) -> str:
    """What the command prints when its user presses Enter at every question; files go to `folder`."""
    _, *arguments = shlex.split(command)
    arguments = [str(ROOT / each) if each.startswith("../shared") else each for each in arguments]
    out = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        mock.patch.object(sys, "stdin", io.StringIO()),
    ):
        main(arguments)
    return out.getvalue().replace(f"{ROOT}/", "")


def renewed(page: str, folder: Path) -> str:
    """The page with the output of every command as it is now."""
    return BLOCK.sub(lambda block: f"```text\n$ {block[1]}\n{said(block[1], folder)}```\n", page)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), Path(scratch)), encoding="utf-8")
