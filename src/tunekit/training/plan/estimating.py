"""What a run will take, and what is done where that is more than there is. Knows plans; runs no step."""

from __future__ import annotations

from functools import partial
from typing import Any

from tunekit.training.anchoring.asked import copies
from tunekit.training.plan import memory
from tunekit.training.plan.device import Device
from tunekit.training.plan.memory import Estimate
from tunekit.training.run.events_log import EventLog
from tunekit.training.steps import Training

_SHARE_OF_PEAK = 0.45  # what benchmarks/train_cpu.py shows; small models and short rows stay below


def spare_memory(training: Training, device: Device, log: EventLog) -> Estimate:
    """Compute activations twice where that was asked for, or where they would not fit.

    Raises:
        SpecError: There is not even room for the gradients and moments.
    """
    model, wanted = training.model, training.spec.gradient_checkpointing
    longest = max(row.length for row in training.rows)
    rows = max(1, min(training.recipe.micro_rows, training.recipe.micro_tokens // longest))
    ranks = training.ranks
    estimate = partial(
        memory.estimate,
        model,
        device,
        pass_tokens=rows * longest,
        shares=ranks.count if ranks.in_step else 1,
        copies=copies(training.spec),
    )
    needed, free = estimate(), ranks.share(memory.free_bytes(device, processes=ranks.count))
    memory.require_room(needed, free)
    if wanted == "auto":
        wanted = not memory.fits(needed, free)
    if wanted:
        memory.compute_activations_twice(model)
        needed = estimate(checkpointing=True)
    if not memory.fits(needed, free):
        log.notice(
            f"training may need {needed.total >> 20} MB in all, and only {(free or 0) >> 20} MB are free",
            level="warning",
            data={"needed_bytes": needed.total, "free_bytes": free},
        )
    return needed


def time_of(training: Training) -> dict[str, Any]:
    """What all steps cost in arithmetic, and the seconds that follow where half of the peak is reached."""
    operations = (
        training.work.of_rows(training.rows) * training.recipe.total_steps / training.recipe.steps_per_epoch
    )
    seconds = operations / (_SHARE_OF_PEAK * training.peak) if training.peak else None
    return {"operations": operations, "seconds_estimate": seconds}


def headline(report: dict[str, Any]) -> str:
    """The report in one line."""
    seconds = report["seconds_estimate"]
    return (
        f"{report['rows']} rows, {report['tokens']} tokens ({report['target_share']:.0%} with loss), "
        f"{report['steps']} steps, {report['trainable_parameters']} trainable parameters on {report['device']}"
        + (f", about {seconds:.0f} s or more" if seconds and seconds >= 1 else "")
    )
