"""Confusion matrices and reliability bins from a stored evaluation. Knows what items keep; draws nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from tunekit.evaluation.metrics import calibration
from tunekit.evaluation.metrics.classification import Confusion
from tunekit.evaluation.metrics.classification import counts_of as class_counts
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.results import Evaluation, ItemResult


def confusion(evaluation: Evaluation, name: str, ids: Collection[str] | None = None) -> Confusion | None:
    """Which class was taken for which, by one scorer.

    Args:
        evaluation: The evaluation.
        name: Of the scorer.
        ids: Of the items that count; None for all.

    Returns:
        None where the scorer classifies nothing, or its items do not say what was picked.
    """
    metric, items = evaluation[name], _scored(evaluation, name, ids)
    if counts := _kept(evaluation, name, items, "classification"):
        return Confusion.of(added(counts))
    if not items or any(item.reference is None for item in items):
        return None
    labels = {str(item.reference) for item in items}
    if all(name in item.choices for item in items):
        labels.update(item.choices[name] for item in items)
        picked = [item.choices[name] for item in items]
    elif metric.kind == "binary" and metric.baseline is not None:
        picked = [_said(item, name) for item in items]
    else:
        return None
    pairs = zip(items, picked, strict=True)
    return Confusion.of(added(class_counts(str(item.reference), choice, labels) for item, choice in pairs))


def reliability(
    evaluation: Evaluation, name: str, ids: Collection[str] | None = None
) -> tuple[calibration.Bin, ...]:
    """How often answers of a confidence are right, by one scorer; no bin where that was not kept of every item.

    Takes what `confusion` takes.
    """
    items = _scored(evaluation, name, ids)
    counts = _kept(evaluation, name, items, "calibration") or _weighed(
        items, name, evaluation.provenance.scorers.get(name, {}).get("choices")
    )
    return calibration.reliability(added(counts)) if counts else ()


def _scored(evaluation: Evaluation, name: str, ids: Collection[str] | None) -> list[ItemResult]:
    return [item for item in evaluation.items if name in item.scores and (ids is None or item.id in ids)]


def _kept(
    evaluation: Evaluation, name: str, items: Sequence[ItemResult], of: str
) -> list[Mapping[str, float]]:
    """Counts of this kind, where each item has them. A mean keeps them too, where it is a metric of the table."""
    metric, config = evaluation[name], evaluation.provenance.scorers.get(name, {})
    known = CORPUS.get(metric.corpus or str(config.get("metric", "")) or name)
    if known is None or known.counts != of or not all(item.counts.get(name) for item in items):
        return []
    return [item.counts[name] for item in items]


def _said(item: ItemResult, name: str) -> str:
    """The class that an answer names; a right one names the reference however it is spelled."""
    return str(item.reference) if item.scores[name] == 1.0 else (item.answer or "").strip()


def _weighed(items: Iterable[ItemResult], name: str, choices: object) -> list[dict[str, float]]:
    if not isinstance(choices, list):
        return []
    found = []
    for item in items:
        weights = item.log_probs.get(name, ())
        if len(weights) != len(choices) or item.reference not in choices or not math.isfinite(max(weights)):
            return []
        shares = calibration.softmax(dict(zip(map(str, choices), weights, strict=True)))
        found.append(calibration.counts_of(shares, str(item.reference)))
    return found
