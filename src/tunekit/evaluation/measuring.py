"""From the stored results of items to one scorer's result over them. Knows numbers; no scorer, no model, no test set.

What an item adds to a metric is stored with it, so that a metric can be computed again for any of the items: those that
two models share, a slice, a resample.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.table import CORPUS, CorpusMetric
from tunekit.evaluation.results import ItemResult, Metric
from tunekit.evaluation.stats import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An interval, how it was found, and what is to be said against it."""

    interval: Interval
    method: str
    warnings: tuple[str, ...] = ()


def metric_of(
    items: Sequence[ItemResult],
    name: str,
    *,
    corpus: str = "",
    higher_is_better: bool = True,
    level: float = 0.95,
) -> Metric:
    """One scorer's result over some items, with its interval. Items that it could not score are counted apart.

    Items that share a group (`ItemResult.cluster`) make the interval as wide as the groups are worth.

    Args:
        items: Results of one model: all of them, or a part.
        name: Of the scorer.
        corpus: The metric of whole tests that the scorer computes, as `Metric.corpus` has it; empty for a mean.
        higher_is_better: Of a mean, its direction. A metric of whole tests has its own.
        level: Confidence level of the interval.

    Raises:
        EvaluationError: No item was scored; or there is no such metric of whole tests, an item lacks its counts, or it
            is undefined on these items.

    Examples:
        >>> items = [ItemResult(id=f"{at}", scores={"exact_match": float(at > 10)}) for at in range(100)]
        >>> found = metric_of(items, "exact_match")
        >>> found.value.estimate, round(found.value.low, 2), found.method
        (0.89, 0.81, 'Wilson score interval')
    """
    scored = _scored(items, name)
    known = corpus_metric(name, corpus) if corpus else None
    values = [item.scores[name] for item in scored]
    clusters = clusters_of(scored)
    binary = known is None and is_binary(values)
    if known is not None:
        found = _whole(known, [counts_of(name, item) for item in scored], clusters, level)
    else:
        found = _share(values, clusters, level) if binary else _mean(values, clusters, level)
    return Metric(
        name=name,
        value=found.interval,
        kind="corpus" if known else "binary" if binary else "mean",
        higher_is_better=known.higher_is_better if known else higher_is_better,
        corpus=corpus,
        n_errors=sum(name in item.errors for item in items),
        method=found.method,
        warnings=found.warnings,
    )


def value_of(items: Sequence[ItemResult], name: str, *, corpus: str = "") -> float:
    """The result alone, without an interval. Arguments and errors as for `metric_of`."""
    scored = _scored(items, name)
    if corpus:
        return corpus_metric(name, corpus).compute(added(counts_of(name, item) for item in scored))
    return math.fsum(item.scores[name] for item in scored) / len(scored)


def is_binary(values: Sequence[float]) -> bool:
    """Whether every score is 0 or 1."""
    return all(value in (0.0, 1.0) for value in values)


def clusters_of(items: Sequence[ItemResult]) -> tuple[Hashable, ...] | None:
    """The group of each item; None where no two are of one group. An item without is a group of its own."""
    groups = tuple(("item", item.id) if item.cluster is None else ("group", item.cluster) for item in items)
    return None if len(set(groups)) == len(groups) else groups


def corpus_metric(name: str, corpus: str) -> CorpusMetric:
    """A metric of whole tests from the table.

    Raises:
        EvaluationError: There is none of this name.
    """
    if corpus not in CORPUS:
        raise EvaluationError(
            f"{name!r} is a metric of the whole test, but {brief(corpus)} is none that is known",
            hint=f"a newer tunekit may have made this evaluation; known here: {', '.join(CORPUS)}",
        )
    return CORPUS[corpus]


def counts_of(name: str, item: ItemResult) -> dict[str, float]:
    """What an item adds to a metric of the whole test.

    Raises:
        EvaluationError: It has a score and no counts.
    """
    if name not in item.counts:
        raise EvaluationError(
            f"item {item.id!r} has a score by {name!r} but no counts, which a metric of the whole test needs",
            hint="let the scorer return Score(value=..., counts=...), and run that model again",
        )
    return item.counts[name]


def _scored(items: Sequence[ItemResult], name: str) -> list[ItemResult]:
    scored = [item for item in items if name in item.scores]
    if not scored:
        first = next((item.errors[name] for item in items if name in item.errors), "")
        raise EvaluationError(
            f"{name!r} could not score any of {len(items)} items{first and ', the first because of '}{first}",
            hint="look at `errors` of the items",
        )
    return scored


def _whole(
    metric: CorpusMetric,
    counts: Sequence[Mapping[str, float]],
    clusters: Sequence[Hashable] | None,
    level: float,
) -> _Found:
    bounds = (metric.low, metric.high)
    enough = [metric.enough(each) for each in counts]
    found = stats.resampled(metric.compute, enough, clusters=clusters, bounds=bounds, level=level)
    return _Found(interval=found.interval, method=found.method, warnings=found.warnings)


def _share(values: Sequence[float], clusters: Sequence[Hashable] | None, level: float) -> _Found:
    if clusters is None:
        interval = stats.wilson(sum(map(int, values)), len(values), level=level)
        return _Found(interval=interval, method="Wilson score interval")
    interval = stats.clustered_wilson(values, clusters, level=level)
    return _grouped(interval, "Wilson score interval of effective items", clusters)


def _mean(values: Sequence[float], clusters: Sequence[Hashable] | None, level: float) -> _Found:
    if min(values) == max(values) and 0.0 <= values[0] <= 1.0:
        units = len(values) if clusters is None else len(set(clusters))
        bound = stats.constant_mean(values[0], units, low=0.0, high=1.0, level=level)
        interval = replace(bound, n=len(values))
        return _Found(interval=interval, method="bound on the share of items that would differ")
    if clusters is None:
        few = stats.t_warning(len(values))
        interval = stats.mean_t(values, level=level)
        return _Found(interval=interval, method="t interval", warnings=(few,) if few else ())
    return _grouped(
        stats.clustered_mean(values, clusters, level=level), "t interval of groups (CR1)", clusters
    )


def _grouped(interval: Interval, method: str, clusters: Sequence[Hashable]) -> _Found:
    unsure = stats.clusters_warning(clusters)
    return _Found(interval=interval, method=method, warnings=(unsure,) if unsure else ())
