"""A run of Probe before its first vector: rows, frozen model, report, card. Knows what is needed; computes nothing.

Rows come before weights, so that what is wrong with the data is found in seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tunekit import _files
from tunekit._version import __version__
from tunekit.data.wording import listed
from tunekit.errors import DataError, JobFailedError, MissingExtraError
from tunekit.examples import from_dict
from tunekit.spec import Classify, Probe, TuneSpec
from tunekit.training.beginning import Base
from tunekit.training.models import fingerprint, load
from tunekit.training.objectives.classify import Classifying, LabelledText
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan import preflight
from tunekit.training.plan.device import Device, choose_device
from tunekit.training.preparing import Limit, rows_of
from tunekit.training.probe.features import Features
from tunekit.training.probe.probe import Choice
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.run.stops import AskStop, AtOnce, raise_if_stopped
from tunekit.training.saving import artifacts
from tunekit.training.serving import sentence_files
from tunekit.training.texts.template import Template

ROWS_PER_STEP = 512
"""Texts that are one step in the log: a block of `untrained`."""

_LIBRARIES = ("torch", "transformers", "scikit-learn", "safetensors", "tokenizers")
_WITHOUT_STEPS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "warmup_ratio",
    "weight_decay",
    "max_gradient_norm",
    "checkpoint_every_steps",
    "evaluate_every_steps",
    "early_stopping",
    "gradient_checkpointing",
    "compile",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Seconds of work, those of earlier processes included, held against the budget.

    Attributes:
        path: Where they are kept.
        limit_s: The budget; None is no limit.
        before_s: Of earlier processes.
        began: When this one began, by the monotonic clock.
    """

    path: Path
    limit_s: float | None
    before_s: float
    began: float

    @classmethod
    def of(cls, path: Path, limit_s: float | None) -> Watch:
        """Go on from what is kept; a file that cannot be read counts as none."""
        try:
            before_s = float(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            before_s = 0.0
        return cls(path=path, limit_s=limit_s, before_s=before_s, began=time.monotonic())

    @property
    def seconds(self) -> float:
        """Of all processes."""
        return self.before_s + time.monotonic() - self.began

    def check(self) -> None:
        """Raise `JobFailedError` if the budget is used up."""
        if self.limit_s is not None and self.seconds > self.limit_s:
            raise JobFailedError(
                f"the probe took longer than budget.max_seconds={self.limit_s:g} and was stopped",
                hint="raise the budget, or name one layer and fewer strengths, or take fewer rows",
            )

    def write(self) -> None:
        """Keep them for the next process."""
        _files.make_private_directory(self.path.parent)
        _files.write_atomic(self.path, json.dumps(round(self.seconds, 3)).encode())


@dataclass(frozen=True, kw_only=True)
class Probing:
    """A run of Probe that can begin."""

    run: RunDirectory
    base: Base
    method: Probe
    objective: Classifying
    rows: list[LabelledText]
    validation: list[LabelledText]
    features: Features
    log: EventLog
    watch: Watch
    stop: AskStop

    @property
    def steps(self) -> int:
        """Blocks of texts, folds of the cross-validation, and the last fit."""
        return self.blocks + len(self.features.layers) * min(self.method.folds, len(self.rows)) + 1

    @property
    def blocks(self) -> int:
        """Blocks of texts."""
        return sum(-(-len(part) // ROWS_PER_STEP) for part in (self.rows, self.validation))

    def warn(self, text: str) -> None:
        """Say what is doubtful."""
        self.log.notice(text, level="warning")

    def go_on(self) -> None:
        """Raise if the run is to be left."""
        raise_if_stopped(self.stop)
        self.watch.check()

    def step(self, step: int, **facts: float) -> None:
        """One step is done."""
        self.log.step(step, total_steps=self.steps, metrics=facts)
        self.watch.write()
        self.go_on()


def prepared(
    run: RunDirectory, base: Base, log: EventLog, stop: AskStop, limit: Limit, at_once: AtOnce
) -> Probing:
    """Get a run ready, and say in the log what it will be.

    Takes what `trainer.run_training` takes, and the model that is frozen.

    Raises:
        TunekitError: Whatever keeps the run from beginning.
        Stopped: To be left.
    """
    spec, method, device = base.plan.spec, base.plan.spec.method, choose_device()
    if not isinstance(method, Probe):
        raise AssertionError("the trainer branches on the method")
    _require_scikit_learn()
    watch = Watch.of(run.untrained_path / "seconds.json", spec.budget.max_seconds)
    texts = Texts(template=Template.of(base.tokenizer), prompt_format="text", family=base.family)
    examples = (from_dict(body) for body in run.examples("train"))
    objective = Classifying.of(Classify(class_weights=method.class_weights), texts, examples)
    read: list[Any] = rows_of(run, "train", objective, stop, limit)
    held_out: list[Any] = rows_of(run, "validation", objective, stop, limit) if base.plan.validation else []
    raise_if_stopped(stop)
    with at_once():
        model = _frozen(base, device)
        fit = partial(
            preflight.fitting,
            asked=spec.max_length,
            limit=load.model_max_length(model),
            too_long=spec.too_long,
            shortened=lambda long, most: [objective.shortened(row, most) for row in long],
        )
        rows, cut = fit(preflight.with_target(read, part="training"), part="training")
        validation, cut_too = fit(held_out, part="validation")
        preflight.require_known((*rows, *validation), embeddings=len(model.get_input_embeddings().weight))
        pooling = method.pooling
        if pooling == "auto":
            pooling = sentence_files.read(base.plan.model, base.revision).pooling or "auto"
        longest = max(row.length for row in (*rows, *validation))
        features = Features.of(model, device, layer=method.layer, pooling=pooling, longest=longest)
    probing = Probing(
        run=run,
        base=base,
        method=method,
        objective=objective,
        rows=rows,
        validation=validation,
        features=features,
        log=log,
        watch=watch,
        stop=stop,
    )
    report = _report(probing)
    _require_every_class(report["classes"])
    _require_two_rows(len(rows))
    report["warnings"] = [*cut, *cut_too, *_unused(spec), *_rare(report["classes"], method.folds)]
    log.preflight(report, message=_headline(report))
    artifacts.rehearse(
        run.artifact_path.with_name(".partial-rehearsal"), model, base.tokenizer, card_of(probing, None)
    )
    return probing


def _frozen(base: Base, device: Device) -> Any:
    dtype = device.frozen_dtype
    return load.load_base(base.plan.model, revision=base.revision, dtype=dtype, head="none").to(device.name)


def _report(probing: Probing) -> dict[str, Any]:
    features, rows = probing.features, probing.rows
    return {
        "rows": len(rows),
        "validation_rows": len(probing.validation),
        "tokens": sum(row.length for row in rows),
        "longest": max(row.length for row in rows),
        "max_length": load.model_max_length(features.model),
        "layers": list(features.layers),
        "pooling": features.pooling,
        "width": features.width,
        "end_to_end": features.end_to_end,
        "regularisation": list(probing.method.regularisation),
        "folds": min(probing.method.folds, len(rows)),
        "steps": probing.steps,
        "parameters": sum(value.numel() for value in features.model.parameters()),
        "trainable_parameters": len(probing.objective.classes.names) * (features.width + 1),
        "device": features.device.name,
        **probing.objective.facts(rows, ()),
    }


def _headline(report: dict[str, Any]) -> str:
    return (
        f"{report['rows']} rows, {report['tokens']} tokens, {len(report['classes'])} classes; "
        f"{report['pooling']} of layers {', '.join(map(str, report['layers']))} on {report['device']}"
    )


def card_of(
    probing: Probing, choice: Choice | None, metrics: Mapping[str, float] = MappingProxyType({})
) -> artifacts.Card:
    """The card of the artifact; without a choice that of a rehearsal."""
    base, classes = probing.base, probing.objective.classes
    plan = base.plan
    resolved: dict[str, Any] = {"pooling": probing.features.pooling}
    if choice is not None:
        resolved |= {
            "layer": choice.layer,
            "regularisation": choice.strength,
            "rows_of_choice": choice.rows,
            "folds": choice.folds,
        }
    return artifacts.Card(
        kind="probe",
        family=base.family,
        base_model=plan.model,
        revision=base.revision,
        base_fingerprint=fingerprint.of_base(load.local_directory(plan.model), base.revision),
        method=plan.spec.method.type,
        prompt_format="text",
        chat_template_sha256=artifacts.template_sha256(base.tokenizer),
        stop_token_ids=(),
        max_length=load.model_max_length(probing.features.model),
        labels=classes.names,
        multi_label=classes.multi_label,
        spec=plan.spec,
        resolved=resolved,
        run_id=plan.run_id,
        key=plan.key,
        data_sha256=probing.run.data_sha256("train"),
        rows=len(probing.rows),
        metrics=dict(metrics),
        versions={"tunekit": __version__, **{name: version(name) for name in _LIBRARIES}},
    )


def _require_every_class(classes: Mapping[str, int]) -> None:
    empty = [name for name, rows in classes.items() if not rows]
    if empty:
        raise DataError(
            f"no training row of the classes {listed(empty)} is left",
            field="label",
            hint="their rows are too long for the model: shorten them, or use too_long='truncate_prompt'",
        )


def _require_two_rows(rows: int) -> None:
    if rows < 2:
        raise DataError(
            "there is one training row, and cross-validation takes two or more",
            hint="add rows: a few of each class at the least",
        )


def _require_scikit_learn() -> None:
    if find_spec("sklearn") is None:
        raise MissingExtraError("sklearn", extra="probe")


def _unused(spec: TuneSpec) -> Iterable[str]:
    """Fields that are set, and say how to take steps."""
    fields = TuneSpec.model_fields
    found = [name for name in _WITHOUT_STEPS if getattr(spec, name) != fields[name].default]
    return (
        [f"a probe takes no steps, so these fields of the spec do nothing: {', '.join(found)}"]
        if found
        else []
    )


def _rare(classes: Mapping[str, int], folds: int) -> Iterable[str]:
    found = [name for name, rows in classes.items() if rows < folds]
    return (
        [
            f"{len(found)} classes have fewer rows than the {folds} folds of the cross-validation: {listed(found)}"
        ]
        if found
        else []
    )
