"""Measures techniques on dev, the cheap ones first, as far as the budget goes. Knows arms and jobs; chooses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from tunekit.data.wording import counted
from tunekit.errors import BudgetError, MissingExtraError, PreflightError, UnsupportedError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.record import record_of
from tunekit.evaluation.arms.spending import spent
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.runner import Progress
from tunekit.spec import TuneSpec
from tunekit.tuning.bench import Bench
from tunekit.tuning.measured import Measured
from tunekit.tuning.recommending.asking import Asking
from tunekit.tuning.recommending.results import Technique

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

logger = logging.getLogger(__name__)
_FORWARD_AND_BACK = 3.0
"""Work of a training pass next to a forward pass, which is all that a probe takes (Kaplan et al. 2020, table 1)."""
_MOST_ERRORS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How far a recommendation is.

    Attributes:
        technique: What is looked at.
        step: What happens to it.
        rows: Training rows, where it is trained.
        note: Why it was left out, or what came of it.

    Examples:
        >>> Stage(technique="probe", step="training", rows=200).note
        ''
    """

    technique: str
    step: Literal["asking", "training", "measured", "left out"]
    rows: int = 0
    note: str = ""


StageCallback: TypeAlias = Callable[[Stage | Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one technique with so many rows.

    Attributes:
        technique: Which.
        rows: Rows that it was trained on or could show.
        evaluation: What its model did on dev; None where there is none.
        measured: Its job; None where it trains nothing.
        why: Why there is no evaluation.
        is_possible: Whether it can be done here at all.
    """

    technique: str
    rows: int
    evaluation: Evaluation | None = None
    measured: Measured | None = None
    why: str = ""
    is_possible: bool = True


@dataclass(slots=True, kw_only=True)
class Weighing:
    """One recommendation under way.

    Attributes:
        bench: Trains and scores.
        evaluator: Scores what is not trained.
        asking: How questions are put.
        seed: Of every job.
        max_usd: What answers of untrained models may cost; None is no limit.
        tell: Called with each stage; what it raises is logged.
        findings: What was found so far.
    """

    bench: Bench
    evaluator: Callable[[float | None], Evaluator]
    asking: Asking
    seed: int
    max_usd: float | None
    tell: StageCallback | None
    findings: list[Finding] = field(default_factory=list)
    _asked_usd: float = 0.0

    async def ask(self, technique: str, arm: Arm) -> None:
        """Measure what needs no training."""
        self._say(Stage(technique=technique, step="asking"))
        limit = self._money_left() if self._is_limited(arm) else None
        if limit is not None and limit <= 0.0:
            self._left_out(technique, f"budget.max_usd is {self.max_usd:g}, and it is used up")
            return
        try:
            found = await self.evaluator(limit).run_async(
                arm, backend=self.bench.desk.backend, on_progress=self.tell
            )
        except BudgetError as error:
            self._left_out(technique, error.message)
            return
        except (UnsupportedError, PreflightError, MissingExtraError) as error:
            logger.info("%s was not measured: %s", technique, error.message)
            self._left_out(technique, error.message, is_possible=False)
            return
        self._asked_usd += self._usd(found)
        self._keep(technique, len(self.asking.task.train) if technique == "few-shot" else 0, found)

    async def train(self, technique: Technique, size: int) -> None:
        """Measure what is trained, with so many rows; a job that was made before is found again."""
        if why := self.refusal(technique, size):
            self._left_out(technique, why, rows=size, is_possible=False)
            return
        spec, rows = self._job(technique, size)
        self._say(Stage(technique=technique, step="training", rows=size))
        work = size * (1.0 if technique == "probe" else _FORWARD_AND_BACK * 3.0)
        measured, found = await self.bench.measure(rows, spec, work=work)
        if found is None:
            self._left_out(technique, measured.error, rows=size, measured=measured)
            return
        self._keep(technique, size, found, measured)

    def refusal(self, technique: Technique, size: int) -> str:
        """Why this cannot be trained here at all; "" where it can."""
        backend = self.bench.desk.backend
        if technique == "probe" and not self.asking.task.classes:
            return "a probe tells classes apart, and these answers are texts"
        if technique == "probe" and "probe" not in backend.capabilities.methods:
            return f"backend {backend.name!r} gives no frozen features to fit one on"
        if technique == "full" and backend.capabilities.chooses_adapter:
            return (
                f"{self.bench.target.backend} decides how it tunes: it would be the same job as the adapter"
            )
        spec, rows = self._job(technique, size)
        try:
            self.bench.check(rows, spec)
        except PreflightError as error:
            return "; ".join(error.problems)
        return ""

    def _job(self, technique: Technique, size: int) -> tuple[TuneSpec, Dataset]:
        spec = self.asking.task.spec(technique, self.bench.desk.backend.capabilities, self.seed)
        return spec, self.asking.task.rows_for(spec, size)

    def last(self, technique: str) -> Finding | None:
        """What was found of it with the most rows."""
        found = [finding for finding in self.findings if finding.technique == technique]
        return max(found, key=lambda finding: (finding.evaluation is not None, finding.rows), default=None)

    def with_rows(self, technique: str, rows: int) -> Finding | None:
        """What was found of it with so many rows."""
        same = (each for each in self.findings if (each.technique, each.rows) == (technique, rows))
        return next(same, None)

    def _keep(self, technique: str, rows: int, found: Evaluation, measured: Measured | None = None) -> None:
        metric = found[self.bench.metric]
        failed = metric.n_errors / max(1, len(found.items))
        if failed > _MOST_ERRORS:
            first = next((item.errors[metric.name] for item in found.items if metric.name in item.errors), "")
            self._left_out(
                technique,
                f"{counted(metric.n_errors, 'item')} of {len(found.items):,} could not be scored; the first: {first}",
                rows=rows,
                measured=measured,
            )
            return
        finding = Finding(technique=technique, rows=rows, evaluation=found, measured=measured)
        self.findings.append(finding)
        self._say(Stage(technique=technique, step="measured", rows=rows, note=f"{metric.value.estimate:.4g}"))

    def _left_out(
        self,
        technique: str,
        why: str,
        *,
        rows: int = 0,
        measured: Measured | None = None,
        is_possible: bool = True,
    ) -> None:
        self.findings.append(
            Finding(technique=technique, rows=rows, measured=measured, why=why, is_possible=is_possible)
        )
        self._say(Stage(technique=technique, step="left out", rows=rows, note=why))

    def _say(self, stage: Stage) -> None:
        if self.tell is None:
            return
        try:
            self.tell(stage)
        except Exception:
            logger.exception("on_progress failed")

    def _is_limited(self, arm: Arm) -> bool:
        return self.max_usd is not None and arm.price is not None

    def _money_left(self) -> float:
        assert self.max_usd is not None
        trained = sum(each.measured.cost_usd or 0.0 for each in self.findings if each.measured)
        return self.max_usd - trained - self._asked_usd

    def _usd(self, found: Evaluation) -> float:
        """What was asked now; what was known from before was paid for then."""
        record, new = record_of(found), len(found.items) - found.reused
        taken = spent(record.name, found, record).usd_per_1000_calls
        return (taken or 0.0) * max(0, new) / 1000
