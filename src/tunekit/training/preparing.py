"""From a run directory to everything that the loop works with: rows, weights, recipe, report. It knows the order.

Rows come before weights, so that what is wrong with the data is found in seconds; and what the artifact will consist of
is tried out before the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any, Literal, TypeAlias

import torch

from tunekit import _canonical
from tunekit._version import __version__
from tunekit.examples import from_dict
from tunekit.spec import Classify, LoRA, Method, Probe
from tunekit.training.anchoring.beginning import pull_of
from tunekit.training.beginning import Base, adapter_of, base_of, classes_before, model_of
from tunekit.training.models import fingerprint, load
from tunekit.training.models.adapters import make_trainable, trainable_parameters, weights_per_rank
from tunekit.training.models.classes import Classes
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.catalogue import objective_of
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan import estimating, flops, preflight, range_test
from tunekit.training.plan.device import Device, choose_device
from tunekit.training.plan.early_stopping import require_possible
from tunekit.training.plan.flops import Work
from tunekit.training.plan.recipe import Facts, Recipe, resolve
from tunekit.training.ranks.group import ALONE, Ranks
from tunekit.training.ranks.sharding import placed
from tunekit.training.run import warm_start
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.run.stops import AskStop, AtOnce, Stop, Stopped, raise_if_stopped
from tunekit.training.run.untrained import Untrained
from tunekit.training.saving import artifacts
from tunekit.training.shortening import shorten
from tunekit.training.steps import Training, optimizer_of
from tunekit.training.texts import clock, render
from tunekit.training.texts.render_answers import texts_of
from tunekit.training.texts.rows import Row
from tunekit.training.texts.template import Template, stop_ids

_ROWS_LOOKED_AT = 20  # a template does not change from row to row, but tools and system prompts may
_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "tokenizers")


Limit: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Bounds the time of what happens inside; told what that is, for the error."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that can begin.

    Attributes:
        training: What the loop works with.
        card: Of the artifact to be.
        tokenizer: Saved with it.
        again: Makes the model once more as it was before the first step, in the host's memory.
    """

    training: Training
    card: artifacts.Card
    tokenizer: Any
    again: Callable[[], Any]


def prepare(
    run: RunDirectory, log: EventLog, stop: AskStop, limit: Limit, at_once: AtOnce, ranks: Ranks = ALONE
) -> Prepared | Stop:
    """Get a run ready, unless told to stop.

    Args:
        run: The run directory; the caller holds its lock.
        log: Gets the report.
        stop: Asked often; why to leave, or None.
        limit: Put around each use of the model's chat template, which is somebody else's program.
        at_once: Put around what takes long in one piece.
        ranks: This process among those that train the run together.

    Raises:
        TunekitError: Whatever keeps the run from beginning.
    """
    try:
        return _prepared(run, log, stop, limit, at_once, ranks)
    except Stopped as stopped:
        return stopped.reason


def _prepared(
    run: RunDirectory, log: EventLog, stop: AskStop, limit: Limit, at_once: AtOnce, ranks: Ranks
) -> Prepared:
    with at_once(), ranks.leader_first():
        base, device = base_of(run), choose_device(ranks.rank)
    spec = base.plan.spec
    preflight.refuse_compile(spec)
    raise_if_stopped(stop)
    with limit("the model's chat template"):
        template = Template.of(base.tokenizer)
    texts = Texts(template=template, prompt_format=_prompt_format(spec.method, template), family=base.family)
    examples = (from_dict(body) for body in run.examples("train"))
    warn = partial(log.notice, level="warning")
    objective = objective_of(
        spec.method, texts, examples, warn, earlier=classes_before(base), keeps=spec.warm_start is not None
    )
    rows = rows_of(run, "train", objective, stop, limit)
    held_out = rows_of(run, "validation", objective, stop, limit) if base.plan.validation else []
    kept = preflight.with_target(rows, part="training")
    validation = preflight.with_target(held_out, part="validation") if held_out else []
    require_possible(spec.early_stopping, len(validation))
    raise_if_stopped(stop)
    with at_once(), ranks.leader_first():
        model = model_of(base, objective, device, log)
    stops = stop_ids(template, load.config_stop_ids(model))
    shorter = partial(shorten, objective=objective, texts=texts, limit=limit)
    fitting = partial(
        preflight.fitting, asked=spec.max_length, limit=load.model_max_length(model), too_long=spec.too_long
    )
    shortened = partial(shorter, rows=rows, bodies=run.examples("train"))
    kept, cut = fitting(kept, shortened=shortened, part="training")
    shortened = partial(shorter, rows=held_out, bodies=run.examples("validation"))
    validation, cut_too = fitting(validation, shortened=shortened, part="validation")
    preflight.require_known((*kept, *validation), embeddings=len(model.get_input_embeddings().weight))
    recipe = resolve(spec, _facts(base, model, objective, kept, device))
    card = _card(run, base, recipe, texts, stops, model, objective.named_classes(), rows=len(kept))
    start = warm_start.adapter_of(base.plan, card)
    made_trainable = partial(
        make_trainable,
        adapter=adapter_of(base, recipe),
        seed=spec.seed,
        warn=warn,
        start=start,
        classes=objective.named_classes(),
    )
    model = made_trainable(model)
    endless = preflight.cannot_end(*texts.unlearned_end(model)) if objective.head == "tokens" else []
    if ranks.leads:
        artifacts.rehearse(run.artifact_path.with_name(".partial-rehearsal"), model, base.tokenizer, card)
    model = placed(model, device, ranks)
    training = _training(base.plan, recipe, objective, model, kept, validation, device, ranks)
    needed = estimating.spare_memory(training, device, log)
    training = replace(training, pull=pull_of(base.plan, training.parameters))
    measured = partial(_measured, run, card=card, stop=stop, warn=warn)
    tests_rates = spec.learning_rate == "range-test"
    if tests_rates:  # the report waits for what it chooses
        with at_once():
            training = _rate_tested(run, measured(training), card, stop, warn)
        card = card.model_copy(update={"resolved": training.recipe.decided})
    report = preflight.report(
        rows,
        kept,
        validation=held_out,
        recipe=training.recipe,
        template_sha256=card.chat_template_sha256,
        trainable=sum(value.numel() for value in training.parameters.values()),
        parameters=sum(value.numel() for value in model.parameters()),
        memory_bytes=needed.total,
        device=device.name,
    )
    report["devices"] = ranks.count
    report["gradient_checkpointing"] = bool(getattr(model, "is_activation_checkpointing", False))
    report |= estimating.time_of(training) | objective.facts(kept, stops)
    if getattr(spec.method, "prompt_format", "") == "auto":
        report["auto"]["prompt_format"] = render.AUTO_FORMATS[texts.prompt_format]
    report["warnings"] += [
        *endless,
        *(clock.warning(card.chat_template_date) if objective.head == "tokens" else ()),
        *cut,
        *cut_too,
        *objective.warnings(kept, stops, part="training"),
        *objective.warnings(validation, stops, part="validation"),
        *preflight.served_differently(_served_differently(run, texts)),
    ]
    log.preflight(report, message=estimating.headline(report))
    if not tests_rates:
        with at_once():
            training = measured(training)
    return Prepared(
        training=training,
        card=card,
        tokenizer=base.tokenizer,
        again=lambda: made_trainable(model_of(base, objective, device, log)),
    )


def _prompt_format(method: Method, template: Template) -> render.ResolvedFormat:
    if isinstance(method, (Classify, Probe)):
        return "text"  # a classifier reads the text and nothing around it
    return render.resolve_format(template, getattr(method, "prompt_format", "auto"))


def rows_of(
    run: RunDirectory,
    part: Literal["train", "validation"],
    objective: Objective[Any],
    stop: AskStop,
    limit: Limit,
) -> list[Row]:
    """One part of the data as rows.

    Raises:
        DataError: An example cannot be learned from; the message names it.
        Stopped: To be left.
    """
    found = []
    for body in run.examples(part):
        raise_if_stopped(stop)
        example = from_dict(body)
        with limit(f"writing row {example.id!r} with the model's chat template"):
            found.append(objective.row(example))
    return found


def _served_differently(run: RunDirectory, texts: Texts) -> list[str]:
    if texts.family == "encoder-decoder":
        return []  # prompt and answer are read apart
    looked_at = (from_dict(row) for row in islice(run.examples("train"), _ROWS_LOOKED_AT))
    return [
        row.id
        for row in looked_at
        if not all(
            render.is_served_as_trained(texts.template, text, texts.prompt_format)
            for text in texts_of(row, texts.prompt_format)
        )
    ]


def _facts(base: Base, model: Any, objective: Objective[Any], rows: Sequence[Row], device: Device) -> Facts:
    config, classes = model.config.get_text_config(), objective.named_classes()
    return Facts(
        rows=len(rows),
        target_tokens=sum(row.target_count for row in rows),
        weights_per_rank=weights_per_rank(model, adapter_of(base)),
        hidden_size=config.hidden_size,
        model_type=config.model_type,
        family=base.family,
        head=objective.head,
        vocabulary=len(classes.names) if classes else config.vocab_size,
        max_length=load.model_max_length(model),
        memory_bytes=device.memory_bytes,
    )


def _training(
    plan: RunPlan,
    recipe: Recipe,
    objective: Objective[Any],
    model: Any,
    rows: list[Row],
    validation: list[Row],
    device: Device,
    ranks: Ranks,
) -> Training:
    parameters = trainable_parameters(model)
    longest = max(row.longest for row in (*rows, *validation))
    learner = objective.learner(model, device, longest=longest)
    peak = flops.peak(device.name)
    return Training(
        spec=plan.spec,
        recipe=recipe,
        model=model,
        parameters=parameters,
        optimizer=optimizer_of(parameters, plan.spec),
        learner=learner,
        work=Work.of(model),
        peak=peak and peak * ranks.count,
        rows=rows,
        validation=validation,
        ranks=ranks,
    )


def _measured(
    run: RunDirectory,
    training: Training,
    *,
    card: artifacts.Card,
    stop: AskStop,
    warn: Callable[[str], object],
) -> Training:
    """With what only the untrained model can tell of the rows, which takes a pass over them the first time."""
    recipe = training.recipe
    passes = training.passes(stop)

    def prepared(part: Literal["train", "validation"], rows: Sequence[Row]) -> list[Row]:
        if not rows:
            return []
        data = card.data_sha256 if part == "train" else run.data_sha256(part)
        key = _canonical.fingerprint([card.causes, recipe.micro_rows, recipe.micro_tokens, data])
        untrained = Untrained(
            directory=run.untrained_path / part,
            key=key,
            passes=passes,
            notice=warn,
            keeps=training.ranks.leads,
        )
        return training.learner.prepared(rows, untrained)

    training.model.eval()
    with torch.no_grad():
        rows, validation = prepared("train", training.rows), prepared("validation", training.validation)
    training.model.train()
    return replace(training, rows=rows, validation=validation)


def _rate_tested(
    run: RunDirectory, training: Training, card: artifacts.Card, stop: AskStop, warn: Callable[[str], object]
) -> Training:
    recipe = training.recipe
    key = _canonical.fingerprint([card.causes, recipe.micro_rows, recipe.micro_tokens, recipe.max_length])
    return range_test.with_tested_rate(training, run.range_test_path, key=key, stop=stop, warn=warn)


def _card(
    run: RunDirectory,
    base: Base,
    recipe: Recipe,
    texts: Texts,
    stops: tuple[int, ...],
    model: Any,
    classes: Classes | None,
    *,
    rows: int,
) -> artifacts.Card:
    plan = base.plan
    return artifacts.Card(
        kind="adapter" if isinstance(adapter_of(base), LoRA) else "full",
        family=base.family,
        base_model=plan.model,
        revision=base.revision,
        base_fingerprint=fingerprint.of_base(load.local_directory(plan.model), base.revision),
        method=plan.spec.method.type,
        prompt_format=texts.prompt_format,
        chat_template_sha256=artifacts.template_sha256(base.tokenizer),
        chat_template_date=clock.pinned_date(base.tokenizer),
        stop_token_ids=stops,
        max_length=load.model_max_length(model),
        labels=classes.names if classes else (),
        multi_label=classes is not None and classes.multi_label,
        spec=plan.spec,
        resolved=recipe.decided,
        run_id=plan.run_id,
        key=plan.key,
        data_sha256=run.data_sha256("train"),
        rows=rows,
        parents=warm_start.parents_of(plan),
        versions={"tunekit": __version__, **{name: version(name) for name in _LIBRARIES}},
    )
