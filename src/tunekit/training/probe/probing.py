"""A run of Probe from its directory to its artifact: vectors, choice, classifier. It knows the order.

There is no loop of gradient steps. What stands for steps in the log are blocks of texts that have become vectors, and
folds of the cross-validation. Vectors are kept in the run directory as `untrained` does it; a run that is taken up
again, or another run on the same rows, model and features, reads them there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch

from tunekit import _canonical, _files
from tunekit.errors import JobFailedError
from tunekit.events import JobState
from tunekit.training.beginning import Base, base_of
from tunekit.training.models import fingerprint, load
from tunekit.training.objectives.classify import ClassifyingLearner, LabelledText
from tunekit.training.plan.preflight import names
from tunekit.training.preparing import Limit
from tunekit.training.probe.probe import Choice, Labels, bounded, choose, fitted
from tunekit.training.probe.probe_setup import ROWS_PER_STEP, Probing, card_of, prepared
from tunekit.training.probe.probed import ProbedModel, tensors_of
from tunekit.training.ranks.dealing import ForwardPasses
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.leaving import before_the_first_step
from tunekit.training.run.rundir import RunDirectory, RunResult
from tunekit.training.run.stops import AskStop, AtOnce, Stop, Stopped
from tunekit.training.run.untrained import Untrained
from tunekit.training.saving import artifacts

Part: TypeAlias = Literal["train", "validation"]


def run_probe(
    run: RunDirectory, log: EventLog, stop: AskStop, limit: Limit, at_once: AtOnce
) -> RunResult | None:
    """Make the vectors of what `run` describes, choose and fit the classifier, and publish the artifact.

    Takes what `trainer.run_training` takes.

    Returns:
        How the run ended, or None if it was interrupted or paused and can go on.

    Raises:
        TunekitError: Whatever makes the run fail, typed.
    """
    doing = "getting ready"
    try:
        with at_once():
            base = base_of(run)
        probing = prepared(run, base, log, stop, limit, at_once)
        doing = "making vectors"
        with at_once():
            model_id = _identity(base)
        vectors = _vectors(probing, model_id, "train", probing.rows)
        held_out = _vectors(probing, model_id, "validation", probing.validation)
        doing = "fitting the classifier"
        with at_once(), bounded(base.plan.threads):
            choice = _choice(probing, vectors)
            model = _fitted(probing, vectors, choice)
        metrics = _evaluated(probing, model, choice, held_out)
        with at_once():
            artifacts.publish(run.artifact_path, model, base.tokenizer, card_of(probing, choice, metrics))
    except Stopped as stopped:
        return before_the_first_step(stopped.reason, log, doing=doing)
    return RunResult(
        state=JobState.SUCCEEDED,
        trained_tokens=sum(row.length for row in probing.rows),
        seconds=round(probing.watch.seconds, 3),
        metrics={**metrics, "steps": probing.steps},
    )


def _vectors(probing: Probing, model_id: str, part: Part, rows: Sequence[LabelledText]) -> torch.Tensor:
    """Of all rows of a part, fp32, shape (rows, layers, width); read where they are known."""
    features, run = probing.features, probing.run
    if not rows:
        return torch.empty(0, len(features.layers), features.width)
    before = 0 if part == "train" else -(-len(probing.rows) // ROWS_PER_STEP)

    def stop() -> Stop | None:
        probing.watch.check()
        return probing.stop()

    def measure(rows: Sequence[LabelledText]) -> torch.Tensor:
        found = features([row.ids for row in rows]).flatten(1)
        _require_finite(found, rows)
        return found

    def progress(done: int) -> None:
        tokens = sum(row.length for row in rows[:done][-ROWS_PER_STEP:])
        probing.step(before + -(-done // ROWS_PER_STEP), texts=done, tokens=tokens)

    micro = probing.base.plan.spec.micro_batch_size
    most = sys.maxsize if micro == "auto" else micro
    untrained = Untrained(
        directory=run.untrained_path / part,
        key=_key(probing, model_id, rows),
        passes=ForwardPasses(max_rows=most, max_tokens=features.tokens_per_pass, stop=stop),
        notice=probing.warn,
        elsewhere=_others(run, part),
        progress=progress,
    )
    return untrained(rows, measure).view(len(rows), len(features.layers), features.width)


def _key(probing: Probing, model_id: str, rows: Sequence[LabelledText]) -> str:
    """Everything that the vectors depend on: the texts as the model reads them, and nothing of their labels."""
    base, features = probing.base, probing.features
    how = [features.layers, features.pooling, features.device.name, str(features.device.frozen_dtype)]
    decide_the_last_bit = [base.plan.spec.micro_batch_size, base.plan.threads, features.end_to_end]
    libraries = [version("torch"), version("transformers")]  # a release may mend what a model computes
    told = [model_id, how, decide_the_last_bit, libraries, [row.ids for row in rows]]
    return _canonical.fingerprint(told)


def _identity(base: Base) -> str:
    """The model in every respect. A card leaves out its configuration, and of large ones all but names and shapes."""
    directory = load.local_directory(base.plan.model)
    if directory is None:
        return fingerprint.of_base(None, base.revision) or base.plan.model
    with _files.storage_errors(f"cannot read the model in {str(directory)!r}"):
        return fingerprint.of_model(directory)


def _require_finite(vectors: torch.Tensor, rows: Sequence[LabelledText]) -> None:
    broken = [row for row, fine in zip(rows, vectors.isfinite().all(dim=1).tolist(), strict=True) if not fine]
    if broken:
        raise JobFailedError(
            f"the model's states are not finite for {len(broken)} of {len(rows)} texts: {names(broken)}",
            hint="check that the model's files are whole, or take another layer or another model",
            details={"rows": [row.id for row in broken]},
        )


def _others(run: RunDirectory, part: Part) -> tuple[Path, ...]:
    """Where other runs keep theirs."""
    return tuple(
        sorted(path for path in run.path.parent.glob(f"*/untrained/{part}") if run.path not in path.parents)
    )


def _choice(probing: Probing, vectors: torch.Tensor) -> Choice:
    step = probing.blocks

    def after_fold() -> None:
        nonlocal step
        step += 1
        probing.step(step)

    method, told = probing.method, list[str]()
    choice = choose(
        {layer: vectors[:, at].numpy() for at, layer in enumerate(probing.features.layers)},
        _labels(probing),
        strengths=method.regularisation,
        folds=method.folds,
        seed=probing.base.plan.spec.seed,
        after_fold=after_fold,
        warn=told.append,
    )
    if told:
        probing.warn(f"{len(told)} fits of the cross-validation: {told[0]}")
    return choice


def _fitted(probing: Probing, vectors: torch.Tensor, choice: Choice) -> ProbedModel:
    """The classifier on all rows, in double precision and from zero, as anybody would fit it who knew the choice."""
    features = probing.features
    chosen = vectors[:, features.layers.index(choice.layer)].double().numpy()
    linear = next(fitted(chosen, _labels(probing), [choice.strength], warn=probing.warn))
    tensors = {name: tensor.to(features.device.name) for name, tensor in tensors_of(linear).items()}
    return ProbedModel(features=replace(features, layers=(choice.layer,)), linear=tensors)


def _evaluated(
    probing: Probing, model: ProbedModel, choice: Choice, held_out: torch.Tensor
) -> dict[str, float]:
    """What cross-validation says of the choice, and the loss and accuracy of the validation rows, as of Classify."""
    metrics = {"cross_validation_accuracy": choice.accuracy}
    found: dict[str, float] = {}
    if rows := probing.validation:
        objective, device = probing.objective, probing.features.device.name
        vectors = held_out[:, probing.features.layers.index(choice.layer)].to(device)
        learner = ClassifyingLearner(
            model=model,
            weights=torch.tensor(objective.weights, device=device),
            multi_label=objective.classes.multi_label,
        )
        loss = learner.of_logits(model.of_vectors(vectors), rows)
        found = {name: float(value) / len(rows) for name, value in loss.metrics.items()}
        found["loss"] = float(loss.total) / sum(row.weight for row in rows)
    probing.log.evaluated(probing.steps, {**metrics, **found})
    probing.log.step(probing.steps, total_steps=probing.steps, metrics=metrics)
    probing.watch.check()
    return {**metrics, **{f"validation_{name}": value for name, value in found.items()}}


def _labels(probing: Probing) -> Labels:
    truth = np.zeros((len(probing.rows), len(probing.objective.classes.names)), dtype=np.bool_)
    for at, row in enumerate(probing.rows):
        truth[at, list(row.classes)] = True
    objective = probing.objective
    return Labels(truth=truth, multi_label=objective.classes.multi_label, weights=objective.weights)
