"""The rows that a local model was trained on, where its run directory lies here. Knows run directories; not the test.

A model that goes on from another has learned from that one's rows, too. Of a model of a hub or a host nobody here knows
the rows: pass them to `Evaluator.check_leakage`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.examples import Example, from_dict

if TYPE_CHECKING:
    from tunekit.refs import ModelRef
    from tunekit.training.run.rundir import RunDirectory

_RUN_ID = re.compile(r"run-[0-9a-f]{20}(-[1-9][0-9]*)?\Z")


def training_rows(model: ModelRef, runs: Callable[[], Path]) -> Iterable[Example] | None:
    """The rows that a model was trained on; None where they do not lie here.

    Args:
        model: Of the backend "local": a run, or the path of its artifact.
        runs: Directory of the runs; called where there is something to look up.

    Raises:
        StorageError: They lie here, and the plan of the run is damaged.
        ModelError: The card of the artifact is damaged.
    """
    if model.backend != "local":
        return None
    first = _run_of(model.id, runs)
    if first is None:
        return None
    found = [run for run in (first, *_before(first)) if (run.path / "data" / "train.jsonl").is_file()]
    return _rows(found) if found else None


def _run_of(model: str, runs: Callable[[], Path]) -> RunDirectory | None:
    from tunekit.training.run.rundir import RunDirectory

    path = runs() / model if _RUN_ID.match(model) else Path(model).expanduser().absolute().parent
    run = RunDirectory(path)
    # A model that was mixed from others has no rows of its own, and so no plan, but parents.
    return run if _RUN_ID.match(path.name) and (run.exists() or run.artifact_path.is_dir()) else None


def _before(run: RunDirectory) -> Iterator[RunDirectory]:
    """The runs that this one goes on from, as far as they lie beside it."""
    from tunekit.training.run.rundir import RunDirectory
    from tunekit.training.saving.artifacts import is_artifact, read_card

    if is_artifact(run.artifact_path):
        for parent in read_card(run.artifact_path).parents:
            if parent.run_id:
                yield RunDirectory(run.path.parent / parent.run_id)


def _rows(runs: Iterable[RunDirectory]) -> Iterator[Example]:
    return (from_dict(row) for run in runs for row in run.examples("train"))
