"""When to stop before the last epoch, and which step was the best. Knows numbers of evaluations; no weights, no files.

Patience is counted in evaluations, as in Prechelt 1998, "Early stopping - but when?" (criterion UP).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.spec import EarlyStopping

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "loss": False,
    "accuracy": True,
    "exact_match": True,
    "reward": True,
    "reward_margin": True,
    "chosen_reward": True,
    "rejected_reward": False,
    "desirable_reward": True,
    "undesirable_reward": False,
    "chosen_log_prob": True,
    "rejected_log_prob": False,
}
"""The metrics of our methods that say which of two models is better, and how."""


class Best(BaseModel):
    """The best evaluation so far.

    Attributes:
        step: After which step it was.
        value: Of the metric that is watched.
        metrics: All that it found.
        waited: Evaluations since then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    value: float
    metrics: dict[str, float]
    waited: int = 0


def require_possible(rule: EarlyStopping | None, rows: int) -> None:
    """Raise `SpecError` if there is nothing to tell by when to stop: no validation rows, or no metric of that name.

    Whether the method at hand reports the metric is known after the first evaluation (see `judged`).
    """
    if rule is None:
        return
    if rule.metric not in HIGHER_IS_BETTER:
        raise SpecError(
            f"early_stopping.metric is {brief(rule.metric)}, which no method reports",
            hint=nearest(rule.metric, HIGHER_IS_BETTER) or f"use one of {listed(HIGHER_IS_BETTER)}",
        )
    if not rows:
        raise SpecError(
            "early_stopping watches the validation set, and there is none",
            hint="pass validation data along with the training data, or leave early_stopping out",
        )


def judged(rule: EarlyStopping, best: Best | None, step: int, found: Mapping[str, float]) -> Best | None:
    """The best evaluation after one more; None as long as there was no number at all.

    Args:
        rule: What counts as better.
        best: The best before.
        step: After which step this one was.
        found: Its metrics by name.

    Raises:
        SpecError: The metric is not among them, or says nothing about which model is better.

    Examples:
        >>> first = judged(EarlyStopping(), None, 10, {"loss": 2.0})
        >>> judged(EarlyStopping(), first, 20, {"loss": 2.5}).waited
        1
    """
    if rule.metric not in found or rule.metric not in HIGHER_IS_BETTER:
        raise _unknown(rule.metric, found)
    value = found[rule.metric]
    if math.isfinite(value) and (best is None or _improvement(rule, best.value, value)):
        finite = {name: number for name, number in found.items() if math.isfinite(number)}
        return Best(step=step, value=value, metrics=finite)
    return best and best.model_copy(update={"waited": best.waited + 1})


def is_over(rule: EarlyStopping | None, best: Best | None) -> bool:
    """Whether training has not helped for as long as the rule is patient."""
    return rule is not None and best is not None and best.waited >= rule.patience


def _improvement(rule: EarlyStopping, before: float, now: float) -> bool:
    by = now - before if HIGHER_IS_BETTER[rule.metric] else before - now
    return by > rule.min_improvement


def _unknown(metric: str, found: Mapping[str, float]) -> SpecError:
    known = sorted(found.keys() & HIGHER_IS_BETTER.keys())
    reason = "does not say which model is better" if metric in found else "is not reported by this method"
    return SpecError(
        f"early_stopping.metric is {brief(metric)}, which {reason}",
        hint=f"use one of {listed(known)}",
        details={"metrics": known},
    )
