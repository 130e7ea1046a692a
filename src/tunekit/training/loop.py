"""The training loop. Knows steps; knows neither files nor processes, which it reaches through `Hooks` alone.

One step: take the rows that the sampler deals, run them in a few forward passes, add up gradients of
the loss divided by the weights of the whole step, look at them, clip, step. So the result does not
depend on how a step was cut into passes. Every random draw of a step comes from (seed, step), so it does not depend on
where a run was interrupted either.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from tunekit.errors import JobFailedError
from tunekit.spec import TuneSpec
from tunekit.training.batches import Sampler, micro_batches
from tunekit.training.checkpoint import TrainingState
from tunekit.training.events_log import EventLog
from tunekit.training.flops import Work
from tunekit.training.objectives.base import Learner
from tunekit.training.recipe import Recipe
from tunekit.training.rows import Row
from tunekit.training.schedule import learning_rate
from tunekit.training.stops import AskStop, AtOnce, Stop, Stopped

R = TypeVar("R", bound=Row)

_CHECKPOINT_EVERY_S = 60.0
_CHECKPOINT_APART_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that the loop works with.

    Attributes:
        spec: What was asked for.
        recipe: The same with nothing left open.
        model: In training mode, on the device.
        parameters: What is trained, by name.
        optimizer: Over exactly these parameters.
        learner: Loss of the rows of one forward pass.
        work: What a row costs, for the report of speed.
        peak: Operations per second that the device could do; None where that is not known.
        rows: Training rows.
        validation: Held-out rows; may be empty.
    """

    spec: TuneSpec
    recipe: Recipe
    model: Any
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    learner: Learner[Any]
    work: Work
    peak: float | None
    rows: Sequence[Row]
    validation: Sequence[Row]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """Numbers of one optimizer step."""

    loss: float
    gradient_norm: float
    real_tokens: int
    target_tokens: int
    operations: float
    metrics: dict[str, float]


def train(
    training: Training, state: TrainingState, hooks: Hooks, log: EventLog
) -> tuple[TrainingState, Stop | None]:
    """Run the steps after `state.step` to the end, or until told to stop.

    Returns:
        The state after the last whole step, and why the loop left early, or None. Weights and optimizer always fit that
        state: a step that was abandoned has changed nothing.

    Raises:
        JobFailedError: A loss or gradient is not finite (the rows are named), no gradient arrives at all, or the time
            budget is used up.
        StorageError: An event or a checkpoint cannot be written.
    """
    recipe, spec = training.recipe, training.spec
    sampler = Sampler([row.length for row in training.rows], recipe.batch_size, spec.seed)
    began, saved_at = time.monotonic() - state.seconds, time.monotonic()
    try:
        state = _evaluated_if_due(training, state, hooks, log)  # left in its evaluation
        while state.step < recipe.total_steps:
            started = time.monotonic()
            rate = _set_learning_rate(training, state.step)
            result = _take_step(training, sampler.at(state.step), state.step, hooks)
            now = time.monotonic()
            state = _after(state, result, seconds=now - began)
            log.step(
                state.step,
                total_steps=recipe.total_steps,
                epoch=round(state.step / recipe.steps_per_epoch, 4),
                loss=result.loss,
                learning_rate=rate,
                gradient_norm=result.gradient_norm,
                tokens_per_s=round(result.real_tokens / (now - started), 1),
                metrics={**_speed(training, result, now - started), **result.metrics},
            )
            state = _evaluated_if_due(training, state, hooks, log)
            if _checkpoint_due(recipe, state.step, time.monotonic() - saved_at):
                hooks.save(state)
                saved_at = time.monotonic()
            if state.step < recipe.total_steps:
                _check_budget(spec, state)
    except Stopped as stopped:
        return state, stopped.reason
    return state, None


def evaluate(training: Training, stop: AskStop = lambda: None) -> dict[str, float]:
    """Loss (for language models in nats per target token) and metrics of the validation rows.

    Sums are kept and nothing else, so memory does not grow with the rows.

    Raises:
        Stopped: To be left.
    """
    passes = partial(forward_passes, training.recipe, stop)
    sums: dict[str, float] = {}
    training.model.eval()
    with torch.no_grad():
        rows = training.learner.drawn(training.validation, passes)
        for cut in passes(rows):
            loss = training.learner.loss(cut)
            for name, value in {"loss": loss.total, **loss.metrics}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
    training.model.train()
    weight = math.fsum(row.weight for row in rows)
    return {name: total / (weight if name == "loss" else len(rows)) for name, total in sums.items()}


def forward_passes(recipe: Recipe, stop: AskStop, rows: Sequence[R]) -> Iterator[list[R]]:
    """The rows cut into forward passes, asking before each of them whether to stop.

    Raises:
        Stopped: To be left; the caller has changed nothing yet.
    """
    for cut in micro_batches(rows, max_rows=recipe.micro_rows, max_tokens=recipe.micro_tokens):
        reason = stop()
        if reason is not None:
            raise Stopped(reason)
        yield cut


def _take_step(training: Training, indices: Sequence[int], step: int, hooks: Hooks) -> StepResult:
    torch.manual_seed(step_seed(training.spec.seed, step))
    training.optimizer.zero_grad(set_to_none=True)
    with hooks.at_once():
        passes = partial(forward_passes, training.recipe, hooks.stop)
        rows = training.learner.drawn([training.rows[index] for index in indices], passes)
        step_weight = math.fsum(row.weight for row in rows)
        sums: dict[str, list[torch.Tensor]] = {}
        for cut in passes(rows):
            loss = training.learner.loss(cut)
            (loss.total / step_weight).backward()
            for name, value in {"loss": loss.total, **loss.metrics}.items():
                sums.setdefault(name, []).append(value.detach())
    totals = {name: float(torch.stack(values).sum()) for name, values in sums.items()}
    total = totals.pop("loss")
    metrics = {name: value / len(rows) for name, value in totals.items()}
    return _update(training, rows, total / step_weight, metrics)


def _update(training: Training, rows: Sequence[Row], loss: float, metrics: dict[str, float]) -> StepResult:
    gradients = [value.grad for value in training.parameters.values() if value.grad is not None]
    norm_tensor = torch.nn.utils.get_total_norm(gradients)
    norm = float(norm_tensor)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise _not_finite(rows, loss, norm)
    if norm == 0.0:
        raise JobFailedError(
            "no gradient reaches the trainable parameters",
            hint="the adapter's target modules may not lie on the path of the loss; check target_modules",
        )
    if training.spec.max_gradient_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(
            training.parameters.values(), training.spec.max_gradient_norm, norm_tensor
        )
    training.optimizer.step()
    return StepResult(
        loss=loss,
        gradient_norm=norm,
        real_tokens=sum(row.length for row in rows),
        target_tokens=sum(row.target_count for row in rows),
        operations=training.work.of_rows(rows),
        metrics=metrics,
    )


def _speed(training: Training, result: StepResult, seconds: float) -> dict[str, float]:
    found = {
        "target_tokens": float(result.target_tokens),
        "target_tokens_per_s": round(result.target_tokens / seconds, 1),
    }
    if training.peak:
        found["mfu"] = round(result.operations / seconds / training.peak, 4)
    return found


def step_seed(seed: int, step: int) -> int:
    """Seed of a step's random draws; hashed, so that neighbouring steps and seeds are unrelated."""
    return int.from_bytes(hashlib.sha256(f"tunekit step {seed} {step}".encode()).digest()[:8], "little") >> 1


def _set_learning_rate(training: Training, step: int) -> float:
    rate = learning_rate(
        step,
        total_steps=training.recipe.total_steps,
        peak=training.recipe.learning_rate,
        schedule=training.spec.schedule,
        warmup_ratio=training.spec.warmup_ratio,
    )
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    return rate


def _after(state: TrainingState, result: StepResult, *, seconds: float) -> TrainingState:
    return state.model_copy(
        update={
            "step": state.step + 1,
            "trained_tokens": state.trained_tokens + result.real_tokens,
            "seconds": seconds,
            "metrics": {**state.metrics, "loss": result.loss},
        }
    )


def _evaluated_if_due(training: Training, state: TrainingState, hooks: Hooks, log: EventLog) -> TrainingState:
    if (
        not training.validation
        or state.evaluated == state.step
        or not _evaluation_due(training.recipe, state.step)
    ):
        return state
    with hooks.at_once():
        found = evaluate(training, hooks.stop)
    return _evaluated(state, found, log).model_copy(update={"evaluated": state.step})


def _evaluated(state: TrainingState, found: dict[str, float], log: EventLog) -> TrainingState:
    finite = {name: value for name, value in found.items() if math.isfinite(value)}
    for name in sorted(found.keys() - finite.keys()):
        log.notice(
            f"the validation {name} after step {state.step} is {found[name]} and is left out",
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


def _not_finite(rows: Sequence[Row], loss: float, norm: float) -> JobFailedError:
    names = [row.id for row in rows]
    return JobFailedError(
        f"loss {loss} with gradient norm {norm} in rows {names[:16]!r}; the step was not applied",
        hint="lower the learning rate, or look at these rows",
        details={"rows": names},
    )
