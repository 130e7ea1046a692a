"""`tunekit backends`: what is installed. Reads package metadata only; imports no backend."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from tunekit.cli._table import table


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("backends", help="list the installed training backends")
    parser.add_argument("--names", action="store_true", help="print the names only, for scripts")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print."""
    from tunekit.backends.registry import available

    found = available()
    if arguments.names:
        return [info.name for info in found]
    rows = [(info.name, f"{info.distribution} {info.version}".strip(), info.path) for info in found]
    return table(("NAME", "PACKAGE", "CLASS"), rows)
