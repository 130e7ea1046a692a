"""Statistics of an evaluation, in pure standard library. Knows numbers; not models, items or scorers.

An `Evaluator` uses `wilson` for the share of one model, `tango` and `mcnemar_mid_p` for two models that are right or
wrong, `mean_t`, `constant_mean` and `sign_flip` for other scores, `verdict`, and the four planning functions.
`newcombe`, `mcnemar_exact` and `bca_mean` are for reports of your own that ask for another convention: all take counts
and scores that an `Evaluation` or a `Comparison` holds.

Examples:
    >>> mcnemar_exact(wins=10, losses=2) > mcnemar_mid_p(wins=10, losses=2)  # from `Comparison[name].wins`
    True
"""

from __future__ import annotations

from tunekit.evaluation.stats.distributions import (
    normal_quantile,
    student_t_quantile,
    student_t_sf,
    two_sided_t,
    two_sided_z,
)
from tunekit.evaluation.stats.interval import Interval, Verdict, check_margin, verdict
from tunekit.evaluation.stats.means import bca_mean, constant_mean, mean_t, sign_flip
from tunekit.evaluation.stats.power import (
    detectable_difference,
    detectable_mean,
    items_needed,
    items_needed_mean,
)
from tunekit.evaluation.stats.proportions import mcnemar_exact, mcnemar_mid_p, newcombe, tango, wilson

__all__ = [
    "Interval",
    "Verdict",
    "bca_mean",
    "check_margin",
    "constant_mean",
    "detectable_difference",
    "detectable_mean",
    "items_needed",
    "items_needed_mean",
    "mcnemar_exact",
    "mcnemar_mid_p",
    "mean_t",
    "newcombe",
    "normal_quantile",
    "sign_flip",
    "student_t_quantile",
    "student_t_sf",
    "tango",
    "two_sided_t",
    "two_sided_z",
    "verdict",
    "wilson",
]
