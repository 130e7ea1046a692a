"""What counts as a number in JSON that others wrote. Knows no field and no grader."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> float | None:
    """The value as a float; None where it is no number, or none that a float can hold.

    Examples:
        >>> finite(1), finite(True), finite("1"), finite(float("nan")), finite(10**400)
        (1.0, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
