"""What each task does to the others: all of them learned together, and all but one. Trains as it is told.

A mix is drawn once. Without a task it is the same rows without those of that task, so that the others learn exactly
what they would have learned beside it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from tunekit.data.arguments import function, mapping, text
from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError
from tunekit.evaluation.arms.arm import ArmLike
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.records import Record
from tunekit.evaluation.report.numbers import interval, p_value
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import two_sided_z
from tunekit.retrain.multitask.effects import (
    Scorers,
    TaskEffect,
    corrected,
    effect_of,
    effects_of,
    require_scored,
    scorer_for,
)
from tunekit.tuning.tables import aligned

if TYPE_CHECKING:
    from tunekit.backends.base import Backend
    from tunekit.data.dataset import Dataset

_ALL = ""
"""Of the model that learned all tasks, the task that was left out."""


class LeftOut(Record):
    """What each task does to each other one. Print it.

    Attributes:
        effects: By the task that was left out, the effect of it on each other task: `before` without it, `after` with
            it. Holm's correction is over all of these pairs.
        own: Of each task, what its own rows bring: `before` without them, `after` with them.
        models: Name of the model by the task that was left out; that of all tasks under "".
        level: Confidence level.
    """

    schema_version: Literal[1] = 1
    effects: dict[str, dict[str, TaskEffect]]
    own: dict[str, TaskEffect]
    models: dict[str, str] = Field(repr=False)
    level: float

    @property
    def harmful(self) -> dict[str, tuple[str, ...]]:
        """Tasks that are shown to harm others, and which."""
        return self._shown("worse")

    @property
    def helpful(self) -> dict[str, tuple[str, ...]]:
        """Tasks that are shown to help others, and which."""
        return self._shown("better")

    def _shown(self, outcome: str) -> dict[str, tuple[str, ...]]:
        found = {
            left_out: tuple(task for task, effect in effects.items() if effect.outcome == outcome)
            for left_out, effects in self.effects.items()
        }
        return {left_out: tasks for left_out, tasks in found.items() if tasks}

    def __str__(self) -> str:
        rows = [("task", "does to", "without it", "with it", "difference", "adjusted p", "")]
        rows += [
            (
                brief(left_out, quote=False),
                brief(task, quote=False),
                interval(effect.before),
                interval(effect.after),
                interval(effect.delta, signed=True),
                p_value(effect.p_adjusted),
                {"worse": "HARMS", "better": "helps", "unclear": ""}[effect.outcome],
            )
            for left_out, effects in self.effects.items()
            for task, effect in effects.items()
        ]
        return "\n".join(aligned(rows))


Train: TypeAlias = "Callable[[Dataset], ArmLike | Awaitable[ArmLike]]"
"""Trains on rows and gives the model; for async code it may be async."""


def leave_one_task_out(
    mix: Dataset,
    train: Train,
    evaluators: Mapping[str, Evaluator],
    *,
    scorer: Scorers = None,
    task_key: str = "task",
    level: float = 0.95,
    backend: Backend | None = None,
) -> LeftOut:
    """Train on a mix of tasks, and on it without each of them in turn; test what each task does to the others.

    It costs one training more than there are tasks. With `FineTuneJob.submit(...).result()` as `train` it can be called
    again after a kill: the same rows and recipe find the same jobs, and nothing is paid for twice.

    The tests know the noise of items and not that of training: another seed may give another result.

    Args:
        mix: What `Dataset.mix` made: rows that name their task in their meta.
        train: Trains on rows and gives the model, as `Evaluator.run` takes it.
        evaluators: For each task of the mix the evaluator of its test.
        scorer: What counts: one scorer for all tasks, one by task, or None for the first.
        task_key: Meta column of the task's name.
        level: Confidence level.
        backend: A configured instance to ask, instead of the one that the models' names lead to.

    Raises:
        SpecError: There are fewer than two tasks, a row names none, or a task has no evaluator.
        TunekitError: What `train` and `Evaluator.run` raise.

    Examples:
        >>> import tunekit as tk
        >>> rows = {task: [{"prompt": f"{task} {n}", "completion": task} for n in range(40)] for task in ("a", "b")}
        >>> parts = {task: tk.Dataset.from_records(records) for task, records in rows.items()}
        >>> mix, _ = tk.Dataset.mix(parts)
        >>> def train(data):  # knows the tasks that it has learned, and spoils "a" where it learned "b"
        ...     known = set(data.targets())
        ...     return lambda prompt: "b" if "b" in known else "a"
        >>> found = leave_one_task_out(mix, train, {task: tk.Evaluator(data) for task, data in parts.items()})
        >>> found.harmful, found.own["b"].delta.estimate
        ({'b': ('a',)}, 1.0)
    """
    parts = _parts(mix, train, evaluators, scorer, task_key, level)
    found: dict[str, dict[str, Evaluation]] = {}
    for left_out, data in parts.items():
        model = train(data)
        if inspect.isawaitable(model):
            if inspect.iscoroutine(model):
                model.close()
            raise SpecError(
                "train is async", hint="use leave_one_task_out_async, or train in a plain function"
            )
        found[left_out] = {task: each.run(model, backend=backend) for task, each in evaluators.items()}
    return _report(found, scorer, level)


async def leave_one_task_out_async(
    mix: Dataset,
    train: Train,
    evaluators: Mapping[str, Evaluator],
    *,
    scorer: Scorers = None,
    task_key: str = "task",
    level: float = 0.95,
    backend: Backend | None = None,
) -> LeftOut:
    """`leave_one_task_out` for async code: `train` may be async."""
    parts = _parts(mix, train, evaluators, scorer, task_key, level)
    found: dict[str, dict[str, Evaluation]] = {}
    for left_out, data in parts.items():
        model = train(data)
        if inspect.isawaitable(model):
            model = await model
        found[left_out] = {
            task: await each.run_async(model, backend=backend) for task, each in evaluators.items()
        }
    return _report(found, scorer, level)


def _parts(
    mix: Dataset,
    train: object,
    evaluators: Mapping[str, Evaluator],
    scorer: Scorers,
    task_key: str,
    level: float,
) -> dict[str, Dataset]:
    """What each model learns, by the task that is left out; all of it first."""
    two_sided_z(level)  # refuses a level that is none
    function("train", train, of="a dataset")
    text("task_key", task_key, such_as="task")
    mapping("evaluators", evaluators, such_as="{'tone': tk.Evaluator(test)}")
    tasks = list(dict.fromkeys(_task(row.meta.get(task_key), row.id, task_key) for row in mix))
    if len(tasks) < 2:
        raise SpecError(f"the mix has only {listed(tasks) or 'no task'}", hint="mix two tasks or more")
    if set(tasks) != set(evaluators):
        odd = sorted(set(tasks) ^ set(evaluators))
        raise SpecError(
            f"only one of mix and evaluators has {listed(odd)}", hint="pass one evaluator for each task"
        )
    for task, evaluator in evaluators.items():
        _require_measurable(task, evaluator, scorer)
    without = {task: mix.filter(lambda row, task=task: row.meta[task_key] != task) for task in sorted(tasks)}  # type: ignore[misc]
    return {_ALL: mix, **without}


def _require_measurable(task: str, evaluator: Evaluator, scorer: Scorers) -> None:
    """Whatever is wrong with a test is better known before every model is trained."""
    if evaluator.is_sealed:
        raise SpecError(
            f"the test of {brief(task)} is sealed, and every model would open it",
            hint="measure on dev, and open the test once, at the end",
        )
    scorers = list(evaluator.provenance.scorers)
    wanted = scorer.get(task, "") if isinstance(scorer, Mapping) else scorer
    if wanted is not None and wanted not in scorers:
        raise SpecError(
            f"scorer names {brief(wanted)} for the task {brief(task)}, which its evaluator does not have",
            hint=f"it has {listed(scorers)}",
        )


def _task(value: object, row: str, task_key: str) -> str:
    if not isinstance(value, str) or not value:
        raise SpecError(
            f"row {row!r} has {brief(value)} as its {task_key}",
            hint="mix with Dataset.mix, or name task_key=",
        )
    return value


def _report(found: Mapping[str, Mapping[str, Evaluation]], scorer: Scorers, level: float) -> LeftOut:
    whole = found[_ALL]
    scorers = {task: scorer_for(task, each, scorer) for task, each in whole.items()}
    left_out = [task for task in found if task != _ALL]
    for each in found.values():
        for task, evaluation in each.items():
            require_scored(task, evaluation, scorers[task])
    others = corrected(
        [
            effect_of(task, scorers[task], found[name][task], whole[task], level)
            for name in left_out
            for task in left_out
            if task != name
        ]
    )
    each_has = len(left_out) - 1
    return LeftOut(
        effects={
            name: {effect.task: effect for effect in others[at * each_has : (at + 1) * each_has]}
            for at, name in enumerate(left_out)
        },
        own=effects_of({task: (found[task][task], whole[task]) for task in left_out}, scorers, level),
        models={name: str(next(iter(each.values())).model) for name, each in found.items()},
        level=level,
    )
