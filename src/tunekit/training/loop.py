"""The training loop. Knows the order of steps, evaluations and checkpoints; not what a step is (`steps` does).

It knows neither files nor processes, which it reaches through `Hooks` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from tunekit.errors import JobFailedError
from tunekit.spec import EarlyStopping, TuneSpec
from tunekit.training.plan.batches import Sampler
from tunekit.training.plan.early_stopping import Best, is_over, judged
from tunekit.training.plan.recipe import Recipe
from tunekit.training.plan.schedule import learning_rate
from tunekit.training.ranks.dealing import ForwardPasses
from tunekit.training.ranks.sharding import whole
from tunekit.training.run.checkpoint import TrainingState
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.stops import AskStop, AtOnce, Stop, Stopped
from tunekit.training.steps import StepResult, Training, take_step, weight_of
from tunekit.training.texts.rows import Row

_CHECKPOINT_EVERY_S = 60.0
_CHECKPOINT_APART_S = 5.0
_IDLE_STEPS = 5  # in a row are no accident any more


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The loop's way out.

    Attributes:
        stop: Asked between forward passes; why to leave, or None.
        save: Publishes a checkpoint of the state given.
        at_once: Around forward and backward passes, which change no weight.
    """

    stop: AskStop
    save: Callable[[TrainingState], None]
    at_once: AtOnce = nullcontext


def train(
    training: Training, state: TrainingState, hooks: Hooks, log: EventLog
) -> tuple[TrainingState, Stop | None]:
    """Run the steps after `state.step` to the end, or until told to stop.

    Returns:
        The state after the last whole step, and why the loop left early, or None. Weights and optimizer always fit that
        state: a step that was abandoned has changed nothing.

    Raises:
        JobFailedError: A loss or gradient is not finite (the rows are named), no gradient arrives at all, the model
            that is left computes no numbers, no step had anything to learn from, or the time budget is used up.
        StorageError: An event or a checkpoint cannot be written.
    """
    recipe, spec, clock = training.recipe, training.spec, training.ranks.clock
    sampler = Sampler([row.length for row in training.rows], recipe.batch_size, spec.seed)
    saved, saved_at = state.step, clock()
    began = saved_at - state.seconds
    try:
        while True:
            state = _evaluated_if_due(training, state, hooks, log)
            over = state.step >= recipe.total_steps or is_over(spec.early_stopping, state.best)
            due = over or _is_best(state) or _checkpoint_due(recipe, state.step, clock() - saved_at)
            if due and state.step != saved:
                hooks.save(state)
                saved, saved_at = state.step, clock()
            if over:
                _require_learned(training, state)
                return state, None
            _check_budget(spec, state)
            state = _stepped(training, sampler, state, hooks, log, began=began)
    except Stopped as stopped:
        return state, stopped.reason


def _stepped(
    training: Training, sampler: Sampler, state: TrainingState, hooks: Hooks, log: EventLog, *, began: float
) -> TrainingState:
    started = training.ranks.clock()
    rate = _set_learning_rate(training, state.step)
    result = take_step(training, sampler.at(state.step), state.step, hooks.stop, hooks.at_once)
    now = training.ranks.clock()
    state = _after(state, result, seconds=now - began)
    log.step(
        state.step,
        total_steps=training.recipe.total_steps,
        epoch=round(state.step / training.recipe.steps_per_epoch, 4),
        loss=result.loss,
        learning_rate=rate,
        gradient_norm=result.gradient_norm,
        tokens_per_s=round(result.real_tokens / (now - started), 1),
        metrics={**_speed(training, result, now - started), **result.metrics},
    )
    if state.idle_steps == _IDLE_STEPS:
        log.notice(
            f"the last {_IDLE_STEPS} steps taught the model nothing: {training.learner.idle_reason}; "
            f"{training.learner.idle_hint}",
            level="warning",
            data={"step": state.step},
        )
    if state.step == training.recipe.total_steps:
        _require_finite_model(training, result.rows, state.step)
    return state


def evaluate(training: Training, stop: AskStop = lambda: None) -> dict[str, float]:
    """Loss (for language models in nats per target token) and metrics of the validation rows.

    Raises:
        Stopped: To be left.
    """
    passes = training.passes(stop)
    training.model.eval()
    with torch.no_grad():
        rows = training.learner.drawn(training.validation, passes)
        found = _means(training, rows, passes)
    training.model.train()
    return found


def _means(training: Training, rows: Sequence[Row], passes: ForwardPasses) -> dict[str, float]:
    """Loss and metrics of rows as they were drawn. Sums alone are kept, so memory does not grow with the rows."""
    sums: dict[str, float] = {}
    for cut, counts in passes.own(rows):
        loss = training.learner.loss(cut)
        for name, value in {"loss": loss.total, **loss.metrics}.items() if counts else ():
            sums[name] = sums.get(name, 0.0) + float(value)
    weight, totals = weight_of(rows), training.ranks.total(sums)
    return {name: total / (weight if name == "loss" else len(rows)) for name, total in totals.items()}


def _require_finite_model(training: Training, rows: Sequence[Row], step: int) -> None:
    """Look behind the last update, which no later step does: what it left is what is published.

    It cannot be left in between, since the weights have changed and no state says so yet.
    """
    with torch.no_grad():
        loss = _means(training, rows, training.passes(lambda: None))["loss"]
        largest = whole(torch.nn.utils.get_total_norm(training.parameters.values(), norm_type=math.inf))
    if not math.isfinite(largest):
        raise _broken(training, step, f"the largest trained weight is {float(largest)}")
    if not math.isfinite(loss):
        raise _broken(training, step, f"the loss of that step's own rows is {loss}")


def _require_learned(training: Training, state: TrainingState) -> None:
    """An untouched base is not to be had under the name of a tuned one."""
    if state.step and state.idle_steps == state.step:
        raise JobFailedError(
            f"none of {state.step} steps taught the model anything: {training.learner.idle_reason}",
            hint=training.learner.idle_hint,
            details={"steps": state.step},
        )


def _broken(training: Training, step: int, what: str) -> JobFailedError:
    rate = _learning_rate(training, step - 1)
    return JobFailedError(
        f"after step {step}, the last, {what}; its learning rate was {rate:g}, and nothing is published",
        hint="lower learning_rate and submit again, or look at the validation rows if it is their loss; checkpoints of "
        "earlier steps stay",
        details={"step": step, "learning_rate": rate},
    )


def _speed(training: Training, result: StepResult, seconds: float) -> dict[str, float]:
    found = {
        "target_tokens": float(result.target_tokens),
        "target_tokens_per_s": round(result.target_tokens / seconds, 1),
    }
    if training.peak:
        found["mfu"] = round(result.operations / seconds / training.peak, 4)
    return found


def _set_learning_rate(training: Training, step: int) -> float:
    rate = _learning_rate(training, step)
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    return rate


def _learning_rate(training: Training, step: int) -> float:
    return learning_rate(
        step,
        total_steps=training.recipe.total_steps,
        peak=training.recipe.learning_rate,
        schedule=training.spec.schedule,
        warmup_ratio=training.spec.warmup_ratio,
    )


def _after(state: TrainingState, result: StepResult, *, seconds: float) -> TrainingState:
    return state.model_copy(
        update={
            "step": state.step + 1,
            "trained_tokens": state.trained_tokens + result.real_tokens,
            "seconds": seconds,
            "idle_steps": 0 if result.has_taught else state.idle_steps + 1,
            "metrics": {**state.metrics, "loss": result.loss},
        }
    )


def _evaluated_if_due(training: Training, state: TrainingState, hooks: Hooks, log: EventLog) -> TrainingState:
    """Evaluate after the steps that ask for it, and before the first one: what nothing was learned from shows there."""
    done = state.evaluated == state.step
    if done or not training.validation or not _evaluation_due(training.recipe, state.step):
        return state
    with hooks.at_once():
        found = evaluate(training, hooks.stop)
    state = _evaluated(state, found, log).model_copy(update={"evaluated": state.step})
    if training.spec.early_stopping is not None:
        state = _judged(training.spec.early_stopping, training.recipe, state, found, log)
    if state.step == training.recipe.total_steps and state.best is None and not math.isfinite(found["loss"]):
        raise _broken(training, state.step, f"the validation loss is {found['loss']}")
    return state


def _judged(
    rule: EarlyStopping, recipe: Recipe, state: TrainingState, found: dict[str, float], log: EventLog
) -> TrainingState:
    # A model whose loss is no number is no candidate, whatever is counted of the answers that it gives.
    candidate = found if math.isfinite(found["loss"]) else dict.fromkeys(found, math.nan)
    if state.step == 0:  # no candidate either, but what all of them should beat
        return state.model_copy(update={"untrained": judged(rule, None, 0, candidate)})
    state = state.model_copy(update={"best": judged(rule, state.best, state.step, candidate)})
    if state.best is None:
        return state
    if is_over(rule, state.best):
        log.notice(
            f"early stopping after step {state.step}: the validation {rule.metric} has not improved for "
            f"{state.best.waited} evaluations; it was best after step {state.best.step}, with {state.best.value:g}",
            data={"step": state.step, "best_step": state.best.step, rule.metric: state.best.value},
        )
    if state.untrained and (is_over(rule, state.best) or state.step == recipe.total_steps):
        _warn_if_not_better(rule, state.untrained, state.best, log)
    return state


def _warn_if_not_better(rule: EarlyStopping, untrained: Best, best: Best, log: EventLog) -> None:
    kept = judged(rule, untrained, best.step, best.metrics)
    if kept is not None and kept.step == untrained.step:
        log.notice(
            f"training has not made the base better on the validation rows: {rule.metric} {untrained.value:g} before "
            f"the first step, {best.value:g} at best, after step {best.step}, whose weights are published all the "
            "same; lower learning_rate, or look whether the validation rows ask for what the training rows teach",
            level="warning",
            data={
                "best_step": best.step,
                rule.metric: best.value,
                f"untrained_{rule.metric}": untrained.value,
            },
        )


def _evaluated(state: TrainingState, found: dict[str, float], log: EventLog) -> TrainingState:
    finite = {name: value for name, value in found.items() if math.isfinite(value)}
    when = f"after step {state.step}" if state.step else "before the first step"
    for name in sorted(found.keys() - finite.keys()):
        log.notice(
            f"the validation {name} {when} is {found[name]} and is left out",
            level="warning",
            data={"step": state.step},
        )
    if not finite:
        return state
    log.evaluated(state.step, finite)
    held_out = {f"validation_{name}": value for name, value in finite.items()}
    return state.model_copy(update={"metrics": {**state.metrics, **held_out}})


def _evaluation_due(recipe: Recipe, step: int) -> bool:
    return step % recipe.evaluate_every == 0 or step == recipe.total_steps


def _is_best(state: TrainingState) -> bool:
    return state.best is not None and state.best.step == state.step


def _checkpoint_due(recipe: Recipe, step: int, since_s: float) -> bool:
    if step == recipe.total_steps:
        return True
    if recipe.checkpoint_every is not None:
        return step % recipe.checkpoint_every == 0
    epoch_ends = step % recipe.steps_per_epoch == 0
    return since_s >= (_CHECKPOINT_APART_S if epoch_ends else _CHECKPOINT_EVERY_S)


def _check_budget(spec: TuneSpec, state: TrainingState) -> None:
    limit = spec.budget.max_seconds
    if limit is not None and state.seconds > limit:
        raise JobFailedError(
            f"training took longer than budget.max_seconds={limit:g} and was stopped after step {state.step}",
            hint="raise the budget, or train on fewer rows or epochs",
        )
