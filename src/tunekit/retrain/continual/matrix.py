r"""The stage-by-task matrix and its four numbers. Knows evaluations by stage and task; asks no model.

With $R_{i,j}$ for task j after stage i, T for the last stage and $b_j$ for the untrained model, means over tasks are

| number | of | over |
|---|---|---|
| average | $R_{T,j}$ | all tasks |
| backward transfer | $R_{T,j} - R_{j,j}$ | tasks learned before the last stage |
| forgetting | $\max_{i<T} R_{i,j} - R_{T,j}$ | the same |
| forward transfer | $R_{j-1,j} - b_j$ | tasks learned after the first stage |

as Lopez-Paz and Ranzato 2017 (arXiv 1706.08840) and Chaudhry et al. 2018 (arXiv 1801.10112) have them; $R_{j,j}$ is the
result after the stage that task j was learned at. Differences are paired item by item, and more is always better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunekit.evaluation.findings import estimate
from tunekit.evaluation.pairing import pair
from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import Interval
from tunekit.retrain.multitask.averaging import mean_of, measured, no_common_scale
from tunekit.retrain.multitask.effects import TaskEffect, effects_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Evaluations by stage and task, checked.

    Attributes:
        stages: Names in order.
        learned: For each task the number of the stage that it was learned at, from 0.
        found: Evaluation by number of the stage and task.
        baseline: Evaluation of the untrained model by task, where there is one.
        scorers: What each task is measured by.
        level: Confidence level.
    """

    stages: tuple[str, ...]
    learned: Mapping[str, int]
    found: Mapping[tuple[int, str], Evaluation]
    baseline: Mapping[str, Evaluation]
    scorers: Mapping[str, str]
    level: float

    @property
    def last(self) -> int:
        """Number of the last stage."""
        return len(self.stages) - 1

    @property
    def earlier(self) -> tuple[str, ...]:
        """Tasks that were learned before the last stage."""
        return tuple(task for task, stage in self.learned.items() if stage < self.last)

    def result(self, stage: int, task: str) -> Interval:
        """One cell."""
        return measured(self.found[stage, task], self.scorers[task], self.level).value


class Forgotten(Record):
    """How much of a task is gone, from the best that it ever was.

    Attributes:
        task: Name of the task.
        stage: The stage before the last that it was best after.
        best: Its result then.
        lost: `best` minus the last result, paired, with its interval; below 0 where the last is better still. The best
            of several stages was chosen on the same items, so that this reads a little high.
    """

    task: str
    stage: str
    best: Interval
    lost: Interval


class Matrix(Record):
    """What a line of models scored on each task, and what follows.

    Attributes:
        cells: Result by stage and task, where it was measured.
        untrained: Result of the untrained model by task.
        backward: Of each earlier task, from after it was learned to the end; Holm's correction is over these.
        forgotten: Of each earlier task, from its best to the end.
        forward: Of each later task, from the untrained model to just before it was learned; Holm's likewise.
        average: Mean over tasks after the last stage.
        backward_transfer: Mean of `backward`; below 0 means that later stages cost earlier tasks.
        forgetting: Mean of `forgotten`.
        forward_transfer: Mean of `forward`.
        refusal: Why there are no means, or ""; a mean is also None where there is no such task.
    """

    cells: dict[str, dict[str, Interval]]
    untrained: dict[str, Interval]
    backward: dict[str, TaskEffect]
    forgotten: dict[str, Forgotten]
    forward: dict[str, TaskEffect]
    average: Interval | None
    backward_transfer: Interval | None
    forgetting: Interval | None
    forward_transfer: Interval | None
    refusal: str = ""


def matrix_of(grid: Grid) -> Matrix:
    """All numbers of a grid in which every task was measured when it was learned and at the end.

    Raises:
        EvaluationError: No item of a task could be scored for two models that are compared.
    """
    backward = effects_of(
        {task: (grid.found[grid.learned[task], task], grid.found[grid.last, task]) for task in grid.earlier},
        grid.scorers,
        grid.level,
    )
    forgotten = {task: _forgotten(grid, task) for task in grid.earlier}
    forward = effects_of(dict(_before_learning(grid)), grid.scorers, grid.level)
    refusal = no_common_scale(
        {task: measured(grid.found[grid.last, task], grid.scorers[task], grid.level) for task in grid.learned}
    )
    return Matrix(
        cells={
            stage: {task: grid.result(at, task) for task in grid.scorers if (at, task) in grid.found}
            for at, stage in enumerate(grid.stages)
        },
        untrained={
            task: measured(each, grid.scorers[task], grid.level).value for task, each in grid.baseline.items()
        },
        backward=backward,
        forgotten=forgotten,
        forward=forward,
        average=_mean([grid.result(grid.last, task) for task in grid.learned], refusal),
        backward_transfer=_mean([effect.delta for effect in backward.values()], refusal),
        forgetting=_mean([each.lost for each in forgotten.values()], refusal),
        forward_transfer=_mean([effect.delta for effect in forward.values()], refusal),
        refusal=refusal,
    )


def _before_learning(grid: Grid) -> Iterator[tuple[str, tuple[Evaluation, Evaluation]]]:
    for task, stage in grid.learned.items():
        if task in grid.baseline and (stage - 1, task) in grid.found:
            yield task, (grid.baseline[task], grid.found[stage - 1, task])


def _forgotten(grid: Grid, task: str) -> Forgotten:
    up = grid.found[grid.last, task][grid.scorers[task]].higher_is_better
    stages = [at for at in range(grid.last) if (at, task) in grid.found]
    best = max(stages, key=lambda at: grid.result(at, task).estimate * (1 if up else -1))
    pairs = pair(grid.scorers[task], grid.found[best, task], grid.found[grid.last, task])
    gained = estimate(pairs, grid.level).delta
    return Forgotten(
        task=task,
        stage=grid.stages[best],
        best=grid.result(best, task),
        lost=gained.mirrored if up else gained,
    )


def _mean(values: list[Interval], refusal: str) -> Interval | None:
    return mean_of(values) if values and not refusal else None
