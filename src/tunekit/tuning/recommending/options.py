"""From what was found of each technique to options beside each other. Knows findings and costs; chooses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunekit.errors import SpecError
from tunekit.evaluation.arms.record import record_of
from tunekit.evaluation.arms.spending import spent
from tunekit.evaluation.arms.weighing import PriceOf
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.results import Evaluation, ItemResult
from tunekit.evaluation.stats import Interval
from tunekit.tuning.recommending.estimating import over_probe
from tunekit.tuning.recommending.results import TECHNIQUES, Option, Technique
from tunekit.tuning.recommending.weighing import Finding, Weighing

if TYPE_CHECKING:
    from tunekit.tuning.bench import Bench
    from tunekit.tuning.recommending.task import Task

DEAR: tuple[Technique, ...] = ("adapter", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What options are seen by.

    Attributes:
        weighing: What was found.
        price: What a call of a model costs.
        is_share: Whether the deciding score is a share of right answers, of which published pairs speak.
    """

    weighing: Weighing
    price: PriceOf | None
    is_share: bool

    @property
    def metric(self) -> str:
        """The scorer that decides."""
        return self.weighing.bench.metric

    def options(self) -> tuple[Option, ...]:
        """Each technique, from the least to train to the most."""
        best = self.best()
        return tuple(self._option(technique, best) for technique in TECHNIQUES)

    def best(self) -> Evaluation | None:
        """The best that was measured, each technique with its most rows; of equals the one with less training."""
        lasts = (self.weighing.last(technique) for technique in TECHNIQUES)
        found = [last.evaluation for last in lasts if last is not None and last.evaluation is not None]
        if not found:
            return None
        sign = 1 if found[0][self.metric].higher_is_better else -1
        return max(found, key=lambda each: sign * each[self.metric].value.estimate)

    def compared(self, a: Evaluation, b: Evaluation) -> tuple[Interval, float | None]:
        """By how much `b` does better than `a`, and the standard error of that."""
        found = compare_evaluations(a, b, Rule())[self.metric]
        return found.gain, found.se

    def beside_commonest(self, best: Evaluation) -> tuple[float, Interval] | None:
        """What always giving the commonest class scores, and by how much this one does better.

        None where there are no classes, or the deciding score is no share of right answers.
        """
        label = self._task.commonest
        if label is None or not self.is_share:
            return None
        items = tuple(
            ItemResult(
                id=item.id, reference=item.reference, scores={self.metric: float(item.reference == label)}
            )
            for item in best.items
        )
        found = compare_evaluations(best.model_copy(update={"items": items}), best, Rule())[self.metric]
        return found.a.value.estimate, found.gain

    def _option(self, technique: Technique, best: Evaluation | None) -> Option:
        last = self.weighing.last(technique)
        if last is not None and last.evaluation is not None:
            assert best is not None
            return self._measured(technique, last, last.evaluation, best)
        costs = self._costs_of_all(technique, last)
        if last is not None and not last.is_possible:
            return Option(technique=technique, basis="not possible", why=last.why)
        if technique in TECHNIQUES[2:] and (why := self.weighing.refusal(technique, len(self._task.train))):
            return Option(technique=technique, basis="not possible", why=why)
        why = last.why if last is not None else "it was not asked for"
        probe = self.weighing.with_rows("probe", len(self._task.train))
        if technique in DEAR and self.is_share and probe is not None and probe.evaluation is not None:
            estimate = over_probe(probe.evaluation[self.metric].value.estimate)
            return Option(technique=technique, basis="estimated", estimate=estimate, why=why, **costs)
        return Option(technique=technique, basis="unknown", why=why, **costs)

    def _measured(
        self, technique: Technique, last: Finding, evaluation: Evaluation, best: Evaluation
    ) -> Option:
        is_best = evaluation is best
        value = evaluation[self.metric].value
        none = Interval(estimate=0.0, low=0.0, high=0.0, level=value.level, n=value.n)
        behind, se = (none, None) if is_best else self.compared(evaluation, best)
        costs = spent(technique, evaluation, record_of(evaluation), self.price)
        rows, everything = last.rows, len(self._task.train)
        part = technique in TECHNIQUES[2:] and rows < everything
        return Option(
            technique=technique,
            basis="measured",
            why=f"with {rows:,} of {everything:,} rows" if part else "",
            rows=rows,
            quality=value,
            behind=behind,
            behind_se=se,
            run_id=last.measured.run_id if last.measured else "",
            model=str(evaluation.model),
            usd_per_1000_calls=costs.usd_per_1000_calls,
            seconds_per_1000_calls=costs.seconds_per_1000_calls,
            **self._costs_of_all(technique, last),
        )

    def _costs_of_all(self, technique: Technique, last: Finding | None) -> dict[str, Any]:
        """What training on all rows takes: as it was, in proportion to the rows, or by the backend's price."""
        if technique not in TECHNIQUES[2:]:
            return {"training_usd": 0.0, "training_seconds": 0.0}
        if last is not None and last.measured is not None and last.evaluation is not None:
            times = len(self._task.train) / last.rows
            usd = last.measured.cost_usd
            return {
                "training_usd": usd * times if usd is not None else None,
                "training_seconds": last.measured.seconds * times,
                "is_training_estimated": times > 1,
            }
        return {"training_usd": self._planned_usd(technique), "is_training_estimated": True}

    def _planned_usd(self, technique: Technique) -> float | None:
        bench, task = self._bench, self._task
        spec = task.spec(technique, bench.desk.backend.capabilities, self.weighing.seed)
        price = bench.desk.backend.price(bench.target.id, spec)
        rate = bench.budget.usd_per_million_tokens or (price.usd_per_million_tokens if price else None)
        if rate is None:
            return None
        try:
            rows = task.rows_for(spec, len(task.train))
            return rows.estimate_cost(str(bench.target), usd_per_million_tokens=rate).usd
        except SpecError:
            return None  # nothing is known of how this target counts tokens

    @property
    def _bench(self) -> Bench:
        return self.weighing.bench

    @property
    def _task(self) -> Task:
        return self.weighing.asking.task


async def options_of(sight: Sight) -> tuple[Option, ...]:
    """Each technique, without holding up the loop: resampling takes a while."""
    return await asyncio.to_thread(sight.options)


def by_rows(findings: Sequence[Finding], technique: str) -> list[Finding]:
    """What was measured of a technique, fewest rows first."""
    found = [each for each in findings if each.technique == technique and each.evaluation is not None]
    return sorted(found, key=lambda each: each.rows)
