"""What learning several tasks together does to each of them. Knows evaluations of tasks; asks no model.

The mean over tasks hides it: one that gains and one that is ruined look like no change. So each task is tested by
itself, against the model that learned it alone, with Holm's correction for how many tasks there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from tunekit.data.wording import brief, counted, listed
from tunekit.errors import SpecError
from tunekit.evaluation.records import Record
from tunekit.evaluation.report.numbers import difference, interval, p_value
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import Interval, two_sided_z
from tunekit.retrain.multitask.averaging import mean_of, measured, no_common_scale
from tunekit.retrain.multitask.effects import (
    Scorers,
    TaskEffect,
    check_alike,
    effects_of,
    evaluations_by_task,
    scorer_for,
    worst_of,
)
from tunekit.tuning.tables import aligned


class Transfer(Record):
    """What a model of several tasks does better or worse than a model for each of them. Print it.

    Attributes:
        tasks: Effect on each task: `before` is the single-task model, `after` the multi-task one.
        level: Confidence level; a task is harmed where its adjusted p-value is below what is left of it.
        single: Mean over tasks of the single-task models; None where `refusal` says why.
        multi: The same of the multi-task model.
        change: Mean over tasks of the paired differences, with its interval.
        refusal: Why there is no mean; "" where there is one.
    """

    schema_version: Literal[1] = 1
    tasks: dict[str, TaskEffect]
    level: float
    single: Interval | None
    multi: Interval | None
    change: Interval | None
    refusal: str = Field(default="", repr=False)

    @property
    def harmed(self) -> tuple[str, ...]:
        """Tasks that are shown to be worse, the worst first."""
        found = [effect for effect in self.tasks.values() if effect.outcome == "worse"]
        return tuple(effect.task for effect in sorted(found, key=lambda effect: effect.delta.estimate))

    @property
    def helped(self) -> tuple[str, ...]:
        """Tasks that are shown to be better."""
        return tuple(effect.task for effect in self.tasks.values() if effect.outcome == "better")

    @property
    def worst(self) -> TaskEffect:
        """The task that lost most, shown or not."""
        found = worst_of(self.tasks)
        assert found is not None, "there is no transfer without tasks"
        return found

    def __str__(self) -> str:
        rows = [("", "alone", "together", "together - alone", "adjusted p", "items", "")]
        rows += [
            (
                brief(effect.task, quote=False),
                interval(effect.before),
                interval(effect.after),
                interval(effect.delta, signed=True),
                p_value(effect.p_adjusted),
                f"{effect.delta.n:,}",
                {"worse": "HARMED", "better": "helped", "unclear": ""}[effect.outcome],
            )
            for effect in self.tasks.values()
        ]
        if self.single and self.multi and self.change:
            means = (interval(self.single), interval(self.multi), interval(self.change, signed=True))
            rows.append(("mean of tasks", *means, "", "", ""))
        return "\n".join([*aligned(rows), *self._words()])

    def _words(self) -> Iterator[str]:
        if self.refusal:
            yield f"no mean of tasks: {self.refusal}"
        if not self.harmed:
            yield (
                f"no task of {len(self.tasks)} is shown to be harmed; the worst is {brief(self.worst.task)},"
                f" {_points(self.worst)}"
            )
            return
        yield (
            f"{counted(len(self.harmed), 'task')} of {len(self.tasks)} harmed: {listed(self.harmed)};"
            f" the worst by {_points(self.worst)}"
        )


def negative_transfer(
    multi: Mapping[str, Evaluation],
    single: Mapping[str, Evaluation],
    *,
    scorer: Scorers = None,
    level: float = 0.95,
) -> Transfer:
    """Test each task of a multi-task model against the model that learned this task alone.

    Args:
        multi: The multi-task model on each task's test, by the name of the task.
        single: For each of these tasks its own model, on the same test.
        scorer: What counts: one scorer for all tasks, one by task, or None for the first.
        level: Confidence level. The chance that any task is called harmed or helped which is neither is at most what is
            left of it, by Holm's correction.

    Raises:
        SpecError: The two are not of the same tasks.
        EvaluationError: Two evaluations of a task are of different tests, sampling or scorers.
        NotFoundError: There is no such scorer.

    Examples:
        >>> import tunekit as tk
        >>> test = tk.Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(200)])
        >>> evaluator, right = tk.Evaluator(test), lambda prompt: str(int(prompt) % 4)
        >>> alone, together = evaluator.run(right), evaluator.run(lambda prompt: "0")
        >>> found = negative_transfer({"a": together, "b": alone}, {"a": alone, "b": alone})
        >>> found.harmed, round(found.change.estimate, 3)
        (('a',), -0.375)
    """
    two_sided_z(level)  # refuses a level that is none
    together, alone = evaluations_by_task("multi", multi), evaluations_by_task("single", single)
    if together.keys() != alone.keys():
        only = sorted(together.keys() ^ alone.keys())
        raise SpecError(
            f"only one of multi and single has {listed(only)}",
            hint="evaluate both kinds of model on every task",
        )
    scorers = {task: scorer_for(task, each, scorer) for task, each in together.items()}
    for task, name in scorers.items():
        check_alike(task, (alone[task], together[task]), name)
    tasks = effects_of({task: (alone[task], together[task]) for task in together}, scorers, level)
    refusal = no_common_scale({task: measured(each, scorers[task], level) for task, each in together.items()})
    sides = [] if refusal else list(tasks.values())
    return Transfer(
        tasks=tasks,
        level=level,
        single=mean_of([effect.before for effect in sides]) if sides else None,
        multi=mean_of([effect.after for effect in sides]) if sides else None,
        change=mean_of([effect.delta for effect in sides]) if sides else None,
        refusal=refusal,
    )


def _points(effect: TaskEffect) -> str:
    percent = all(abs(each) <= 1.0 for each in (effect.before.estimate, effect.after.estimate))
    return difference(effect.delta.estimate, percent=percent)
