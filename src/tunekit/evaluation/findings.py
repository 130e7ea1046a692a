"""What a method says of two models on the same items, by the kind of scores. Knows statistics; no verdict, no report.

| scores | interval | p-value | in groups |
|---|---|---|---|
| right or wrong | Tango | McNemar mid-p | Tango of as many items as they are worth, sign flips of groups |
| numbers | paired t | sign flips | CR1 with t(G - 1), sign flips of groups |
| counts of a metric | resampled items | exchanged answers | resampled groups, exchanged groups |
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from tunekit.evaluation import stats
from tunekit.evaluation.metrics.table import CorpusMetric
from tunekit.evaluation.pairing import Pairs
from tunekit.evaluation.stats import Interval

_NO_SPREAD = "bound on the share of items that would differ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a method found on the pairs; see `MetricComparison` for the attributes."""

    delta: Interval
    method: str
    p_value: float
    test: str
    se: float | None
    detectable: float | None
    items_needed: int | None
    n_clusters: int | None = None
    design_effect: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An interval of the difference, how it was found, and why it may be wrong."""

    delta: Interval
    method: str
    warnings: tuple[str, ...] = ()


def find(pairs: Pairs, level: float) -> Finding:
    """Interval, p-value and planning numbers of the difference."""
    found = estimate(pairs, level)
    effect = _design_effect(pairs)
    p_value, test = _tested(pairs)
    planned = _binary_plan if pairs.binary and pairs.corpus is None else _mean_plan
    se = _standard_error(pairs, found)
    detectable, needed = planned(pairs, found.delta, se, effect)
    return Finding(
        delta=found.delta,
        method=found.method,
        p_value=p_value,
        test=test,
        se=se,
        detectable=detectable,
        items_needed=needed,
        n_clusters=None if pairs.clusters is None else len(set(pairs.clusters)),
        design_effect=effect,
        warnings=(*found.warnings, *_few(pairs, found)),
    )


def estimate(pairs: Pairs, level: float) -> Estimate:
    """The interval of the difference."""
    if pairs.corpus is not None:
        return _corpus_estimate(pairs, pairs.corpus, level)
    return _binary_estimate(pairs, level) if pairs.binary else _mean_estimate(pairs, level)


def _binary_estimate(pairs: Pairs, level: float) -> Estimate:
    if pairs.clusters is not None:
        delta = stats.clustered_tango(pairs.differences, pairs.clusters, level=level)
        return Estimate(delta=delta, method="Tango score interval of effective items")
    wins, losses = pairs.differences.count(1.0), pairs.differences.count(-1.0)
    return Estimate(delta=stats.tango(wins, losses, pairs.n, level=level), method="Tango score interval")


def _mean_estimate(pairs: Pairs, level: float) -> Estimate:
    differences, clusters = pairs.differences, pairs.clusters
    if not _spread(differences):
        return Estimate(delta=_constant(pairs, level), method=_NO_SPREAD)
    plain = stats.mean_t(differences, level=level)
    if clusters is None:
        return Estimate(delta=plain, method="paired t interval")
    grouped = stats.clustered_mean(differences, clusters, level=level)
    # Groups that happen to have equal means prove no more than as many items of their own would.
    wider = max(plain, grouped, key=lambda interval: interval.high - interval.low)
    return Estimate(delta=wider, method="paired t interval of groups (CR1)")


def _corpus_estimate(pairs: Pairs, metric: CorpusMetric, level: float) -> Estimate:
    a, b = pairs.counts
    found = stats.resampled_difference(
        metric.compute, a, b, clusters=pairs.clusters, bounds=(metric.low, metric.high), level=level
    )
    return Estimate(delta=found.interval, method=found.method, warnings=found.warnings)


def _constant(pairs: Pairs, level: float) -> Interval:
    """Without spread a t interval has no width, as if n items could prove that no other item differs."""
    bounded = all(0.0 <= score <= 1.0 for score in (*pairs.a, *pairs.b))
    reach = 1.0 if bounded else math.inf
    units = pairs.n if pairs.clusters is None else len(set(pairs.clusters))
    middle = statistics.median(pairs.differences)
    return replace(stats.constant_mean(middle, units, low=-reach, high=reach, level=level), n=pairs.n)


def _tested(pairs: Pairs) -> tuple[float, str]:
    clusters = pairs.clusters
    if pairs.corpus is not None:
        a, b = pairs.counts
        p_value = stats.randomisation(pairs.corpus.compute, a, b, clusters=clusters)
        return p_value, "approximate randomisation" if clusters is None else "randomisation of groups"
    if clusters is not None:
        return stats.cluster_sign_flip(pairs.differences, clusters), "sign flips of groups"
    if pairs.binary:
        wins, losses = pairs.differences.count(1.0), pairs.differences.count(-1.0)
        return stats.mcnemar_mid_p(wins, losses), "McNemar mid-p"
    return stats.sign_flip(pairs.differences), "sign-flip permutation"


def _standard_error(pairs: Pairs, found: Estimate) -> float | None:
    """Of one number by its method where there is one, of a resampled metric a normal one of this width."""
    differences, clusters, n = pairs.differences, pairs.clusters, pairs.n
    if pairs.corpus is not None:
        half = (found.delta.high - found.delta.low) / 2
        measured = math.isfinite(half) and found.method.endswith("bootstrap")
        return half / stats.two_sided_z(found.delta.level) if measured else None
    if n < 2 or not _spread(differences):
        return None
    worth = (
        float(n)
        if clusters is None
        else stats.effective_items(differences, clusters, level=found.delta.level)
    )
    return math.sqrt(statistics.variance(differences) / worth) if worth else None


def _binary_plan(
    pairs: Pairs, delta: Interval, se: float | None, effect: float | None
) -> tuple[float | None, int | None]:
    disagreement = sum(gap != 0.0 for gap in pairs.differences) / pairs.n
    alpha = 1 - delta.level
    worth = max(1, round(pairs.n / max(1.0, effect or 1.0)))
    return (
        stats.detectable_difference(worth, disagreement, alpha=alpha),
        _more(stats.items_needed(delta.estimate, disagreement, alpha=alpha), effect),
    )


def _mean_plan(
    pairs: Pairs, delta: Interval, se: float | None, effect: float | None
) -> tuple[float | None, int | None]:
    if se is None:
        return None, None
    variance = se * se * pairs.n  # of one item, with what its group adds
    alpha = 1 - delta.level
    needed = stats.items_needed_mean(delta.estimate, variance, alpha=alpha)
    return stats.detectable_mean(pairs.n, variance, alpha=alpha), needed


def _more(items: int | None, effect: float | None) -> int | None:
    return None if items is None else math.ceil(items * max(1.0, effect or 1.0))


def _design_effect(pairs: Pairs) -> float | None:
    """Of the differences; None without groups, and where a single one leaves nothing to tell it by."""
    clusters: Sequence[Hashable] | None = pairs.clusters
    if clusters is None or len(set(clusters)) == 1:
        return None
    # Its estimator falls below -1 where groups are of unequal size; both mean that groups cost nothing.
    correlation = max(-1.0, stats.intraclass_correlation(pairs.differences, clusters))
    return stats.design_effect(stats.typical_cluster_size(clusters), correlation)


def _few(pairs: Pairs, found: Estimate) -> Iterator[str]:
    if pairs.corpus is not None:
        return  # resampling says so itself
    if pairs.clusters is not None and (unsure := stats.clusters_warning(pairs.clusters)):
        yield unsure
    if pairs.binary:
        moving = sum(gap != 0.0 for gap in pairs.differences)
        if stats.disagreements_warning(moving, 0):
            yield f"the models disagree on {moving} of {pairs.n} items only: the interval rests on few of them"
    elif stats.t_warning(pairs.n):
        yield f"{pairs.n} items are few for a {found.method}; it is reliable from about 30"


def _spread(differences: Sequence[float]) -> bool:
    return not math.isclose(min(differences), max(differences), rel_tol=1e-9, abs_tol=1e-12)
