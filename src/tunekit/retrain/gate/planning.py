"""How likely a gate lets a gain through. Knows normal approximations and Holm; not what was measured."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from tunekit.errors import SpecError
from tunekit.evaluation.stats.power import check_within

_DRAWS = 20_000
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a gate's test can tell.

    Attributes:
        power: Chance that a model with the gain planned for is promoted.
        items_needed: Items of the test that would give 80 %, guardrails with as many more; None if no number would.
    """

    power: float
    items_needed: int | None


def planned(
    *, gain: float, items: int, disagreement: float, margins: Sequence[tuple[float, int]], alpha: float
) -> Plan:
    """Power by drawing from the normal distribution that each difference has, and deciding as the gate does.

    Args:
        gain: By how much the true difference exceeds what is asked.
        items: Items of the test.
        disagreement: Share of items on which exactly one of the two is right.
        margins: Of each guardrail, the loss that does not matter, and its items.
        alpha: One-sided size of the whole gate.

    Raises:
        SpecError: A number is out of range.
    """
    check_within(gain, disagreement)
    if items < 1:
        raise SpecError(f"items is {items}", hint="plan with 1 or more")
    spread = math.sqrt(max(disagreement - gain**2, 1e-12))
    guarded = [(margin, math.sqrt(disagreement), n) for margin, n in margins]
    power = _power([(gain, spread, items), *guarded], alpha, 1.0)
    return Plan(power=power, items_needed=_needed([(gain, spread, items), *guarded], alpha))


def _power(claims: Sequence[tuple[float, float, int]], alpha: float, times: float) -> float:
    """Share of draws in which Holm's procedure grants every claim, with `times` as many items."""
    shifts = [by * math.sqrt(n * times) / spread for by, spread, n in claims]
    if len(shifts) == 1:
        return 1.0 - _NORMAL.cdf(_NORMAL.inv_cdf(1.0 - alpha) - shifts[0])
    bars = [_NORMAL.inv_cdf(1.0 - alpha / (len(shifts) - rank)) for rank in range(len(shifts))]
    draw = random.Random(0)  # its own: the host's is not drawn from
    granted = 0
    for _ in range(_DRAWS):
        seen = sorted((shift + draw.gauss(0.0, 1.0) for shift in shifts), reverse=True)
        granted += all(z > bar for z, bar in zip(seen, bars, strict=True))
    return granted / _DRAWS


def _needed(claims: Sequence[tuple[float, float, int]], alpha: float) -> int | None:
    if claims[0][0] <= 0.0:
        return None
    low, high = 0.0, 1.0
    while _power(claims, alpha, high) < 0.8:
        low, high = high, high * 2
        if high > 1e6:
            return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(claims, alpha, middle) >= 0.8 else (middle, high)
    return math.ceil(claims[0][2] * high)
