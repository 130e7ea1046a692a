"""A run directory for tests that start no training. Knows no model."""

from __future__ import annotations

import sys
from pathlib import Path

from tunekit import CompletionExample, Dataset, TuneSpec
from tunekit.training.run.rundir import RunDirectory, RunPlan


def make_run(runs: Path, *, threads: int = 1) -> RunDirectory:
    """Publish a run of one row, on a model that is not there."""
    plan = RunPlan(
        run_id="run-" + "0" * 20,
        key="k",
        model="/m",
        spec=TuneSpec(),
        python=sys.executable,
        threads=threads,
        created_at=0.0,
    )
    return RunDirectory.create(runs, plan, Dataset([CompletionExample(prompt="a", completion="b")]), None)
