"""Learning curves and searches: many jobs, scored on dev. Knows jobs and evaluation; retrains nothing by itself."""

from __future__ import annotations

from tunekit.tuning.curve import CurveMean, CurvePoint, LearningCurve, Needed
from tunekit.tuning.learning import learning_curve, learning_curve_async
from tunekit.tuning.measured import Measured
from tunekit.tuning.optuna import OptunaProposer
from tunekit.tuning.power_law import PowerLaw
from tunekit.tuning.proposing import Proposer
from tunekit.tuning.recommending import Recommendation, recommend, recommend_async
from tunekit.tuning.results import Rung, Search, Trial
from tunekit.tuning.searching import search, search_async
from tunekit.tuning.space import Choice, IntUniform, LogUniform, Uniform

__all__ = [
    "Choice",
    "CurveMean",
    "CurvePoint",
    "IntUniform",
    "LearningCurve",
    "LogUniform",
    "Measured",
    "Needed",
    "OptunaProposer",
    "PowerLaw",
    "Proposer",
    "Recommendation",
    "Rung",
    "Search",
    "Trial",
    "Uniform",
    "learning_curve",
    "learning_curve_async",
    "recommend",
    "recommend_async",
    "search",
    "search_async",
]
