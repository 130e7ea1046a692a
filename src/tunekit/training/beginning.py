"""The model that a run begins with: its tokenizer, its weights, its head. Knows bases and adapters; no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunekit.spec import Adapter
from tunekit.training.models import fingerprint, heads, load, quantization
from tunekit.training.models.classes import Classes
from tunekit.training.models.families import Family, family_of
from tunekit.training.objectives.base import Objective
from tunekit.training.plan.device import Device
from tunekit.training.plan.recipe import Recipe
from tunekit.training.run import warm_start
from tunekit.training.run.checkpoint import recorded_base
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.texts import clock


@dataclass(frozen=True, kw_only=True)
class Base:
    """The model that is tuned, before its weights are there.

    Attributes:
        plan: What is asked for.
        revision: Hub commit, as far as it is known; None for a directory.
        tokenizer: Its tokenizer, whose chat template does not read the clock; see `clock`.
        family: What kind of model it is.
    """

    plan: RunPlan
    revision: str | None
    tokenizer: Any
    family: Family


def base_of(run: RunDirectory) -> Base:
    """The tokenizer, and the hub commit for the rest: that of the first start, wherever a branch points by now."""
    plan = run.plan()
    revision = fingerprint.commit_in(recorded_base(run.checkpoints_path)) or plan.revision
    tokenizer = load.load_tokenizer(plan.model, revision=revision)
    clock.pin(tokenizer)
    if load.local_directory(plan.model) is None:
        revision = fingerprint.cached_commit(plan.model, revision) or revision
    family = family_of(load.load_config(plan.model, revision=revision))
    return Base(plan=plan, revision=revision, tokenizer=tokenizer, family=family)


def adapter_of(base: Base, recipe: Recipe | None = None) -> Adapter:
    """What is trained; with the recipe, nothing of it is left open."""
    adapter: Adapter = base.plan.spec.method.adapter  # type: ignore[union-attr]  # Probe has none, nor comes here
    return adapter.model_copy(update={"rank": recipe.rank}) if recipe and recipe.rank else adapter


def classes_before(base: Base) -> Classes | None:
    """What the head names that training begins with: that of an adapter, else the base's own; None for neither.

    Raises:
        ModelError: The adapter has no card that can be read.
    """
    plan = base.plan
    return warm_start.classes_of(plan) or heads.classes_in(
        load.load_config(plan.model, revision=base.revision)
    )


def model_of(base: Base, objective: Objective[Any], device: Device, log: EventLog) -> Any:
    """The weights, frozen, with the head that the adapter to go on from has, or else the one to be trained."""
    plan, classes = base.plan, objective.named_classes()
    how: Any = {
        "revision": base.revision,
        "dtype": quantization.dtype_of(adapter_of(base), device),
        "options": quantization.loading_options(adapter_of(base), device),
    }
    if classes is None:
        return load.load_base(plan.model, head=objective.head, **how)
    earlier = warm_start.classes_of(plan)
    first = earlier if earlier is not None and earlier.begins(classes) else classes
    model, told = load.load_classifier(plan.model, base.tokenizer, first, seed=plan.spec.seed, **how)
    told = heads.growth(first, classes) or told
    if told:
        log.notice(told)
    return model
