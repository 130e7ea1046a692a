"""How far the labels of new data have moved. Knows counts; not where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tunekit.errors import DataError

_FLOOR = 1e-4  # of a share: a label that is new, or gone, must not make it infinite


def label_drift(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Population stability index of two distributions over labels: 0 for the same, above 0.2 is worth a look.

    Source: Siddiqi 2006, Credit Risk Scorecards, chapter 8; sum of (q - p) ln(q / p).

    Args:
        before: Rows by label, then.
        now: Rows by label, now.

    Raises:
        DataError: One of them has no rows.

    Examples:
        >>> round(label_drift({"a": 50, "b": 50}, {"a": 70, "b": 30}), 3)
        0.169
    """
    totals = sum(before.values()), sum(now.values())
    if min(totals) <= 0:
        raise DataError("labels of no rows cannot be compared", hint="count the labels of both data sets")
    found = 0.0
    for label in sorted({*before, *now}):
        p, q = (
            max(counts.get(label, 0) / total, _FLOOR)
            for counts, total in zip((before, now), totals, strict=True)
        )
        found += (q - p) * math.log(q / p)
    return found
