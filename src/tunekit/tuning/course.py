"""A search under way: which trials there are, and what came of each rung. Knows the bench; says nothing to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from tunekit._canonical import canonical_json
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.evaluation.results import Evaluation
from tunekit.spec import TuneSpec
from tunekit.tuning.bench import Bench, together
from tunekit.tuning.halving import Step, promoted
from tunekit.tuning.optuna import OptunaProposer
from tunekit.tuning.proposing import BuiltIn, Proposer, proposals
from tunekit.tuning.results import Rung, Trial
from tunekit.tuning.space import Space, applied

if TYPE_CHECKING:
    from pydantic import JsonValue

    from tunekit.data.dataset import Dataset

_TIRED = 1000
"""Proposals in a row that were all made before: the space has no more."""


class Course:
    """The trials of one search, as far as they have come.

    Args:
        bench: Trains and scores.
        train: Training examples.
        spec: What the space does not choose.
        space: What is chosen.
        concurrency: Jobs under way at the same time.
    """

    def __init__(
        self, *, bench: Bench, train: Dataset, spec: TuneSpec, space: Space, concurrency: int
    ) -> None:
        self.bench, self.train = bench, train
        self.trials: list[Trial] = []
        self.item_scores: list[Mapping[str, float]] = []
        self.higher_is_better = True
        self._spec, self._space, self._concurrency = spec, space, concurrency
        self._met: set[bytes] = set()

    async def first(self, step: Step, method: BuiltIn | Proposer, seed: int) -> None:
        """Propose trials and run their first rung."""
        if not isinstance(method, Proposer):
            await self._begin(islice(self._new(proposals(self._space, method, seed)), step.trials), step)
            return
        while (left := step.trials - len(self.trials)) > 0:
            # All of a batch is waited for: what is proposed next must not depend on which job was fast.
            proposed = self._facing(method).propose(
                self._space, tuple(self.trials), min(left, self._concurrency)
            )
            before = len(self.trials)
            await self._begin(self._new(iter(self._checked(proposed)[:left])), step)
            if len(self.trials) == before:
                break

    async def rung(self, step: Step) -> None:
        """Let the best of the last rung go on to this one."""
        deepest = max((len(trial.rungs) for trial in self.trials), default=0)
        scores = {
            trial.number: trial.score.estimate
            for trial in self.trials
            if trial.score is not None and len(trial.rungs) == deepest
        }
        numbers = promoted(scores, step.trials, higher_is_better=self.higher_is_better)
        await self._run([self.trials[number] for number in numbers], step)

    async def _begin(self, chosen: Iterator[dict[str, JsonValue]], step: Step) -> None:
        begun = []
        for values in chosen:
            trial = self._trial(values)
            self.trials.append(trial)
            begun.append(trial)
        await self._run([trial for trial in begun if trial.spec is not None], step)

    def _trial(self, values: dict[str, JsonValue]) -> Trial:
        try:
            spec = applied(self._spec, values)
        except SpecError as error:
            return Trial(number=len(self.trials), values=values, spec=None, error=error.message)
        return Trial(number=len(self.trials), values=values, spec=spec)

    async def _run(self, trials: Sequence[Trial], step: Step) -> None:
        specs = [_lasting(trial, step) for trial in trials]
        found = await together(
            [self.bench.measure(self.train, spec, work=_work(spec)) for spec in specs],
            concurrency=self._concurrency,
        )
        for trial, spec, (measured, evaluation) in zip(trials, specs, found, strict=True):
            rung = Rung(epochs=spec.epochs, **dict(measured))
            is_first = not trial.rungs
            self.trials[trial.number] = trial.model_copy(update={"rungs": (*trial.rungs, rung)})
            if evaluation is not None and is_first:
                self._keep(evaluation)

    def _keep(self, evaluation: Evaluation) -> None:
        self.higher_is_better = self.bench.higher_is_better([evaluation])
        self.item_scores.append(dict(evaluation.scored(self.bench.metric)))

    def _new(self, proposed: Iterator[dict[str, JsonValue]]) -> Iterator[dict[str, JsonValue]]:
        """Proposals that were not made before: the same spec would be the same job."""
        repeated = 0
        for values in proposed:
            key = canonical_json(values)
            repeated = repeated + 1 if key in self._met else 0
            if repeated > _TIRED:
                return
            if not repeated:
                self._met.add(key)
                yield values

    def _facing(self, proposer: Proposer) -> Proposer:
        """The proposer, told which way is up: only what was scored says it."""
        if isinstance(proposer, OptunaProposer):
            return replace(proposer, higher_is_better=self.higher_is_better)
        return proposer

    def _checked(self, proposed: Sequence[Mapping[str, JsonValue]]) -> list[dict[str, JsonValue]]:
        for values in proposed:
            if set(values) != set(self._space):
                raise SpecError(
                    f"a proposal has values for {brief(sorted(values))}",
                    hint=f"propose one for each field of the space: {', '.join(self._space)}",
                )
        return [dict(values) for values in proposed]


def _lasting(trial: Trial, step: Step) -> TuneSpec:
    """The trial's spec for this rung."""
    spec = trial.spec or TuneSpec()
    return spec if step.epochs is None else spec.model_copy(update={"epochs": step.epochs})


def _work(spec: TuneSpec) -> float:
    """How much work a job is, next to others on the same rows."""
    return spec.epochs if isinstance(spec.epochs, float) else 1.0
