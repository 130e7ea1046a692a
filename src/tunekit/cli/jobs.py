"""`tunekit jobs`: what this home has submitted, newest first, as last seen. Asks no backend."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunekit.cli._table import table

if TYPE_CHECKING:
    from tunekit.jobs.job import FineTuneJob

HEADER = ("JOB", "STATE", "BASE MODEL", "SUBMITTED (UTC)", "TUNED MODEL")


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("jobs", help="list the jobs that this home has submitted, newest first")
    parser.add_argument("--backend", help="only jobs of this backend")
    parser.add_argument("--limit", type=int, default=20, help="how many at most (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print."""
    from tunekit.jobs.job import FineTuneJob

    jobs = FineTuneJob.list(backend=arguments.backend, limit=arguments.limit)
    return table(HEADER, [_row(job) for job in jobs])


def _row(job: FineTuneJob) -> tuple[str, ...]:
    record = job.record
    if record is None:  # a listed job always has one; only an attached stranger has none
        return (str(job.ref), "", "", "", "")
    submitted = datetime.fromtimestamp(record.created_at, tz=UTC).strftime("%Y-%m-%d %H:%M")
    return (str(job.ref), record.state.value, record.model, submitted, record.tuned_model)
