"""The mean over tasks, each counted once. Knows intervals of tasks; of items only which task they are of.

It is never the mean over all items: tasks have metrics and sizes of their own, and the largest would drown the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from tunekit.data.wording import brief, counted, listed
from tunekit.errors import EvaluationError, NotFoundError
from tunekit.evaluation.grouping import NO_VALUE
from tunekit.evaluation.measuring import corpus_metric, metric_of
from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation, Metric
from tunekit.evaluation.stats import Interval
from tunekit.retrain.multitask.effects import Scorers, evaluations_by_task, require_scored, scorer_for


class MacroAverage(Record):
    """Results by task, and their mean.

    Attributes:
        tasks: Result of each task.
        value: Their mean, every task counted once; None where they have no common scale, for which `refusal` says why.
        refusal: See `value`; "" where there is one.

    Examples:
        >>> from tunekit.evaluation.stats import wilson
        >>> print(MacroAverage(tasks={"tone": wilson(90, 100), "topic": wilson(400, 800)}, value=wilson(70, 100)))
        tone     90.0 % [82.6, 94.5]
        topic    50.0 % [46.5, 53.5]
        average  70.0 % [60.4, 78.1]
    """

    tasks: dict[str, Interval]
    value: Interval | None
    refusal: str = Field(default="", repr=False)

    def __str__(self) -> str:
        from tunekit.evaluation.report import interval

        shown = {brief(task, quote=False): interval(value) for task, value in self.tasks.items()}
        shown["average"] = interval(self.value) if self.value else f"none: {self.refusal}"
        width = max(map(len, shown))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in shown.items())


def macro_average(
    evaluations: Evaluation | Mapping[str, Evaluation],
    *,
    scorer: Scorers = None,
    column: str = "task",
    level: float = 0.95,
) -> MacroAverage:
    """The mean over tasks, each counted once, with an interval.

    Args:
        evaluations: One of a test with rows of several tasks, made with `Evaluator(slices=("task",))`; or one of each
            task, by its name.
        scorer: What counts: one scorer for all tasks, one by task, or None for the first.
        column: Meta column of the task's name.
        level: Confidence level.

    Raises:
        NotFoundError: There is no such scorer, or the evaluation is not sliced by the column.
        EvaluationError: No item of a task could be scored.

    Examples:
        >>> import tunekit as tk
        >>> task_of = lambda n: "often" if n < 90 else "rare"
        >>> rows = [{"prompt": f"{n}", "completion": task_of(n), "task": task_of(n)} for n in range(100)]
        >>> test = tk.Dataset.from_records(rows, input="prompt", target="completion")
        >>> found = macro_average(tk.Evaluator(test, slices=("task",)).run(lambda prompt: "often"))
        >>> found.value.estimate, found.tasks["rare"].estimate
        (0.5, 0.0)
    """
    if isinstance(evaluations, Evaluation):
        metrics = _by_slice(evaluations, scorer_for("", evaluations, scorer), column, level)
    else:
        given = evaluations_by_task("evaluations", evaluations)
        metrics = {}
        for task, each in given.items():
            name = scorer_for(task, each, scorer)
            require_scored(task, each, name)
            metrics[task] = measured(each, name, level)
    refusal = no_common_scale(metrics)
    intervals = {task: metric.value for task, metric in metrics.items()}
    return MacroAverage(
        tasks=intervals, value=None if refusal else mean_of(list(intervals.values())), refusal=refusal
    )


def measured(evaluation: Evaluation, scorer: str, level: float) -> Metric:
    """A result at a level of confidence, whatever the evaluation was made with."""
    metric = evaluation[scorer]
    if metric.value.level == level:
        return metric
    return metric_of(
        evaluation.items, scorer, corpus=metric.corpus, higher_is_better=metric.higher_is_better, level=level
    )


def mean_of(intervals: Sequence[Interval]) -> Interval:
    """The mean of independent results, each counted once.

    Its ends are as far from it as the squares of theirs add up to, each side by itself (MOVER, Zou and Donner 2008,
    Statistics in Medicine 27:1693), so that a result next to 100 % keeps its short upper side.

    Examples:
        >>> found = mean_of([Interval(estimate=0.9, low=0.87, high=0.92, level=0.95, n=500),
        ...                  Interval(estimate=0.7, low=0.66, high=0.74, level=0.95, n=500)])
        >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
        (0.8, 0.775, 0.822)
    """
    count = len(intervals)
    estimate = math.fsum(each.estimate for each in intervals) / count
    below = math.hypot(*(each.estimate - each.low for each in intervals)) / count
    above = math.hypot(*(each.high - each.estimate for each in intervals)) / count
    return Interval(
        estimate=estimate,
        low=estimate - below,
        high=estimate + above,
        level=intervals[0].level,
        n=sum(each.n for each in intervals),
    )


def no_common_scale(metrics: Mapping[str, Metric]) -> str:
    """Why results cannot be averaged; "" where they can: all are of one scorer, or shares of which more is better."""
    names = {(metric.name, metric.corpus, metric.higher_is_better) for metric in metrics.values()}
    odd = [task for task, metric in metrics.items() if not _is_share(metric)]
    if len(names) == 1 or not odd:
        return ""
    return f"there are {counted(len(names), 'scorer')}, and of {listed(odd)} it is no share of which more is better"


def _is_share(metric: Metric) -> bool:
    if not metric.higher_is_better:
        return False
    if metric.kind == "corpus":
        known = corpus_metric(metric.name, metric.corpus or metric.name)
        return (known.low, known.high) == (0.0, 1.0)
    return metric.kind == "binary" or 0.0 <= metric.value.estimate <= 1.0


def _by_slice(evaluation: Evaluation, scorer: str, column: str, level: float) -> dict[str, Metric]:
    whole = evaluation[scorer]
    values = list(dict.fromkeys(item.slices.get(column, NO_VALUE) for item in evaluation.items))
    if NO_VALUE in values:
        known = sorted({name for item in evaluation.items for name in item.slices})
        raise NotFoundError(
            f"an item has no {brief(column)}; the evaluation is sliced by {listed(known) or 'nothing'}",
            hint=f"evaluate with slices=({column!r},), and rows of which each has it in its meta",
        )
    found = {}
    for value in values:
        items = [item for item in evaluation.items if item.slices[column] == value]
        try:
            found[value] = metric_of(
                items, scorer, corpus=whole.corpus, higher_is_better=whole.higher_is_better, level=level
            )
        except EvaluationError as error:
            raise EvaluationError(f"task {brief(value)}: {error.message}", hint=error.hint) from None
    return found
