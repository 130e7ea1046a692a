"""A base that says one thing and adapters that say another, and what they are asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.training.conftest import train
from tunekit import Dataset, Evaluator, Sampling
from tunekit._settings import Settings
from tunekit.examples import CompletionExample, Example
from tunekit.spec import TuneSpec
from tunekit.training.run.rundir import RunDirectory, RunPlan

OLD, TUNED, SIBLING, SPOILT = ("run-" + letter * 20 for letter in "abcd")
PROMPTS = [f"ask {n}" for n in range(12)]


def answering(answer: str) -> list[Example]:
    return [
        CompletionExample(id=f"{answer} {n}", prompt=prompt, completion=answer)
        for n, prompt in enumerate(PROMPTS)
    ]


def trained(settings: Settings, run_id: str, model: Path, examples: Sequence[Example], **fields: Any) -> Path:
    """A run of the backend's, made in this process."""
    spec = TuneSpec(**{"epochs": 10, "batch_size": 4, "learning_rate": 1e-2, **fields})
    plan = RunPlan(
        run_id=run_id,
        key=run_id,
        model=str(model),
        spec=spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    run = RunDirectory.create(settings.runs, plan, Dataset(examples), None)
    train(run)
    return run.artifact_path


def evaluator(answer: str, settings: Settings, **fields: Any) -> Evaluator:
    return Evaluator(Dataset(answering(answer)), sampling=Sampling(max_tokens=4), settings=settings, **fields)


def runs(settings: Settings) -> set[str]:
    return {path.name for path in settings.runs.iterdir()}
