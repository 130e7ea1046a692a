"""One step: rows, their gradients, the change of the weights. Knows no schedule, no evaluation and no file.

The rows of a step are run in a few forward passes, whose gradients are those of the loss divided by the weights of the
whole step. So the result does not depend on how a step was cut into passes, nor on how many devices shared it. Every
random draw of a step comes from (seed, step), so it does not depend on where a run was interrupted either.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunekit.errors import DataError, JobFailedError
from tunekit.spec import TuneSpec
from tunekit.training.anchoring.pull import Pull
from tunekit.training.objectives.base import Learner
from tunekit.training.plan.flops import Work
from tunekit.training.plan.preflight import names
from tunekit.training.plan.recipe import Recipe
from tunekit.training.ranks.dealing import ForwardPasses
from tunekit.training.ranks.group import ALONE, Ranks
from tunekit.training.ranks.sharding import forget_gathered, like, whole
from tunekit.training.run.stops import AskStop, AtOnce
from tunekit.training.texts.rows import Row


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
        ranks: This process among those that train together.
        pull: What keeps the weights near where they began, if that was asked for.
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
    ranks: Ranks = ALONE
    pull: Pull | None = None

    def passes(self, stop: AskStop) -> ForwardPasses:
        """Cuts rows into forward passes, asking before each whether to stop."""
        return ForwardPasses(
            max_rows=self.recipe.micro_rows, max_tokens=self.recipe.micro_tokens, stop=stop, ranks=self.ranks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradients:
    """What the passes of a step found; the gradients themselves are in the parameters.

    Attributes:
        rows: What was learned from.
        loss: Per unit of weight.
        metrics: Means over the rows.
        norm: Of all gradients together; a scalar.
        pull: What the pull to the start adds to the loss, if anything pulls; `loss` is without it.
    """

    rows: Sequence[Row]
    loss: float
    metrics: dict[str, float]
    norm: torch.Tensor
    pull: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether this may be stepped with."""
        return all(map(math.isfinite, (self.loss, float(self.norm), self.pull or 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """Numbers of one optimizer step, the rows that it learned from, and whether they had anything to teach."""

    rows: Sequence[Row]
    has_taught: bool
    loss: float
    gradient_norm: float
    real_tokens: int
    target_tokens: int
    operations: float
    metrics: dict[str, float]


def take_step(
    training: Training, indices: Sequence[int], step: int, stop: AskStop, at_once: AtOnce
) -> StepResult:
    """One optimizer step.

    Args:
        training: What to work with; nothing of it changes if an error is raised.
        indices: The rows that fell to the step.
        step: Its number, which seeds every draw.
        stop: Asked between forward passes.
        at_once: Put around what changes no weight.

    Raises:
        DataError: Nothing in the rows counts.
        JobFailedError: Loss or gradient is not finite (the rows are named), or none has ever arrived.
        Stopped: To be left.
    """
    with at_once():
        found = add_gradients(training, indices, step, stop)
    _look_at(found, training)
    if found.norm:
        update(training, found)
    return StepResult(
        rows=found.rows,
        has_taught=training.learner.teaches(found.rows),
        loss=found.loss,
        gradient_norm=float(found.norm),
        real_tokens=sum(row.length for row in found.rows),
        target_tokens=sum(row.target_count for row in found.rows),
        operations=training.work.of_rows(found.rows),
        metrics=found.metrics if found.pull is None else {**found.metrics, "pull": found.pull},
    )


def add_gradients(training: Training, indices: Sequence[int], step: int, stop: AskStop) -> Gradients:
    """Everything of a step that changes no weight.

    Args:
        training: What to work with.
        indices: The rows that fell to the step.
        step: Its number, which seeds every draw.
        stop: Asked between forward passes.

    Raises:
        DataError: Nothing in the rows counts.
        Stopped: To be left.
    """
    ranks, passes = training.ranks, training.passes(stop)
    torch.manual_seed(step_seed(training.spec.seed, step))
    training.optimizer.zero_grad(set_to_none=True)
    rows = training.learner.drawn([training.rows[index] for index in indices], passes)
    step_weight = weight_of(rows)
    if not ranks.leads:  # what ranks draw together they have drawn; dropout is each one's own
        torch.manual_seed(step_seed(training.spec.seed, step, ranks.rank))
    sums: dict[str, list[torch.Tensor]] = {}
    for cut, counts in passes.own(rows):
        loss = training.learner.loss(cut)
        if not counts:
            (loss.total * 0.0).backward()
            continue
        (loss.total / step_weight).backward()
        for name, value in {"loss": loss.total, **loss.metrics}.items():
            sums.setdefault(name, []).append(value.detach())
    ranks.add_up(list(training.parameters.values()))
    totals = ranks.total({name: float(torch.stack(values).sum()) for name, values in sums.items()})
    total = totals.pop("loss")
    pull = training.pull.add_to_gradients(training.parameters, ranks) if training.pull else None
    gradients = [value.grad for value in training.parameters.values() if value.grad is not None]
    return Gradients(
        rows=rows,
        loss=total / step_weight,
        metrics={name: value / len(rows) for name, value in totals.items()},
        norm=whole(torch.nn.utils.get_total_norm(gradients)),
        pull=pull,
    )


def weight_of(rows: Sequence[Row]) -> float:
    """What the loss of some rows is divided by.

    Raises:
        DataError: It is nothing.
    """
    weight = math.fsum(row.weight for row in rows)
    if weight > 0.0:
        return weight
    raise DataError(
        f"the rows of one step have no weight at all: {names(rows)}",
        hint="give these rows a weight above 0, or leave them out",
    )


def _look_at(found: Gradients, training: Training) -> None:
    norm = float(found.norm)
    if not found.is_finite:
        raise _not_finite(found.rows, found.loss, norm, found.pull)
    # Weights that were stepped with lie on the path of the loss; later, 0 says that a loss has nothing left to ask for.
    has_stepped = any(training.optimizer.state.values())
    if norm == 0.0 and not has_stepped and training.learner.teaches(found.rows):
        raise JobFailedError(
            "no gradient reaches the trainable parameters",
            hint="the adapter's target modules may not lie on the path of the loss; check target_modules",
        )


def update(training: Training, found: Gradients) -> None:
    """Clip the gradients that are there, and change the weights by them."""
    if training.spec.max_gradient_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(
            training.parameters.values(), training.spec.max_gradient_norm, found.norm
        )
    training.optimizer.step()


def optimizer_of(parameters: Mapping[str, torch.nn.Parameter], spec: TuneSpec) -> torch.optim.Optimizer:
    """AdamW that remembers nothing yet; the rate is set before each step."""
    return torch.optim.AdamW(parameters.values(), weight_decay=spec.weight_decay, fused=True)


def put_back(training: Training, weights: Mapping[str, torch.Tensor]) -> None:
    """Give what is trained the values that it had once, by name."""
    forget_gathered(training.model)
    with torch.no_grad():
        for name, parameter in training.parameters.items():
            parameter.copy_(like(weights[name], parameter))


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of a step's random draws; hashed, so that neighbouring steps, seeds and ranks are unrelated."""
    text = f"tunekit step {seed} {step}" + (f" {rank}" if rank else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def _not_finite(rows: Sequence[Row], loss: float, norm: float, pull: float | None) -> JobFailedError:
    names = [row.id for row in rows]
    beside = "" if pull is None else f" and pull {pull}"
    return JobFailedError(
        f"loss {loss} with gradient norm {norm}{beside} in rows {names[:16]!r}; the step was not applied",
        hint="lower the learning rate, "
        + ("or look at these rows" if pull is None else "lower stay_near.strength, or look at these rows"),
        details={"rows": names},
    )
