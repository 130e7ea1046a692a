"""What else is different between two models: tokens, seconds, calibration. Knows stored results; judges nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tunekit.evaluation import stats
from tunekit.evaluation.comparison import Change
from tunekit.evaluation.metrics import calibration
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.pairing import Pairs
from tunekit.evaluation.results import Evaluation, ItemResult

if TYPE_CHECKING:
    from pydantic import JsonValue


def _tokens(item: ItemResult, number: int) -> float | None:
    """A number of tokens; a backend that counted none at all does not count."""
    return float(number) if item.input_tokens or item.output_tokens else None


_QUANTITIES: Mapping[str, Callable[[ItemResult], float | None]] = {
    "input tokens per item": lambda item: _tokens(item, item.input_tokens),
    "output tokens per item": lambda item: _tokens(item, item.output_tokens),
    "seconds per item": lambda item: item.seconds,
}


def changes(a: Evaluation, b: Evaluation, level: float) -> tuple[Change, ...]:
    """Tokens and seconds for an item, over the items where both are known; one that is known of no item is left out."""
    others = {item.id: item for item in b.items}
    rows = [(item, others[item.id]) for item in a.items if item.id in others]
    return tuple(_changed(rows, level))


def calibration_change(pairs: Pairs, scorer: Mapping[str, JsonValue], level: float) -> Change | None:
    """Expected calibration error over the pairs; None where not all their log-probabilities and choices are kept.

    Args:
        pairs: Results of both models.
        scorer: Configuration of the scorer, with its `choices`.
        level: Confidence level.
    """
    choices = scorer.get("choices")
    if not isinstance(choices, list) or not all(
        _is_weighed(item, pairs.name, choices) for item in _both(pairs)
    ):
        return None
    metric = CORPUS["ece"]
    first, second = ([_counts(row[side], pairs.name, choices) for row in pairs.rows] for side in (0, 1))
    found = stats.resampled_difference(
        metric.compute, first, second, clusters=pairs.clusters, bounds=(metric.low, metric.high), level=level
    )
    return Change(
        name="expected calibration error",
        a=metric.compute(added(first)),
        b=metric.compute(added(second)),
        delta=found.interval,
    )


def _changed(rows: Sequence[tuple[ItemResult, ItemResult]], level: float) -> Iterator[Change]:
    for name, quantity in _QUANTITIES.items():
        known = [
            (old, new)
            for a, b in rows
            if (old := quantity(a)) is not None and (new := quantity(b)) is not None
        ]
        if known:
            yield Change(
                name=name,
                a=_mean([old for old, _ in known]),
                b=_mean([new for _, new in known]),
                delta=stats.mean_t([new - old for old, new in known], level=level),
            )


def _both(pairs: Pairs) -> Iterator[ItemResult]:
    return (item for row in pairs.rows for item in row)


def _is_weighed(item: ItemResult, name: str, choices: Sequence[JsonValue]) -> bool:
    """Whether it says how likely the right one of these choices was, among others."""
    weights = item.log_probs.get(name, ())
    return len(weights) == len(choices) and item.reference in choices and math.isfinite(max(weights))


def _counts(item: ItemResult, name: str, choices: Sequence[JsonValue]) -> dict[str, float]:
    weights = dict(zip(map(str, choices), item.log_probs[name], strict=True))
    return calibration.counts_of(calibration.softmax(weights), str(item.reference))


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
