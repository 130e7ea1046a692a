"""How much each trained weight matters for what a run has learned. Knows rows, gradients and one file; no step.

    f_i = 1 / N * sum_n (d log p(row n) / d w_i)^2

over the run's own rows and their own labels, with the weights that are published and without dropout: the diagonal of
the empirical Fisher information, which most implementations of EWC mean. It is not the expectation over the model's own
answers; Kunstner et al. 2019 (arXiv 1905.12558) and van de Ven 2025 (arXiv 2502.11756) say where the two differ. A row
counts by its whole answer, so its gradient is squared alone: one backward pass for each.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tunekit import _files
from tunekit.errors import JobFailedError, ModelError
from tunekit.training.objectives.reference import evaluating
from tunekit.training.ranks.dealing import dealt
from tunekit.training.ranks.sharding import whole
from tunekit.training.run.stops import AskStop, raise_if_stopped
from tunekit.training.saving.artifacts import FISHER_NAME, read_card
from tunekit.training.steps import Training
from tunekit.training.texts.rows import Row

MOST_ROWS = 1024
"""How many rows are looked at; of more, these are drawn by the seed."""

R = TypeVar("R", bound=Row)


def measured(training: Training, stop: AskStop) -> dict[str, torch.Tensor]:
    """The importance of every trained weight, by parameter, whole and in the host's memory.

    Args:
        training: At its end.
        stop: Asked before each row.

    Raises:
        JobFailedError: A gradient is not finite.
        Stopped: To be left; no weight has changed.
    """
    ranks, parameters = training.ranks, training.parameters
    rows = sampled(training.rows, training.spec.seed)
    squares = {name: torch.zeros_like(value) for name, value in parameters.items()}
    # Ranks that have a share of the weights each go through every row together: there, gradients come as a mean.
    own = rows if ranks.in_step else dealt(rows, ranks.count)[ranks.rank]
    with evaluating(training.model):
        for row in own:
            raise_if_stopped(stop)
            training.optimizer.zero_grad(set_to_none=True)
            training.learner.loss([row]).total.backward()
            for name, value in parameters.items():
                if value.grad is not None:
                    squares[name].addcmul_(value.grad, value.grad)
    if not ranks.in_step:
        for name, value in parameters.items():
            value.grad = squares[name]
        ranks.add_up(list(parameters.values()))
    training.optimizer.zero_grad(set_to_none=True)
    found = {name: whole(value).cpu() / len(rows) for name, value in squares.items()}
    _require_finite(found)
    return found


def sampled(rows: Sequence[R], seed: int) -> list[R]:
    """At most `MOST_ROWS` of some rows, in their order.

    Args:
        rows: Of the run.
        seed: Decides which.
    """
    if len(rows) <= MOST_ROWS:
        return list(rows)
    chosen = random.Random(f"tunekit fisher {seed}").sample(range(len(rows)), MOST_ROWS)
    return [rows[at] for at in sorted(chosen)]


def read(directory: Path) -> dict[str, torch.Tensor]:
    """What an artifact says, by parameter.

    Raises:
        ModelError: The file is missing, or is not what was saved with the artifact.
        StorageError: It cannot be read.
    """
    path = directory / FISHER_NAME
    with _files.storage_errors(f"cannot read {str(path)!r}"):
        try:
            if _files.sha256_file(path) != read_card(directory).fisher_sha256:
                raise ModelError(
                    f"{str(path)!r} has changed since it was saved", hint="copy the artifact again"
                )
            return load_file(path)
        except (FileNotFoundError, SafetensorError) as error:
            raise ModelError(
                f"{str(path)!r} says of no weight how much it matters: {error}",
                hint="copy the artifact again",
            ) from error


def fitted(
    importance: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The importance of what has grown since: weights of classes that were not there then mattered for nothing."""
    found = dict(importance)
    for name, value in parameters.items():
        old = found.get(name)
        if old is not None and old.shape[1:] == value.shape[1:] and len(old) < len(value):
            found[name] = torch.cat([old, old.new_zeros(len(value) - len(old), *old.shape[1:])])
    return found


def relative(
    importance: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The importance of what is trained, divided by its mean over all of these weights.

    Args:
        importance: By parameter; it may know more than are trained.
        parameters: What is trained, by name.

    Raises:
        ModelError: A parameter is not among those that were trained, or none of their weights matters.
    """
    unknown = [
        name
        for name, value in parameters.items()
        if name not in importance or importance[name].shape != value.shape
    ]
    if unknown:
        raise ModelError(
            f"the artifact does not say how much the weights of {unknown[0]!r} matter, and {len(unknown) - 1} others",
            hint="train what that artifact trained (its adapter, or FullWeights()), or use stay_near=L2ToStart()",
        )
    known = {name: importance[name] for name in parameters}
    mean = math.fsum(float(value.double().sum()) for value in known.values()) / sum(
        value.numel() for value in known.values()
    )
    if not (math.isfinite(mean) and mean > 0.0):
        raise ModelError(
            f"the mean importance of the artifact's weights is {mean}: it says nothing of which of them matter",
            hint="use stay_near=L2ToStart()",
        )
    return {name: value / mean for name, value in known.items()}


def _require_finite(importance: Mapping[str, torch.Tensor]) -> None:
    for name, value in importance.items():
        if not bool(torch.isfinite(value).all()):
            raise JobFailedError(
                f"the gradients of some row are so large that their squares, in {name!r}, are no numbers",
                hint="leave keep_fisher out, or lower learning_rate",
            )
