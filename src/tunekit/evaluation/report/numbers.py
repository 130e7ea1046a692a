"""How numbers are written in every report. Knows digits and units; not what is measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tunekit.evaluation.metrics.table import CORPUS

if TYPE_CHECKING:
    from tunekit.evaluation.comparison import MetricComparison
    from tunekit.evaluation.results import Metric
    from tunekit.evaluation.stats import Interval

_MINUS = "\N{MINUS SIGN}"


def interval(value: Interval, *, signed: bool = False, percent: bool | None = None) -> str:
    """An estimate and its interval.

    Args:
        value: The interval.
        signed: Whether a number above 0 has a plus, as differences do.
        percent: Whether to write it in percent; None does so where all of it can be a share.

    Examples:
        >>> from tunekit.evaluation.stats import wilson
        >>> interval(wilson(80, 100))
        '80.0 % [71.1, 86.7]'
    """
    percent = _may_be_share(value) if percent is None else percent
    estimate, low, high = (
        _written(number, signed=signed, percent=percent) for number in (value.estimate, value.low, value.high)
    )
    return f"{estimate}{' %' if percent else ''} [{low}, {high}]"


def number(value: float, *, signed: bool = False, percent: bool = False) -> str:
    """One number, with its unit where it is a share.

    Examples:
        >>> number(0.125, percent=True), number(-3.14159, signed=True), number(12345.0)
        ('12.5 %', '-3.142', '12,345')
    """
    return f"{_written(value, signed=signed, percent=percent)}{' %' if percent else ''}"


def difference(value: float, *, percent: bool) -> str:
    r"""A difference in words: of shares in points, so that nobody takes 2 points for 2 % more.

    Examples:
        >>> difference(0.0234, percent=True), difference(-1.5, percent=False)
        ('+2.3 points', '\u22121.5')
    """
    return f"{signed(value, percent=percent)} points" if percent else signed(value, percent=False)


def signed(value: float, *, percent: bool) -> str:
    """The same without its unit, for the ends of an interval."""
    return _written(value, signed=True, percent=percent).replace("-", _MINUS)


def p_value(value: float) -> str:
    """A p-value with as many digits as anybody reads.

    Examples:
        >>> p_value(0.00001), p_value(0.04321), p_value(float("nan"))
        ('<0.0001', '0.0432', '-')
    """
    if not math.isfinite(value):
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def in_percent(metric: Metric) -> bool:
    """Whether a result is a share: of right answers, a metric of the whole test from 0 to 1, a mean of that size."""
    if metric.kind == "corpus":
        known = CORPUS.get(metric.corpus or metric.name)
        return known is not None and (known.low, known.high) == (0.0, 1.0)
    return metric.kind == "binary" or _may_be_share(metric.value)


def compared_in_percent(found: MetricComparison) -> bool:
    """The same of a comparison, where both sides and the difference have one unit."""
    if not (in_percent(found.a) and in_percent(found.b)):
        return False
    return found.a.kind != "mean" or _may_be_share(found.delta)


def _may_be_share(value: Interval) -> bool:
    return all(abs(each) <= 1.0 for each in (value.estimate, value.low, value.high))


def _written(value: float, *, signed: bool, percent: bool) -> str:
    if percent:
        return _fixed(100 * value, signed=signed)
    if abs(value) >= 10_000 and math.isfinite(value):
        return f"{value:+,.0f}" if signed else f"{value:,.0f}"
    return f"{value:+.4g}" if signed and value else f"{value + 0.0:.4g}"


def _fixed(value: float, *, signed: bool) -> str:
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return text.replace("-0.0", "0.0").replace("+0.0", "0.0") if abs(value) < 0.05 else text
