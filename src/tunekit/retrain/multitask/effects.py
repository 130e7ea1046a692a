"""What became of each task from one model to another: paired, and corrected for how many tasks. Knows evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from tunekit.data.wording import brief, listed
from tunekit.errors import EvaluationError, NotFoundError, SpecError
from tunekit.evaluation.findings import find
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.pairing import pair
from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import Interval, holm

MAX_ERROR_RATE = 0.05
"""Share of items without a score, above which an evaluation says nothing; as in comparisons."""
Outcome: TypeAlias = Literal["better", "worse", "unclear"]
Scorers: TypeAlias = str | Mapping[str, str] | None
"""The scorer that counts: one for all tasks, one for each, or None for the first of each evaluation."""


class TaskEffect(Record):
    """What became of one task from one model to another, on the same items.

    Attributes:
        task: Name of the task.
        scorer: What it is measured by.
        before: Result of the first model on the items that both could be scored on.
        after: Result of the second, on the same items.
        delta: Paired difference with its interval, counted so that more is better, whatever the scorer's direction.
        p_value: Two-sided p-value of no difference.
        p_adjusted: The same after Holm's correction for all tasks of the report: read this one.
        test: How the p-value was found.

    Examples:
        >>> from tunekit.evaluation.stats import tango, wilson
        >>> effect = TaskEffect(task="tone", scorer="accuracy", before=wilson(90, 100), after=wilson(70, 100),
        ...                     delta=tango(5, 25, 100), p_value=0.0003, p_adjusted=0.0009, test="McNemar mid-p")
        >>> effect.outcome
        'worse'
    """

    task: str
    scorer: str
    before: Interval
    after: Interval
    delta: Interval
    p_value: float
    p_adjusted: float
    test: str

    @property
    def outcome(self) -> Outcome:
        """Shown to be "better" or "worse" where the adjusted p-value is below 1 - level, else "unclear"."""
        if self.p_adjusted >= 1.0 - self.delta.level or not self.delta.estimate:
            return "unclear"
        return "better" if self.delta.estimate > 0.0 else "worse"


def effects_of(
    sides: Mapping[str, tuple[Evaluation, Evaluation]], scorers: Mapping[str, str], level: float
) -> dict[str, TaskEffect]:
    """The effect on each task, with Holm's correction over all of them.

    Args:
        sides: Both evaluations of each task.
        scorers: What each is measured by.
        level: Confidence level of the intervals.

    Raises:
        EvaluationError: No item of a task could be scored for both.
    """
    found = [effect_of(task, scorers[task], before, after, level) for task, (before, after) in sides.items()]
    return dict(zip(sides, corrected(found), strict=True))


def corrected(effects: Sequence[TaskEffect]) -> list[TaskEffect]:
    """The same with Holm's correction over all of them."""
    adjusted = holm([effect.p_value for effect in effects])
    return [
        effect.model_copy(update={"p_adjusted": p_value})
        for effect, p_value in zip(effects, adjusted, strict=True)
    ]


def effect_of(task: str, scorer: str, before: Evaluation, after: Evaluation, level: float) -> TaskEffect:
    """The effect on one task, not corrected yet.

    Raises:
        EvaluationError: No item could be scored for both.
    """
    pairs = pair(scorer, before, after)
    found = find(pairs, level)
    corpus = pairs.corpus.name if pairs.corpus else ""
    sides = [
        metric_of([row[side] for row in pairs.rows], scorer, corpus=corpus, level=level).value
        for side in (0, 1)
    ]
    up = pairs.corpus.higher_is_better if pairs.corpus else pairs.higher_is_better
    return TaskEffect(
        task=task,
        scorer=scorer,
        before=sides[0],
        after=sides[1],
        delta=found.delta if up else found.delta.mirrored,
        p_value=found.p_value,
        p_adjusted=found.p_value,
        test=found.test,
    )


def worst_of(effects: Mapping[str, TaskEffect]) -> TaskEffect | None:
    """The task that lost most; None without any."""
    return min(effects.values(), key=lambda effect: effect.delta.estimate, default=None)


def scorer_for(task: str, evaluation: Evaluation, scorers: Scorers) -> str:
    """The scorer by which a task is measured.

    Raises:
        NotFoundError: The evaluation has no such scorer.
        SpecError: There are scorers by task, and none for this one.
    """
    if scorers is None:
        return evaluation.names[0]
    if isinstance(scorers, str):
        name = scorers
    elif task in scorers:
        name = scorers[task]
    else:
        raise SpecError(
            f"scorer names none for the task {brief(task)}", hint=f"it has {listed(evaluation.names)}"
        )
    if name not in evaluation.metrics:
        raise NotFoundError(
            f"the evaluation of {brief(task)} has no scorer {brief(name)}",
            hint=f"it has {listed(evaluation.names)}",
        )
    return name


def require_scored(task: str, evaluation: Evaluation, scorer: str) -> None:
    """Refuse an evaluation that says nothing, as comparisons do: what a model did not answer it did not get right.

    Raises:
        EvaluationError: More than `MAX_ERROR_RATE` of the items have no score.
    """
    metric = evaluation[scorer]
    total = metric.n_errors + metric.value.n
    if metric.n_errors > MAX_ERROR_RATE * total:
        raise EvaluationError(
            f"{metric.n_errors} of {total} items of {brief(task)} could not be scored for {evaluation.model}, "
            f"more than {MAX_ERROR_RATE:.0%}",
            hint="look at the errors of its items, and evaluate again: what was answered is not asked again",
        )


def check_alike(task: str, evaluations: Sequence[Evaluation], scorer: str) -> None:
    """Refuse evaluations of one task that cannot be compared.

    Raises:
        EvaluationError: They are of different test sets, sampling or scorers, or too many items of one have no score.
        NotFoundError: One has not been scored by it.
    """
    for evaluation in evaluations:
        require_scored(task, evaluation, scorer_for(task, evaluation, scorer))
    for one, other in pairwise(evaluations):
        if differences := one.provenance.differences(other.provenance):
            raise EvaluationError(
                f"{one.model} and {other.model} were not evaluated alike on {brief(task)}: {'; '.join(differences)}",
                hint="evaluate every model with one Evaluator for each task",
            )


def evaluations_by_task(name: str, given: object) -> dict[str, Evaluation]:
    """A mapping of evaluations by the name of their task.

    Raises:
        SpecError: It is something else, or empty.
    """
    found = dict(given) if isinstance(given, Mapping) else {}
    if not found or not all(
        isinstance(task, str) and isinstance(each, Evaluation) for task, each in found.items()
    ):
        raise SpecError(
            f"{name} is {brief(given)}",
            hint="pass stored evaluations by the name of their task: {'tone': evaluation}",
        )
    return found
