"""Pictures as inline SVG: intervals on an axis, and reliability plots. Knows geometry; not what is measured.

Every picture has a title and a description for those who do not see it, and no number is in a picture alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.data.wording import brief
from tunekit.evaluation.metrics.calibration import Bin
from tunekit.evaluation.report.html.markup import text
from tunekit.evaluation.report.numbers import number
from tunekit.evaluation.stats import Interval, Verdict

Tone: TypeAlias = Literal["a", "b"] | Verdict
"""Which colour: of one of the models, or of a verdict."""

_WIDTH, _SIDE, _ROW, _TOP, _BOTTOM = 300, 8, 34, 20, 22
_SQUARE, _INSET, _EDGE = 240, 30, 16
_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One interval of a picture.

    Attributes:
        label: Above it.
        value: Estimate and ends; an infinite end leaves the picture.
        tone: Its colour.
    """

    label: str
    value: Interval
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What intervals are drawn against.

    Attributes:
        marks: Values with a line through all rows, by what the line stands for.
        zone: Values that do not matter, if any.
        percent: Whether values are shares.
        signed: Whether values are differences.
        ends: What is to the left and to the right.
    """

    marks: tuple[tuple[str, float], ...] = ()
    zone: tuple[float, float] | None = None
    percent: bool = False
    signed: bool = False
    ends: tuple[str, str] = ("", "")


def intervals(title: str, rows: Sequence[Row], axis: Axis) -> str:
    """Intervals under each other on one axis."""
    low, high = _range(rows, axis)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    scale = _Scale(low, high, _SIDE, _WIDTH - _SIDE)
    parts = [
        *_zone(axis, scale, height),
        *_ticks(axis, scale, height),
        *_marks(axis, scale, height),
        *(piece for at, row in enumerate(rows) for piece in _interval(row, scale, _TOP + _ROW * at)),
        *_ends(axis),
    ]
    said = "; ".join(_in_words(row, axis) for row in rows)
    return _svg(title, said, _WIDTH, height, parts, "intervals")


def reliability(title: str, lines: Sequence[tuple[str, Tone, Sequence[Bin]]]) -> str:
    """How often answers of a confidence are right, beside the diagonal of a model that is as sure as it is right."""
    scale = _Scale(0.0, 1.0, _INSET, _SQUARE - _EDGE)
    most = max((of.n for _, _, bins in lines for of in bins), default=1)
    end, foot = _SQUARE - _EDGE, _SQUARE - _INSET
    parts = [
        f'<path class="axis" d="M{_INSET} 10V{foot}H{end}"/>',
        f'<path class="ideal" d="M{_INSET} {foot}L{end} 10"/>',
        *(
            f'<text x="{scale(share):.0f}" y="{foot + 14}" text-anchor="middle">{share:.0%}</text>'
            f'<text x="{_INSET - 4}" y="{_up(share) + 4:.0f}" text-anchor="end">{share:.0%}</text>'
            for share in (0.0, 0.5, 1.0)
        ),
        f'<text x="{(_INSET + end) / 2:.0f}" y="{_SQUARE - 2}" text-anchor="middle">confidence</text>',
        *(piece for _, tone, bins in lines for piece in _reliability_line(tone, bins, scale, most)),
    ]
    said = "; ".join(f"{label}: {len(bins)} bins, in the table below" for label, _, bins in lines)
    return _svg(title, said, _SQUARE, _SQUARE, parts, "square")


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places."""

    low: float
    high: float
    left: float
    right: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)


def _range(rows: Sequence[Row], axis: Axis) -> tuple[float, float]:
    """All that is finite, with room at both sides."""
    values = [value for row in rows for value in (row.value.low, row.value.estimate, row.value.high)]
    values += [value for _, value in axis.marks]
    values += axis.zone or ()
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    room = 0.08 * (high - low) or abs(low) or 1.0
    return low - room, high + room


def _svg(title: str, description: str, width: int, height: int, parts: Sequence[str], kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img">\n<title>{text(title)}</title>'
        f"<desc>{text(description)}</desc>\n" + "\n".join(parts) + "\n</svg>"
    )


def _zone(axis: Axis, scale: _Scale, height: int) -> Iterator[str]:
    if axis.zone and axis.zone[0] < axis.zone[1]:
        left, right = map(scale, axis.zone)
        yield (
            f'<rect class="zone" x="{left:.1f}" y="{_TOP - 4}" width="{right - left:.1f}"'
            f' height="{height - _TOP - _BOTTOM + 4}"><title>differences that do not matter</title></rect>'
        )


def _ticks(axis: Axis, scale: _Scale, height: int) -> Iterator[str]:
    foot = height - _BOTTOM
    yield f'<path class="axis" d="M{_SIDE} {foot}H{_WIDTH - _SIDE}"/>'
    for value in _nice(scale.low, scale.high):
        at = scale(value)
        shown = number(value, signed=axis.signed and value != 0, percent=False)
        shown = f"{100 * value:+g}" if axis.percent and axis.signed and value else shown
        shown = f"{100 * value:g}" if axis.percent and not (axis.signed and value) else shown
        yield (
            f'<path class="axis" d="M{at:.1f} {foot}v4"/><text x="{at:.1f}" y="{foot + 15}" text-anchor="middle">'
            f"{text(shown)}{'' if not axis.percent or axis.signed else ' %'}</text>"
        )


def _nice(low: float, high: float) -> Iterator[float]:
    """Round values within the range: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, 1 - math.floor(math.log10(step)))
    for at in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield round(at * step, digits) + 0.0


def _marks(axis: Axis, scale: _Scale, height: int) -> Iterator[str]:
    for label, value in axis.marks:
        at = scale(value)
        kind = "zero" if value == 0 else "mark"
        yield (
            f'<path class="{kind}" d="M{at:.1f} {_TOP - 4}V{height - _BOTTOM}"><title>{text(label)}: '
            f"{text(number(value, percent=axis.percent))}</title></path>"
        )


def _interval(row: Row, scale: _Scale, top: float) -> Iterator[str]:
    low, estimate, high = (scale(value) for value in (row.value.low, row.value.estimate, row.value.high))
    line = top + 22
    ends = [place for place, end in ((low, row.value.low), (high, row.value.high)) if math.isfinite(end)]
    caps = "".join(f"M{place:.1f} {line - 5}v10" for place in ends)
    yield f'<text x="{_SIDE}" y="{top + 11}">{text(brief(row.label, quote=False))}</text>'
    yield f'<path class="line {row.tone}" d="M{low:.1f} {line}H{high:.1f}{caps}"/>'
    yield f'<circle class="point {row.tone}" cx="{estimate:.1f}" cy="{line}" r="5"/>'


def _ends(axis: Axis) -> Iterator[str]:
    left, right = axis.ends
    if left or right:
        yield f'<text x="{_SIDE}" y="11">{text(left)}</text>'
        yield f'<text x="{_WIDTH - _SIDE}" y="11" text-anchor="end">{text(right)}</text>'


def _in_words(row: Row, axis: Axis) -> str:
    estimate, low, high = (
        number(value, signed=axis.signed, percent=axis.percent)
        for value in (row.value.estimate, row.value.low, row.value.high)
    )
    return f"{row.label}: {estimate}, from {low} to {high}"


def _reliability_line(tone: Tone, bins: Sequence[Bin], scale: _Scale, most: int) -> Iterator[str]:
    places = [(scale(of.confidence), _up(of.accuracy), 2 + 4 * math.sqrt(of.n / most)) for of in bins]
    if len(places) > 1:
        yield f'<polyline class="line thin {tone}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)}"/>'
    for (x, y, radius), of in zip(places, bins, strict=True):
        shown = f"<title>{of.n} items: {of.confidence:.1%} sure, {of.accuracy:.1%} right</title>"
        if tone == "a":
            yield (
                f'<rect class="point a" x="{x - radius:.1f}" y="{y - radius:.1f}" width="{2 * radius:.1f}"'
                f' height="{2 * radius:.1f}">{shown}</rect>'
            )
        else:
            yield f'<circle class="point b" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{shown}</circle>'


def _up(share: float) -> float:
    foot = _SQUARE - _INSET
    return foot - share * (foot - 10)
