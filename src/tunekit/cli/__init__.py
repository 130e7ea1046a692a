"""The `tunekit` command. Knows which commands there are and how errors become exit codes; each command has a file.

Exit codes: 0 done, 1 a `TunekitError` (printed with its hint), 2 wrong usage, 130 Ctrl-C; others as a command
says. The library never writes to a terminal; this package is the one that does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from tunekit._version import __version__
from tunekit.cli import backends, compare, evaluate, export, jobs, models, prepare, registry, retrain, serve
from tunekit.cli._shown import shown

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments after the program's name; None takes them from the process.

    Examples:
        >>> main(["backends", "--names"])
        local
        openai
        0
    """
    from tunekit.errors import TunekitError

    arguments = _parser().parse_args(argv)
    try:
        return _printed(arguments.run(arguments))
    except TunekitError as error:
        _print(f"tunekit: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _print("tunekit: stopped", sys.stderr)
        return INTERRUPTED
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
            _flush(sys.stdout)
            return end.value or 0


def _print(line: str, out: TextIO | None) -> None:
    """Print what strangers may have named or written; the characters that `out` cannot show become question marks."""
    if out is None:
        return  # the process was started without it
    line = shown(line)
    encoding = out.encoding or "utf-8"
    with _disk_errors():
        out.write(line.encode(encoding, "replace").decode(encoding) + "\n")


def _flush(out: TextIO | None) -> None:
    if out is not None:
        with _disk_errors():
            out.flush()


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Output goes to a file as often as to a terminal, and the disk may be full."""
    from tunekit.errors import StorageError

    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what is buffered cannot be written at exit, either
        raise StorageError(
            f"cannot print: {error.strerror}", hint="free some space, or send the output elsewhere"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunekit", description="Fine-tune, evaluate and promote language models."
    )
    parser.add_argument("--version", action="version", version=f"tunekit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (prepare, evaluate, compare, export, backends, jobs, models, registry, retrain, serve):
        command.add(commands)
    return parser
