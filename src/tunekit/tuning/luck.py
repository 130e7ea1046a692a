"""How much of the best score may be luck. Knows scores of items; not what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tunekit.evaluation.stats import winners_curse

ItemScores = Mapping[str, float]
"""Score by item id, of one model."""


def optimism(models: Sequence[ItemScores]) -> float | None:
    """By how much the best of these models would read too high if all were equally good.

    Items that are hard for every model make no model look better than another, so of the variance of a score only that
    counts which is neither the item's nor the model's: the residual of the two-way layout (Fisher 1925).

    Examples:
        >>> alike = {f"{n}": float(n % 2) for n in range(100)}
        >>> other = {item: score if item != "7" else 0.0 for item, score in alike.items()}
        >>> optimism([alike, alike]), 0 < optimism([alike, other]) < 0.01, optimism([alike])
        (0.0, True, None)
    """
    shared = [item for item in models[0] if all(item in scores for scores in models)] if models else []
    if len(models) < 2 or len(shared) < 2:
        return None
    return winners_curse(len(models), len(shared), _residual(models, shared))


def _residual(models: Sequence[ItemScores], items: Sequence[str]) -> float:
    """The variance of a score that neither its item nor its model explains."""
    n, k = len(items), len(models)
    of_model = [math.fsum(scores[item] for item in items) / n for scores in models]
    overall = math.fsum(of_model) / k
    squares = []
    for item in items:
        of_item = math.fsum(scores[item] for scores in models) / k
        squares += [
            (scores[item] - of_item - mean + overall) ** 2
            for scores, mean in zip(models, of_model, strict=True)
        ]
    return math.fsum(squares) / ((n - 1) * (k - 1))
