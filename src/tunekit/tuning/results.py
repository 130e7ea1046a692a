"""A search as a value: its trials, the best of them, and how far to believe that. Knows numbers; trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, JsonValue

from tunekit.data.wording import counted
from tunekit.errors import EvaluationError
from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval
from tunekit.spec import TuneSpec
from tunekit.tuning.measured import Measured, Outcome, total_usd
from tunekit.tuning.space import AnyDimension


class Rung(Measured):
    """One job of a trial: the trial's spec with this many epochs.

    Attributes:
        epochs: Of the job.

    Examples:
        >>> Rung(epochs=3.0, outcome="not sent", error="the budget is used up").epochs
        3.0
    """

    epochs: float | Literal["auto"]


class Trial(Record):
    """One spec that was tried.

    Attributes:
        number: From 0, in the order of the proposals.
        values: What the search chose.
        spec: The spec with it; None where it is none, as `error` says.
        rungs: Its jobs, shortest first; one without halving.
        error: Why there was no job at all.

    Examples:
        >>> trial = Trial(number=0, values={"epochs": -1.0}, spec=None, error="epochs is -1.0")
        >>> trial.outcome, trial.score
        ('refused', None)
    """

    number: int
    values: dict[str, JsonValue]
    spec: TuneSpec | None = Field(repr=False)
    rungs: tuple[Rung, ...] = ()
    error: str = ""

    @property
    def outcome(self) -> Outcome:
        """How far its last job came."""
        return self.rungs[-1].outcome if self.rungs else "refused"

    @property
    def score(self) -> Interval | None:
        """What its last job scored; None where that has no score."""
        return self.rungs[-1].score if self.rungs else None

    @property
    def cost_usd(self) -> float | None:
        """What its jobs cost, in US dollars; None where it is not known of one."""
        return total_usd(self.rungs)

    @property
    def why(self) -> str:
        """Why there is no score; "" where there is one."""
        return self.rungs[-1].error if self.rungs else self.error


class Search(Record):
    """What a search tried, and the best of it. Print it for a table.

    Attributes:
        target: What was trained where.
        metric: The scorer whose mean is the score.
        higher_is_better: Which way is up.
        base: The spec that the search varied.
        space: What it chose from.
        method: How it chose.
        seed: Of the choice.
        eta: Of successive halving; None without.
        train_fingerprint: Of the training data.
        dev_fingerprint: Of the data that the models were scored on.
        n_dev: Items in it.
        trials: Every spec that was tried, in the order of the proposals.
        best_number: The best trial of the last rung that has scores; None where nothing has.
        optimism: By how much the best would read too high on dev if all trials were equally good: the winner's curse,
            at its largest. None where there was no choice, or the scores of single items do not say.
        warnings: What to know before believing it.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> from tunekit.tuning import IntUniform, search
        >>> backend = ScriptedBackend(generate=lambda prompt: prompt.split()[-1])
        >>> found = search(
        ...     {"epochs": IntUniform(low=1, high=9)}, tiny_dataset(), "scripted:base", trials=3,
        ...     evaluator=tk.Evaluator(tiny_dataset(rows=10, name="dev")), backend=backend, store=MemoryStore())
        >>> found.best.number, found.best_spec == found.trials[0].spec
        (0, True)
        >>> Search.from_json(found.to_json()) == found
        True
    """

    schema_version: Literal[1] = 1
    target: str
    metric: str
    higher_is_better: bool = True
    base: TuneSpec = Field(repr=False)
    space: dict[str, AnyDimension]
    method: str
    seed: int
    eta: int | None
    train_fingerprint: str
    dev_fingerprint: str
    n_dev: int
    trials: tuple[Trial, ...] = Field(repr=False)
    best_number: int | None
    optimism: float | None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        from tunekit.tuning.tables import render_search

        return render_search(self)

    @property
    def best(self) -> Trial:
        """The best trial.

        Raises:
            EvaluationError: No trial has a score.
        """
        if self.best_number is None:
            why = next((trial.why for trial in self.trials if trial.why), "there are no trials")
            raise EvaluationError(
                f"none of {counted(len(self.trials), 'trial')} has a score; the first: {why}",
                hint="mend what the trials fail of, and call the search again",
            )
        return self.trials[self.best_number]

    @property
    def best_spec(self) -> TuneSpec:
        """The spec of the best trial, with the epochs of the job that was best.

        Raises:
            EvaluationError: No trial has a score.
        """
        spec, epochs = self.best.spec, self.best.rungs[-1].epochs
        assert spec is not None
        return spec.model_copy(update={"epochs": epochs})

    @property
    def cost_usd(self) -> float | None:
        """What all jobs cost, in US dollars; None where it is not known of one."""
        return total_usd(tuple(rung for trial in self.trials for rung in trial.rungs))


def best_of(trials: Sequence[Trial], *, higher_is_better: bool) -> int | None:
    """The number of the best trial of the last rung that has scores; of equals, the first."""
    deepest = max((len(trial.rungs) for trial in trials if trial.score is not None), default=0)
    scores = {
        trial.number: trial.score.estimate
        for trial in trials
        if trial.score is not None and len(trial.rungs) == deepest
    }
    sign = 1 if higher_is_better else -1
    return max(scores, key=lambda number: (sign * scores[number], -number), default=None)
