"""One run of one arm: train on a task's rows, and score what came out on its dev and test rows.

It knows how tunekit and its peers are asked; not which runs there are, nor what becomes of the scores.

The peers are given their own defaults: nothing but the model, the rows and a seed. They have the same 3 epochs by
default. What changes only speed is set (one thread, no recomputed activations, nothing saved).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quality.scoring import of_classifier, of_language_model, tokenised
from quality.tasks import Parts, Task
from tunekit.examples import Example, LabelledExample
from tunekit.spec import Classify, Probe, TuneSpec

Score = Callable[[Sequence[Example]], list[float]]
"""Scores rows with the tuned model."""

BARE: dict[str, TuneSpec] = {
    "sft": TuneSpec(),
    "classify": TuneSpec(method=Classify()),
    "probe": TuneSpec(method=Probe()),
}
"""What a user writes who sets nothing: SFT is the default method, the others have to be asked for."""


def run_tunekit(
    task: Task, parts: Parts, model: Path, spec: TuneSpec, scratch: Path
) -> tuple[Score, dict[str, Any]]:
    """The real path from run directory to artifact. Also what "auto" became."""
    from tunekit.data.dataset import Dataset
    from tunekit.training.models.load import load
    from tunekit.training.plan.device import configure
    from tunekit.training.run.events_log import EventLog
    from tunekit.training.run.rundir import RunDirectory, RunPlan
    from tunekit.training.trainer import run_training

    configure(threads=1)
    spec = spec.model_copy(update={"checkpoint_every_steps": 1 << 30})  # costs time and changes no weight
    plan = RunPlan(
        run_id="run",
        key="run",
        model=str(model),
        spec=spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    run = RunDirectory.create(scratch, plan, Dataset(parts.train), None)
    with EventLog(run) as log:
        run_training(run, log, lambda: None)
    tuned = load(run.artifact_path)
    decided = tuned.card.resolved if tuned.card else {}
    if task.method == "probe":
        return _probed(tuned), decided
    if tuned.classes is not None:
        names = tuned.classes.names
        return lambda rows: of_classifier(tuned.model, tuned.tokenizer, names, rows), decided
    return lambda rows: of_language_model(tuned.model, tuned.tokenizer, rows, task.choices), decided


def _probed(tuned: Any) -> Score:
    """A probe is served by tunekit, so it is asked as it is served."""
    from tunekit.training.serving.predict import generate

    def score(rows: Sequence[Example]) -> list[float]:
        labelled = [row for row in rows if isinstance(row, LabelledExample)]
        said = generate(tuned, tuned.classes, [{"prompt": row.text} for row in labelled])
        return [float(answer["text"] == row.label) for answer, row in zip(said, labelled, strict=True)]

    return score


def _arguments(scratch: Path, seed: int) -> dict[str, Any]:
    return {
        "output_dir": str(scratch),
        "seed": seed,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "gradient_checkpointing": False,
    }


def run_trl(task: Task, parts: Parts, model: Path, seed: int, scratch: Path) -> Score:
    """TRL's SFTTrainer on the same tokens and targets."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = tokenised(tokenizer, parts.train)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    columns = {
        "input_ids": [list(row.ids) for row in rows],
        "completion_mask": [[int(weight != 0) for weight in row.weights] for row in rows],
    }
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        args=SFTConfig(**_arguments(scratch, seed)),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    trainer.train()
    tuned = trainer.model.eval()
    return lambda rows: of_language_model(tuned, tokenizer, rows, task.choices)


def run_trainer(task: Task, parts: Parts, model: Path, seed: int, scratch: Path) -> Score:
    """transformers.Trainer with a new head for the classes."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)  # the head is drawn before the Trainer sets it
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = [row for row in parts.train if isinstance(row, LabelledExample)]
    names = sorted({str(row.label) for row in rows})
    data = [
        {**tokenizer(row.text, truncation=True, max_length=256), "label": names.index(str(row.label))}
        for row in rows
    ]
    trainer = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(names)),
        args=TrainingArguments(**_arguments(scratch, seed)),
        train_dataset=data,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    tuned: Any = trainer.model
    return lambda rows: of_classifier(tuned.eval(), tokenizer, names, rows)


def run_peer(task: Task, parts: Parts, model: Path, seed: int, scratch: Path) -> Score:
    """The peer that a user of the method would take."""
    if task.method == "sft":
        return run_trl(task, parts, model, seed, scratch)
    return run_trainer(task, parts, model, seed, scratch)


def run(request: dict[str, Any], task: Task, model: Path, scratch: Path) -> dict[str, Any]:
    """Train and score as the request says; JSON-ready."""
    parts = task.parts()
    if request["rows"]:
        parts = parts.first(request["rows"])
    started, decided = time.process_time(), dict[str, Any]()
    if request["arm"] == "peer":
        score = run_peer(task, parts, model, request["seed"], scratch)
    else:
        spec = TuneSpec(**request["spec"], seed=request["seed"])
        score, decided = run_tunekit(task, parts, model, spec, scratch)
    found = {"dev": score(parts.dev), "test": score(parts.test)}
    return {**found, "decided": decided, "cpu_s": round(time.process_time() - started, 1)}
