"""The best of several evaluations on one test, and by how much luck alone makes it look better. Asks no model."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from tunekit.data.wording import brief, listed
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.results import Evaluation

if TYPE_CHECKING:
    from tunekit.evaluation.evaluator import Evaluator

_MOST_PAIRS = 100


def deciding(evaluator: Evaluator, metric: str | None) -> str:
    """The scorer that decides: the one that is named, or the first.

    Raises:
        SpecError: The evaluator has no such scorer. Known before anything is asked, it costs nothing.
    """
    names = list(evaluator.provenance.scorers)
    if metric is None:
        return names[0]
    if metric not in names:
        raise SpecError(f"metric is {brief(metric)}", hint=f"the evaluator's scorers are {listed(names)}")
    return metric


def best_of(evaluations: Sequence[Evaluation], metric: str | None = None) -> Evaluation:
    """The one that does best, with a warning that says how much too high the best of so many reads.

    Choose on a dev set, and confirm the choice once on a sealed test.

    Args:
        evaluations: Of several models on one test.
        metric: The scorer that decides; None takes the first. Of equal ones the first evaluation is the best.

    Raises:
        EvaluationError: There is none, or they were not made alike.
        NotFoundError: There is no such scorer.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> dev = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 3}"} for n in range(90)])
        >>> rounds = [Evaluator(dev).run(lambda prompt, said=said: f"{int(prompt) % said}") for said in (2, 3, 4)]
        >>> best = best_of(rounds)
        >>> best["exact_match"].value.estimate, best.warnings[-1][:32]
        (1.0, 'the best of 3 equal configuratio')
    """
    if not evaluations:
        raise EvaluationError("no evaluation to choose from", hint="evaluate at least one model")
    for other in evaluations[1:]:
        if differences := evaluations[0].provenance.differences(other.provenance):
            raise EvaluationError(
                f"{evaluations[0].model} and {other.model} were not evaluated alike: {'; '.join(differences)}",
                hint="evaluate all with one Evaluator",
            )
    name = metric or evaluations[0].names[0]
    sign = 1 if evaluations[0][name].higher_is_better else -1
    best = max(evaluations, key=lambda each: sign * each[name].value.estimate)
    warning = _luck(name, evaluations)
    return best.model_copy(update={"warnings": (*best.warnings, warning)}) if warning else best


def _luck(name: str, evaluations: Sequence[Evaluation]) -> str | None:
    if len(evaluations) < 2:
        return None
    scores = [dict(each.scored(name)) for each in evaluations]
    shared = [item for item in scores[0] if all(item in each for each in scores)]
    columns = [[each[item] for item in shared] for each in scores]
    if len(shared) < 2 or any(each[name].kind == "corpus" for each in evaluations):
        return f"the best of {len(evaluations)} configurations reads too high: confirm it on another test"
    variance = statistics.fmean(map(statistics.pvariance, columns))
    return stats.winners_curse_warning(
        len(evaluations), len(shared), variance, correlation=_correlation(columns)
    )


def _correlation(columns: Sequence[Sequence[float]]) -> float:
    """How alike the models are, item by item; a negative number counts as 0, which warns of more."""
    moving = [column for column in columns if min(column) < max(column)]
    pairs = [pair for pair, _ in zip(combinations(moving, 2), range(_MOST_PAIRS), strict=False)]
    if not pairs:
        return 0.0
    return min(1.0, max(0.0, statistics.fmean(statistics.correlation(a, b) for a, b in pairs)))
