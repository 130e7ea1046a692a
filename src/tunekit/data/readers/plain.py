"""Values of frames, Arrow and `datasets` as JSON holds them. Knows Python values; not where they come from."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any


def plain(value: Any) -> Any:
    """A cell as JSON holds it, where it can; what it cannot hold stays, for the reader of records to name.

    Examples:
        >>> plain(float("nan")), plain(datetime.date(2026, 11, 22)), plain(decimal.Decimal("1.50"))
        (None, '2026-11-22', '1.50')
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "tolist"):  # a numpy scalar or array
        return plain(value.tolist())
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (datetime.date, datetime.time)):
        return None if value != value else value.isoformat()  # pandas' NaT is a date that equals nothing
    if isinstance(value, (decimal.Decimal, datetime.timedelta)):
        return None if value != value else str(value)
    return None if type(value).__name__ == "NAType" else value
