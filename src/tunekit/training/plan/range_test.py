"""Learning-rate range test: which rates make the loss fall, tried out before the first step. Knows steps and one file.

Smith 2015, "Cyclical learning rates for training neural networks" (arXiv 1506.01186, section 3.3): train for a few
steps while the rate grows, and look where the loss falls and where it no longer does. The rate grows exponentially, and
the one at which the loss falls fastest is taken, as fastai has it (`fastai.callback.schedule.steep`). A few batches
come round again and again, and each loss is a share of what the untrained model has on the same batch: so how hard a
batch is does not count.

Afterwards weights and generators are what they were, to the bit. What was chosen is kept in the run directory, since a
run that is taken up again must neither pay for it twice nor choose anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from tunekit import _files
from tunekit.training.plan.batches import Sampler
from tunekit.training.run.stops import AskStop
from tunekit.training.steps import Training, add_gradients, optimizer_of, put_back, update

STEPS = 90
LOWEST, HIGHEST = 1e-6, 1.0
_BATCHES = 8
_SMOOTHING = 0.9
_DIVERGED = 4.0  # times the least so far, as in fastai


class Sweep(BaseModel):
    """What the test saw, as kept in the run directory.

    Attributes:
        key: Identity of everything that it depends on.
        rates: Those that were tried, growing.
        losses: Loss at each before it was used, as a share of the untrained model's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]

    def best(self) -> float:
        """The rate that makes the smoothed loss fall fastest on its way to its least, to three digits.

        A rate shows in the loss after its own. Behind the least it may fall as fast again, recovering from a leap. The
        lowest rate if it never falls.

        Examples:
            >>> Sweep(key="", rates=(1e-4, 1e-3, 1e-2, 1e-1), losses=(1.0, 0.9, 0.1, 3.0)).best()
            0.001
        """
        smooth = smoothed(self.losses)
        least = smooth.index(min(smooth))
        slopes = [after - before for before, after in pairwise(smooth[: least + 1])]
        steepest = slopes.index(min(slopes)) if slopes else 0
        return float(f"{self.rates[steepest]:.3g}")


def smoothed(values: Sequence[float]) -> list[float]:
    """Exponential moving average, corrected for its beginning at 0; to six digits, so that equal is equal.

    Examples:
        >>> smoothed([1.0, 1.0, 0.0])
        [1.0, 1.0, 0.630996]
    """
    average, found = 0.0, []
    for count, value in enumerate(values, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * value
        found.append(round(average / (1 - _SMOOTHING**count), 6))
    return found


def with_tested_rate(
    training: Training, path: Path, *, key: str, stop: AskStop, warn: Callable[[str], object]
) -> Training:
    """The training with the rate that the test chooses, or chose when the run began.

    Args:
        training: With a rate that stands in. Its weights are put back after the test.
        path: Where the sweep is kept.
        key: Identity of everything that it depends on; one of another key is not used.
        stop: Asked between forward passes.
        warn: Told about a sweep that cannot be read.

    Raises:
        StorageError: It cannot be written or read.
        Stopped: To be left; nothing has changed.
    """
    found = _read(path, key, warn)
    if found is None:
        found = sweep(training, key=key, stop=stop)
        if training.ranks.leads:
            _files.write_atomic(path, found.model_dump_json(indent=1).encode())
    rule = (
        f"range test (Smith 2015, arXiv 1506.01186): of {len(found.rates)} rates from {found.rates[0]:.0e} to "
        f"{found.rates[-1]:.0e}, the one at which the loss falls fastest"
    )
    recipe = training.recipe
    sources = {**recipe.sources, "learning_rate": rule}
    return replace(training, recipe=replace(recipe, learning_rate=found.best(), sources=sources))


def sweep(training: Training, *, key: str = "", stop: AskStop = lambda: None) -> Sweep:
    """Train with rates that grow until the loss diverges, and put everything back."""
    sampler = Sampler([row.length for row in training.rows], training.recipe.batch_size, training.spec.seed)
    batches = [sampler.at(step) for step in range(min(_BATCHES, training.recipe.steps_per_epoch))]
    rates, losses = [], []
    with _tried_out(training) as training:
        untrained = [add_gradients(training, batch, at, stop).loss for at, batch in enumerate(batches)]
        for step in range(STEPS):
            at, rate = step % len(batches), LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
            found = add_gradients(training, batches[at], at, stop)
            if not found.is_finite:
                break
            rates.append(rate)
            losses.append(found.loss / untrained[at] if untrained[at] else 1.0)
            if losses[-1] > _DIVERGED * min(losses):
                break
            for group in training.optimizer.param_groups:
                group["lr"] = rate
            update(training, found)
    return Sweep(key=key, rates=tuple(rates) or (LOWEST,), losses=tuple(losses) or (1.0,))


@contextmanager
def _tried_out(training: Training) -> Iterator[Training]:
    """The training with an optimizer of its own; weights and generators are what they were when the block ends."""
    weights = {name: value.detach().clone() for name, value in training.parameters.items()}
    optimizer = optimizer_of(training.parameters, training.spec)
    try:
        with torch.random.fork_rng():
            yield replace(training, optimizer=optimizer)
    finally:
        optimizer.zero_grad(set_to_none=True)
        put_back(training, weights)


def _read(path: Path, key: str, warn: Callable[[str], object]) -> Sweep | None:
    with _files.storage_errors(f"cannot read {str(path)!r}"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        found = Sweep.model_validate_json(content)
    except ValidationError:
        warn(f"{path.name} is damaged; the range test is done again")
        return None
    return found if found.key == key else None
