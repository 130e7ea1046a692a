"""A run's pull, and what it leaves for the pull of the next. Knows plans and artifacts; computes neither."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.spec import EWC
from tunekit.training.anchoring import fisher
from tunekit.training.anchoring.asked import pulling
from tunekit.training.anchoring.pull import Pull
from tunekit.training.ranks.sharding import like
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunPlan
from tunekit.training.run.stops import AskStop
from tunekit.training.saving.artifacts import FISHER_NAME
from tunekit.training.steps import Training

if TYPE_CHECKING:
    import torch


def pull_of(plan: RunPlan, parameters: Mapping[str, torch.nn.Parameter]) -> Pull | None:
    """What keeps a run near its start; None where nothing was asked for.

    Args:
        plan: The run's.
        parameters: What is trained, by name, as it is before the first step.

    Raises:
        ModelError: The artifact that the run goes on from does not say which of these weights matter.
        StorageError: It cannot be read.
    """
    near = pulling(plan.spec)
    if near is None:
        return None
    importance = None
    if isinstance(near, EWC):
        earlier = fisher.fitted(fisher.read(Path(plan.warm_start)), parameters)
        known = fisher.relative(earlier, parameters)
        importance = {name: like(known[name], value.detach()) for name, value in parameters.items()}
    start = {name: value.detach().clone() for name, value in parameters.items()}
    return Pull(strength=near.strength, start=start, importance=importance)


def fisher_of(
    plan: RunPlan, training: Training, stop: AskStop, log: EventLog
) -> dict[str, torch.Tensor] | None:
    """What a run keeps of which weights matter; None where that was not asked for.

    Where the run was itself held by what an earlier one has kept, both are added up: all that was learned until now
    matters (Schwarz et al. 2018, arXiv 1805.06370, "online EWC" without forgetting).

    Args:
        plan: The run's.
        training: At its end.
        stop: Asked before each row.
        log: Told over how many rows it was measured.

    Raises:
        JobFailedError: A gradient is not finite.
        ModelError: What the earlier run has kept is damaged.
        Stopped: To be left.
    """
    if not plan.spec.keep_fisher:
        return None
    rows = len(fisher.sampled(training.rows, plan.spec.seed))
    log.notice(
        f"measuring over {rows} of {len(training.rows)} rows how much each weight matters",
        data={"rows": rows},
    )
    found = fisher.measured(training, stop)
    if isinstance(pulling(plan.spec), EWC):
        earlier = fisher.fitted(fisher.read(Path(plan.warm_start)), found)
        found = {name: value + earlier[name] for name, value in found.items()}
    elif plan.warm_start and (Path(plan.warm_start) / FISHER_NAME).is_file():
        log.notice(
            "what the earlier run has kept of which weights matter is left out: this run was not held by it "
            "(stay_near=EWC()), so the next one will only be held by what this one has learned"
        )
    return found
