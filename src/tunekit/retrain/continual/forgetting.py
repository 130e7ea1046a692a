"""The forgetting report: what each stage of learning did to each task. Knows evaluations; asks and trains nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field

from tunekit.data.arguments import mapping, sequence
from tunekit.data.wording import brief, counted, listed, nearest
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import Interval
from tunekit.retrain.continual.matrix import Grid, Matrix, matrix_of
from tunekit.retrain.continual.own_labels import OWN, among_own, labels_of
from tunekit.retrain.multitask.effects import (
    Scorers,
    TaskEffect,
    check_alike,
    effects_of,
    evaluations_by_task,
    scorer_for,
    worst_of,
)

_STAGES = "{'January': {'refunds': evaluation}, 'February': {'refunds': evaluation, 'returns': evaluation}}"


class Forgetting(Record):
    """What a line of models, each trained after the last, forgot of earlier tasks. Print it.

    Attributes:
        stages: Names of the stages, in order.
        learned: For each task the stage that it was learned at.
        scorers: What each task, and each probe set, is measured by.
        level: Confidence level.
        full: The matrix as the evaluations have it: with all labels that a model may answer.
        own: The same with the right answer sought among the labels of its task alone, as "accuracy among own labels";
            None where that can be said of no task. It has means where it can be said of all.
        not_own: For each task of which it cannot be said, why.
        general: What became of each general probe set, from the untrained model (or the first stage, where there is
            none) to the end; with Holm's correction over these. They are in no mean.
        compared: Of each earlier task, the model after it was learned against the last.

    Examples:
        >>> import tunekit as tk
        >>> test = tk.Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(200)])
        >>> evaluator = tk.Evaluator(test)
        >>> right, wrong = evaluator.run(lambda prompt: str(int(prompt) % 4)), evaluator.run(lambda prompt: "0")
        >>> report = Forgetting.of({"May": {"refunds": right}, "June": {"refunds": wrong, "returns": right}})
        >>> report.worst.task, report.worst.outcome, report.backward_transfer.estimate
        ('refunds', 'worse', -0.75)
        >>> Forgetting.from_json(report.to_json()) == report
        True
    """

    schema_version: Literal[1] = 1
    stages: tuple[str, ...]
    learned: dict[str, str]
    scorers: dict[str, str]
    level: float
    full: Matrix
    own: Matrix | None
    not_own: dict[str, str] = Field(default_factory=dict)
    general: dict[str, TaskEffect]
    compared: dict[str, Comparison] = Field(repr=False)

    @classmethod
    def of(
        cls,
        stages: Mapping[str, Mapping[str, Evaluation]],
        *,
        baseline: Mapping[str, Evaluation] | None = None,
        learned: Mapping[str, str] | None = None,
        probes: Sequence[str] = (),
        scorer: Scorers = None,
        labels: Mapping[str, Sequence[str]] | None = None,
        level: float = 0.95,
    ) -> Self:
        """The report of stored evaluations.

        Args:
            stages: For each stage, in order, the evaluations of its model by task. A task may be left out of stages
                other than its own and the last; forgetting is then from the best of those that are there.
            baseline: Evaluations of the untrained model by task, for forward transfer.
            learned: For each task the stage that it was learned at. None where there are as many tasks as stages, and
                the first task was learned at the first stage, and so on.
            probes: Names of general probe sets among the tasks: columns of the matrix that are in no mean.
            scorer: What counts: one scorer for all tasks, one by task, or None for the first.
            labels: The labels of tasks; None takes the distinct references of each test.
            level: Confidence level.

        Raises:
            SpecError: An argument is wrong, or it cannot be told at which stage a task was learned.
            EvaluationError: Two evaluations of a task are of different tests, sampling or scorers; or one is missing
                from the stage that the task was learned at, or from the last.
            NotFoundError: There is no such scorer.
        """
        rows = _rows(stages)
        general = _known("probes", sequence("probes", probes, of="names of tasks"), rows)
        at = _learned(rows, general, learned)
        grid = _grid(rows, dict(baseline or {}), at, general, scorer, level)
        tasks = _without(grid, general)
        own, refusals = _own(tasks, mapping("labels", labels or {}, such_as="{'tone': ['calm', 'angry']}"))
        return cls(
            stages=grid.stages,
            learned={task: grid.stages[stage] for task, stage in at.items()},
            scorers=dict(grid.scorers),
            level=level,
            full=matrix_of(grid),
            own=own,
            not_own=refusals,
            general=_general(grid, general),
            compared={
                task: compare_evaluations(
                    grid.found[at[task], task], grid.found[grid.last, task], Rule(level=level)
                )
                for task in grid.earlier
            },
        )

    @property
    def worst(self) -> TaskEffect | None:
        """The earlier task that lost most since it was learned, shown or not; None where there is no earlier one."""
        return worst_of(self.full.backward)

    @property
    def forgot(self) -> tuple[str, ...]:
        """Earlier tasks, and general probe sets, that are shown to be worse, the worst first."""
        found = [
            each for each in (*self.full.backward.values(), *self.general.values()) if each.outcome == "worse"
        ]
        return tuple(each.task for each in sorted(found, key=lambda each: each.delta.estimate))

    @property
    def average(self) -> Interval | None:
        """Mean over tasks after the last stage; see `Matrix` for this and the next three."""
        return self.full.average

    @property
    def backward_transfer(self) -> Interval | None:
        """Mean over earlier tasks of what became of them since they were learned."""
        return self.full.backward_transfer

    @property
    def forgetting(self) -> Interval | None:
        """Mean over earlier tasks of what is gone since they were best."""
        return self.full.forgetting

    @property
    def forward_transfer(self) -> Interval | None:
        """Mean over later tasks of what was gained before they were learned."""
        return self.full.forward_transfer

    def comparisons(self) -> dict[str, Comparison]:
        """Of each earlier task, the model after it was learned against the last: `gate.decide(..., tasks=...)`."""
        return dict(self.compared)

    def __str__(self) -> str:
        from tunekit.retrain.continual.tables import render

        return render(self)


def _rows(stages: Mapping[str, Mapping[str, Evaluation]]) -> dict[str, dict[str, Evaluation]]:
    given = mapping("stages", stages, such_as=_STAGES)
    if not given:
        raise SpecError("stages is empty", hint=f"pass evaluations by stage and task: {_STAGES}")
    return {stage: evaluations_by_task(f"stages[{stage!r}]", row) for stage, row in given.items()}


def _tasks(rows: Mapping[str, Mapping[str, Evaluation]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task for row in rows.values() for task in row))


def _known(what: str, names: Collection[str], rows: Mapping[str, Mapping[str, Evaluation]]) -> frozenset[str]:
    tasks = _tasks(rows)
    for name in names:
        if name not in tasks:
            raise SpecError(
                f"{what} names {brief(name)}, and no stage has an evaluation of it",
                hint=nearest(name, tasks) or f"stages have {listed(tasks)}",
            )
    return frozenset(names)


def _learned(
    rows: Mapping[str, Mapping[str, Evaluation]], probes: Collection[str], learned: Mapping[str, str] | None
) -> dict[str, int]:
    stages, tasks = list(rows), [task for task in _tasks(rows) if task not in probes]
    if learned is None:
        if len(tasks) != len(stages):
            raise SpecError(
                f"there are {counted(len(stages), 'stage')} and {counted(len(tasks), 'task')}, so that nobody can say"
                " which task was learned when",
                hint=f"pass learned={{{tasks[0]!r}: {stages[0]!r}, ...}}, and name general probe sets in probes="
                if tasks
                else "pass evaluations of tasks beside those of probes",
            )
        return {task: at for at, task in enumerate(tasks)}
    _known("learned", mapping("learned", learned, such_as="{'refunds': 'January'}"), rows)
    for task in tasks:
        if learned.get(task) not in stages:
            raise SpecError(
                f"learned has {brief(learned.get(task))} for the task {brief(task)}",
                hint=f"name one of the stages {listed(stages)}, or name it in probes=",
            )
    return {task: stages.index(learned[task]) for task in tasks}


def _grid(
    rows: Mapping[str, Mapping[str, Evaluation]],
    baseline: Mapping[str, Evaluation],
    learned: Mapping[str, int],
    probes: Collection[str],
    scorer: Scorers,
    level: float,
) -> Grid:
    Rule(level=level)  # refuses a level that is none
    if baseline:
        _known("baseline", evaluations_by_task("baseline", baseline), rows)
    stages = tuple(rows)
    found = {(at, task): each for at, row in enumerate(rows.values()) for task, each in row.items()}
    for task, stage in learned.items():
        for at in (stage, len(stages) - 1):
            if (at, task) not in found:
                raise EvaluationError(
                    f"stage {brief(stages[at])} has no evaluation of {brief(task)}",
                    hint="evaluate every task after the stage that it was learned at, and after the last",
                )
    scorers = {}
    for task in _tasks(rows):
        column = [each for (_, name), each in found.items() if name == task]
        scorers[task] = scorer_for(task, column[0], scorer)
        check_alike(task, [*([baseline[task]] if task in baseline else []), *column], scorers[task])
    return Grid(stages=stages, learned=learned, found=found, baseline=baseline, scorers=scorers, level=level)


def _without(grid: Grid, probes: Collection[str]) -> Grid:
    """The same without general probe sets: they have no labels of their own."""
    return Grid(
        stages=grid.stages,
        learned=grid.learned,
        found={(at, task): each for (at, task), each in grid.found.items() if task not in probes},
        baseline={task: each for task, each in grid.baseline.items() if task not in probes},
        scorers={task: name for task, name in grid.scorers.items() if task not in probes},
        level=grid.level,
    )


def _own(grid: Grid, labels: Mapping[str, Sequence[str]]) -> tuple[Matrix | None, dict[str, str]]:
    """The matrix with each task's own labels, and why some tasks are not in it."""
    found: dict[tuple[int, str], Evaluation] = {}
    baseline: dict[str, Evaluation] = {}
    refusals: dict[str, str] = {}
    for task, scorer in grid.scorers.items():
        names = tuple(labels.get(task) or labels_of(grid.found[grid.last, task]))
        column = {at: each for (at, name), each in grid.found.items() if name == task}
        try:
            again = {(at, task): among_own(each, scorer, names) for at, each in column.items()}
            start = {task: among_own(grid.baseline[task], scorer, names)} if task in grid.baseline else {}
        except EvaluationError as error:
            refusals[task] = error.message
            continue
        found |= again
        baseline |= start
    if not found:
        return None, refusals
    tasks = {task for _, task in found}
    matrix = matrix_of(
        Grid(
            stages=grid.stages,
            learned={task: at for task, at in grid.learned.items() if task in tasks},
            found=found,
            baseline=baseline,
            scorers=dict.fromkeys([task for task in grid.scorers if task in tasks], OWN),
            level=grid.level,
        )
    )
    return (matrix if not refusals else _without_means(matrix, refusals)), refusals


def _without_means(matrix: Matrix, refusals: Collection[str]) -> Matrix:
    """Means of some tasks would be held against those of all."""
    none = dict.fromkeys(("average", "backward_transfer", "forgetting", "forward_transfer"))
    return matrix.model_copy(update={**none, "refusal": f"it is not known of {listed(refusals)}"})


def _general(grid: Grid, probes: Collection[str]) -> dict[str, TaskEffect]:
    sides = {}
    for probe in (task for task in grid.scorers if task in probes):
        column = [
            each
            for (_, task), each in sorted(grid.found.items(), key=lambda cell: cell[0][0])
            if task == probe
        ]
        start = grid.baseline.get(probe, column[0])
        if (grid.last, probe) not in grid.found or start is column[-1]:
            raise EvaluationError(
                f"the probe set {brief(probe)} has no two evaluations of which one is of the last stage",
                hint="evaluate it after the last stage, and before: as baseline, or after the first",
            )
        sides[probe] = (start, column[-1])
    return effects_of(sides, grid.scorers, grid.level)
