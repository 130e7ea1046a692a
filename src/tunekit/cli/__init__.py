"""The `tunekit` command. Knows which commands there are and how errors become exit codes; each command has a file.

Exit codes: 0 done, 1 a `TunekitError` (printed with its hint), 2 wrong usage; others as a command says. The library
never writes to a terminal; this package is the one that does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from tunekit._version import __version__
from tunekit.cli import backends, jobs, prepare

__all__ = ["main"]

# What a terminal obeys, what turns text around, and halves of characters, which no file of text can hold.
_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments after the program's name; None takes them from the process.

    Examples:
        >>> main(["backends", "--names"])
        local
        0
    """
    from tunekit.errors import TunekitError

    arguments = _parser().parse_args(argv)
    try:
        return _printed(arguments.run(arguments))
    except TunekitError as error:
        _print(f"tunekit: {error}", sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Writing what is buffered at exit would raise once more.
        sys.stdout = None
    return 0


def _printed(lines: Iterable[str]) -> int:
    """Print each line as it comes; the exit code is what the lines return at their end, if they return something."""
    stream = iter(lines)
    while True:
        try:
            _print(next(stream), sys.stdout)
        except StopIteration as end:
            return end.value or 0


def _print(line: str, out: TextIO) -> None:
    """Print what strangers may have named or written; the characters that `out` cannot show become question marks."""
    line = _NOT_SHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
    encoding = out.encoding or "utf-8"
    out.write(line.encode(encoding, "replace").decode(encoding) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunekit", description="Fine-tune, evaluate and promote language models."
    )
    parser.add_argument("--version", action="version", version=f"tunekit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (prepare, backends, jobs):
        command.add(commands)
    return parser
