"""A sweep between a base and a tuned model, and a soup of siblings, as values. Knows numbers; asks no model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval, Verdict
from tunekit.refs import ModelRef


class SweepPoint(Record):
    """One model between base and tuned.

    Attributes:
        alpha: How far it is from the base.
        model: The model; 0 is the base itself, and 1 the tuned model.
        score: Its mean on dev.
        gain: What it does better than the base on dev, item by item, above 0 is better; None for the base.
        verdict: What that interval says; None for the base.
        guard: What it does better than the base on the guard's items, likewise; None without a guard.
        is_held: Whether the guard lets it pass.
        exists: Whether the model is there: of those that were made for the sweep only the chosen one is kept.

    Examples:
        >>> score = Interval(estimate=0.5, low=0.4, high=0.6, level=0.95, n=100)
        >>> SweepPoint(alpha=0.0, model=ModelRef("local:base"), score=score).is_held
        True
    """

    alpha: float
    model: ModelRef
    score: Interval
    gain: Interval | None = None
    verdict: Verdict | None = None
    guard: Interval | None = None
    is_held: bool = True
    exists: bool = True


class Sweep(Record):
    """How far to go from a base to a tuned model. Print it for a table.

    Attributes:
        base: Where it begins.
        tuned: Where it ends.
        metric: The scorer whose mean on dev decides.
        higher_is_better: Which way is up.
        dev_fingerprint: Of the items that the choice was made on.
        n_dev: How many they are.
        guard_metric: The scorer that must not get worse; "" without a guard.
        max_loss: By how much the guard's metric may be worse than the base's, at the end of its interval.
        points: The models, by alpha.
        chosen_alpha: The best of those that the guard lets pass; of equal ones the nearest to the base.
        warnings: What to know before believing it.

    Examples:
        >>> score = Interval(estimate=0.5, low=0.4, high=0.6, level=0.95, n=100)
        >>> found = Sweep(
        ...     base=ModelRef("local:base"), tuned=ModelRef("local:tuned"), metric="accuracy", dev_fingerprint="f",
        ...     n_dev=100, points=(SweepPoint(alpha=0.0, model=ModelRef("local:base"), score=score),), chosen_alpha=0.0)
        >>> found.model, Sweep.from_json(found.to_json()) == found
        (ModelRef('local:base'), True)
    """

    schema_version: Literal[1] = 1
    base: ModelRef
    tuned: ModelRef
    metric: str
    higher_is_better: bool = True
    dev_fingerprint: str
    n_dev: int
    guard_metric: str = ""
    max_loss: float = 0.0
    points: tuple[SweepPoint, ...] = Field(repr=False)
    chosen_alpha: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        from tunekit.retrain.blending.table import render_sweep

        return render_sweep(self)

    @property
    def chosen(self) -> SweepPoint:
        """The point that was chosen."""
        return next(point for point in self.points if point.alpha == self.chosen_alpha)

    @property
    def model(self) -> ModelRef:
        """The model that was chosen."""
        return self.chosen.model


class SoupStep(Record):
    """One sibling, and what became of it.

    Attributes:
        added: The sibling.
        alone: Its score on dev.
        model: The average of those that were in before and this one; the sibling itself for the first.
        together: The score of that average; None for the first.
        gain: What the average does better than what there was before, item by item; None for the first.
        is_in: Whether it stayed in.
        exists: Whether `model` is there: of the averages that were made for the soup only the chosen one is kept.

    Examples:
        >>> score = Interval(estimate=0.5, low=0.4, high=0.6, level=0.95, n=100)
        >>> SoupStep(added=ModelRef("local:a"), alone=score, model=ModelRef("local:a"), is_in=True).together is None
        True
    """

    added: ModelRef
    alone: Interval
    model: ModelRef
    together: Interval | None = None
    gain: Interval | None = None
    is_in: bool
    exists: bool = True


class Soup(Record):
    """Which siblings were averaged. Print it for a table.

    Attributes:
        model: What was chosen: an average, or the best sibling as it is.
        metric: The scorer whose mean on dev decides.
        higher_is_better: Which way is up.
        score: Of the chosen model on dev.
        dev_fingerprint: Of the items that the choice was made on.
        n_dev: How many they are.
        steps: The siblings, best first.
        warnings: What to know before believing it.

    Examples:
        >>> a, score = ModelRef("local:a"), Interval(estimate=0.5, low=0.4, high=0.6, level=0.95, n=100)
        >>> step = SoupStep(added=a, alone=score, model=a, is_in=True)
        >>> found = Soup(model=a, metric="accuracy", score=score, dev_fingerprint="f", n_dev=100, steps=(step,))
        >>> found.members, Soup.from_json(found.to_json()) == found
        ((ModelRef('local:a'),), True)
    """

    schema_version: Literal[1] = 1
    model: ModelRef
    metric: str
    higher_is_better: bool = True
    score: Interval
    dev_fingerprint: str
    n_dev: int
    steps: tuple[SoupStep, ...] = Field(repr=False)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        from tunekit.retrain.blending.table import render_soup

        return render_soup(self)

    @property
    def members(self) -> tuple[ModelRef, ...]:
        """The siblings that are in it, best first."""
        return tuple(step.added for step in self.steps if step.is_in)
