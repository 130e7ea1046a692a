"""Two models on one test, as values that can be stored. Knows what was found and what it means; not how to find it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field

from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation, Metric, Provenance, look_up
from tunekit.evaluation.stats import Interval, Verdict
from tunekit.refs import ModelRef

ExitCode: TypeAlias = Literal[0, 1, 2]
"""0 it passes, 1 it fails, 2 nobody can tell yet; see `Comparison.exit_code`."""


class Change(Record):
    """A quantity of two models on the same items that is no scorer's: what answers cost, how well they are calibrated.

    Attributes:
        name: What it is, with its unit.
        a: The first model's mean, or its value over all items.
        b: The second model's.
        delta: `b` minus `a`, with its interval.
    """

    name: str
    a: float
    b: float
    delta: Interval


class SliceComparison(Record):
    """One scorer's comparison of two models on some of the items.

    Attributes:
        column: The column that the test was sliced by, such as `"language"`.
        value: What the items of this slice have in it; `"(none)"` for those without.
        n: Items of it that both could be scored on.
        a: The first model's result on them.
        b: The second model's.
        delta: `b` minus `a`, with its interval, which is not widened for the number of slices.
        p_value: Two-sided p-value of no difference, as if it were the only slice.
        p_adjusted: The same after Holm's correction for all slices of this scorer: read this one.
        warnings: What to know before believing it.
    """

    column: str
    value: str
    n: int
    a: float
    b: float
    delta: Interval
    p_value: float
    p_adjusted: float
    warnings: tuple[str, ...] = ()


class MetricComparison(Record):
    """One scorer's comparison of two models on the same items. Differences are `b` minus `a`, as they are.

    Attributes:
        name: Name of the scorer.
        a: The first model's result (usually the base) over the items that both could be scored on, so that
            `a` and `delta` add up to `b`. Its `n_errors` counts all of its own failures.
        b: The second model's result (usually the tuned one), over the same items.
        n_a: Items that the first model could be scored on.
        n_b: Items that the second model could be scored on.
        delta: Paired difference over the same items, with its interval.
        verdict: What the interval says of `b`, held against margin and gain (`stats.verdict`). Where less is better,
            "better" is below zero.
        p_value: Two-sided p-value of no difference. Beside the verdict, not behind it.
        p_adjusted: The same after Holm's correction for all scorers of the comparison.
        test: How the p-value was found.
        method: How the interval was found.
        se: Standard error of `delta`; None where the pairs show none.
        wins: Items on which `b` does better.
        losses: Items on which `a` does better.
        ties: Items on which both score the same.
        odds_ratio: Of right or wrong, wins over losses: infinite without a loss, None without either.
        correlation: Pearson's, between the two models' scores; None where one of them never varies.
        detectable: Smallest difference that this many items show with 80 % power, at the observed disagreement;
            None where they show none.
        items_needed: Items that would show the observed difference with 80 % power; None if no number would.
        n_clusters: Groups that the items come in; None where each stands for itself.
        design_effect: How many times more items it takes because they come in groups (Kish).
        newly_fixed: Ids of the items that `b` wins: the list to read first.
        newly_broken: Ids of the items that `b` loses.
        only_a: Ids of the items that only the first model could be scored on.
        only_b: Ids of the items that only the second model could be scored on.
        slices: The same by each value of each column that the test was sliced by.
        calibration: Expected calibration error, where the scorer keeps the probabilities of the choices.
        warnings: What to know before believing it.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n}"} for n in range(20)], name="n")
        >>> evaluator = Evaluator(test)
        >>> base = evaluator.run("scripted:a", backend=ScriptedBackend(generate=lambda prompt: prompt[:1]))
        >>> tuned = evaluator.run("scripted:b", backend=ScriptedBackend(generate=lambda prompt: prompt))
        >>> found = evaluator.compare(base, tuned)["exact_match"]
        >>> found.verdict, found.wins, found.losses, found.newly_fixed[0]
        ('better', 10, 0, 'n:11')
    """

    name: str
    a: Metric
    b: Metric
    n_a: int
    n_b: int
    delta: Interval
    verdict: Verdict
    p_value: float
    p_adjusted: float
    test: str
    method: str
    se: float | None = None
    wins: int
    losses: int
    ties: int
    odds_ratio: float | None = None
    correlation: float | None
    detectable: float | None
    items_needed: int | None
    n_clusters: int | None = None
    design_effect: float | None = None
    newly_fixed: tuple[str, ...] = Field(repr=False)
    newly_broken: tuple[str, ...] = Field(repr=False)
    only_a: tuple[str, ...] = Field(default=(), repr=False)
    only_b: tuple[str, ...] = Field(default=(), repr=False)
    slices: tuple[SliceComparison, ...] = Field(default=(), repr=False)
    calibration: Change | None = None
    warnings: tuple[str, ...] = ()

    @property
    def n_paired(self) -> int:
        """Items that both could be scored on: what `a`, `b` and `delta` rest on."""
        return self.delta.n

    @property
    def higher_is_better(self) -> bool:
        """Whether a difference above zero is good news."""
        return self.a.higher_is_better

    @property
    def gain(self) -> Interval:
        """What `b` does better than `a`: the difference, turned so that above zero is good news."""
        return self.delta if self.higher_is_better else self.delta.mirrored


class Comparison(Record):
    """Two models on the same test, paired item by item. Print it for a table.

    Attributes:
        a: The first model (usually the base).
        b: The second model (usually the tuned one).
        provenance: Test set, sampling and scorers, the same for both.
        margin: Largest difference that does not matter.
        min_gain: Gain that "better" must exceed.
        metrics: Comparison by scorer.
        evaluations: Both evaluations, whole: a stored comparison alone can be drawn.
        changes: Tokens, seconds and money for an item, where both evaluations know them.
        warnings: What concerns all scorers.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 100)
        >>> backend = ScriptedBackend(generate=lambda prompt: "delivery")
        >>> evaluator = Evaluator(test, margin=0.05)
        >>> report = evaluator.compare("scripted:base", "scripted:base", backend=backend)
        >>> report.names, report["exact_match"].verdict
        (('exact_match',), 'equivalent')
        >>> report.assert_passes()
        >>> report.exit_code
        0
    """

    schema_version: Literal[1] = 1
    a: ModelRef
    b: ModelRef
    provenance: Provenance = Field(repr=False)
    margin: float
    min_gain: float
    metrics: dict[str, MetricComparison]
    evaluations: tuple[Evaluation, Evaluation] = Field(repr=False)
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> MetricComparison:
        return look_up(self.metrics, name)

    def __str__(self) -> str:
        from tunekit.evaluation.report import render_comparison

        return render_comparison(self)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a file that its ending names: .html, .json, .xml (JUnit) or .txt; see `report.write`."""
        from tunekit.evaluation.report import write

        return write(self, path)

    @property
    def titles(self) -> tuple[str, str]:
        """What a reader knows both by; see `Evaluation.title`."""
        first, second = self.evaluations
        return first.title, second.title

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scorers that were compared."""
        return tuple(self.metrics)

    @property
    def exit_code(self) -> ExitCode:
        """What a build should do with `b`, by every scorer: the rule of `exit_code_of`, and the worst of them.

        It fails where one scorer fails; else nobody can tell where one is inconclusive; else it passes.
        """
        codes = {self.exit_code_of(name) for name in self.metrics}
        return 1 if 1 in codes else 2 if 2 in codes else 0

    def exit_code_of(self, metric: str) -> ExitCode:
        """What a build should do with `b`, by one scorer.

        0, it passes: "better"; or "equivalent" where no gain was asked (`min_gain` is 0). 1, it fails: "worse"; or
        "equivalent" where a gain was asked, which is then ruled out. 2: "inconclusive", more items are needed.

        Raises:
            NotFoundError: There is no such scorer.
        """
        verdict = self[metric].verdict
        if verdict == "inconclusive":
            return 2
        return 0 if verdict == "better" or (verdict == "equivalent" and self.min_gain == 0.0) else 1

    def assert_passes(self, metric: str | None = None) -> None:
        """For a test of your product: nothing, or an error with the whole table.

        Args:
            metric: The scorer that decides; None asks it of all.

        Raises:
            AssertionError: `exit_code`, or that of the scorer, is not 0.
            NotFoundError: There is no such scorer.
        """
        code = self.exit_code if metric is None else self.exit_code_of(metric)
        if code:
            judged = {name: self[name].verdict for name in ([metric] if metric else self.names)}
            shown = ", ".join(f"{name} is {verdict}" for name, verdict in judged.items())
            raise AssertionError(f"{self.b} does not pass against {self.a}: {shown}\n{self}")
