"""What always giving the commonest answer would get, beside what a model got. Knows references; asks no model.

A test of which nine in ten answers are "no" makes any model look good. So every classification shows its majority
baseline, which is compared with the model like another model: paired, on the same items, by the same method.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tunekit.evaluation.findings import estimate
from tunekit.evaluation.measuring import corpus_metric, counts_of
from tunekit.evaluation.metrics.classification import counts_of as class_counts
from tunekit.evaluation.metrics.counts import labelled
from tunekit.evaluation.pairing import Pairs
from tunekit.evaluation.results import Baseline, Evaluation, ItemResult, Metric

if TYPE_CHECKING:
    from pydantic import JsonValue

_MOST_CLASSES = 20
_ITEMS_PER_CLASS = 5


def with_baselines(evaluation: Evaluation) -> Evaluation:
    """The same with the baseline of each of its classifications, and a warning where it is not beaten."""
    metrics = {
        name: beside_majority(metric, evaluation.items, evaluation.provenance.scorers.get(name, {}))
        for name, metric in evaluation.metrics.items()
    }
    return evaluation.model_copy(update={"metrics": metrics})


def beside_majority(metric: Metric, items: Sequence[ItemResult], scorer: Mapping[str, JsonValue]) -> Metric:
    """The metric of these items with its baseline; as it is where it is that of no classification.

    A classification is a metric of the whole test from counts of classes; right or wrong where that says whether the
    choice is the reference; an exact match with at most 20 different references that come 5 times each on average.

    Args:
        metric: Of these items.
        items: Results of one model.
        scorer: Configuration of the scorer.
    """
    scored = [item for item in items if metric.name in item.scores]
    references = _references(metric, scored, scorer)
    if not references:
        return metric
    number = Counter(references)
    label = min(number, key=lambda name: (-number[name], name))
    pairs = _against(label, references, scored, metric)
    baseline = Baseline(label=label, value=pairs.value(0))
    delta = estimate(pairs, metric.value.level).delta
    beaten = delta.low > 0.0 if metric.higher_is_better else delta.high < 0.0
    said = f"not shown to be better than always answering {label!r}, which gets {baseline.value:.3g}"
    warnings = metric.warnings if beaten else (*metric.warnings, said)
    return metric.model_copy(update={"baseline": baseline, "warnings": warnings})


def _references(metric: Metric, items: Sequence[ItemResult], scorer: Mapping[str, JsonValue]) -> list[str]:
    """The right class of each item; nothing where items have no classes."""
    if metric.kind == "corpus":
        if corpus_metric(metric.name, metric.corpus or metric.name).counts != "classification":
            return []
        return [str(parts[0]) for item in items for parts, _ in labelled(counts_of(metric.name, item))]
    references = [item.reference for item in items if item.reference is not None]
    if metric.kind != "binary" or len(references) < len(items):
        return []
    picked = all(
        item.scores[metric.name] == float(item.choices.get(metric.name) == item.reference) for item in items
    )
    chosen = picked and any(metric.name in item.choices for item in items)
    classes = len(set(references))
    matched = scorer.get("type") == "ExactMatch" and classes <= min(
        _MOST_CLASSES, len(items) // _ITEMS_PER_CLASS
    )
    return references if chosen or matched else []


def _against(label: str, references: Sequence[str], items: Sequence[ItemResult], metric: Metric) -> Pairs:
    """A model that always says the same, and this one."""
    corpus = corpus_metric(metric.name, metric.corpus or metric.name) if metric.kind == "corpus" else None
    rows = tuple(
        (_saying(label, reference, item, metric.name), item)
        for reference, item in zip(references, items, strict=True)
    )
    return Pairs(metric.name, corpus, metric.higher_is_better, rows)


def _saying(label: str, reference: str, item: ItemResult, name: str) -> ItemResult:
    return ItemResult(
        id=item.id,
        scores={name: float(reference == label)},
        counts={name: class_counts(reference, label)},
        cluster=item.cluster,
    )
