"""`tunekit jobs`: what this home has submitted, newest first. Asks no backend."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunekit.cli._table import table

if TYPE_CHECKING:
    from tunekit.records import RunRecord


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("jobs", help="list the jobs that this home has submitted, newest first")
    parser.add_argument("--limit", type=int, default=20, help="how many to show (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print."""
    from tunekit.store.sqlite import SqliteStore
