"""Should this be fine-tuned, in words. Knows verdicts and costs that were found; decides by the verdicts alone."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.evaluation.arms.results import Answer, ArmResult, Arms
from tunekit.evaluation.comparison import MetricComparison
from tunekit.evaluation.report.numbers import compared_in_percent, difference, signed

_DOES = {
    "better": "does better than",
    "worse": "does worse than",
    "equivalent": "does as well as",
    "inconclusive": "is not shown to differ from",
}


def answer_of(arms: Arms) -> Answer:
    """Whether training pays in quality, by the deciding scorer; see `Arms.answer`."""
    trained = [arm for arm in arms.arms if arm.trained]
    if not trained or arms[arms.baseline].trained:
        return ""
    verdicts = {arm.against[arms.by].verdict for arm in trained}
    if "better" in verdicts:
        return "yes"
    return "not shown" if "inconclusive" in verdicts else "no"


def verdict_of(arms: Arms) -> str:
    """The answer, and what stands behind it: one sentence for each arm that it is about."""
    about = [arm for arm in arms.arms if arm.name != arms.baseline and (arm.trained or not arms.answer)]
    return " ".join([*_heading(arms), *(_sentence(arm, arms) for arm in about)])


def money(usd: float) -> str:
    """An amount with as many digits as it needs.

    Examples:
        >>> money(1234.5), money(0.0123), money(0)
        ('$1,234.50', '$0.0123', '$0.00')
    """
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.3g}"


def _heading(arms: Arms) -> Iterator[str]:
    best = f"{arms.baseline}, the arm to beat"
    if arms.answer == "yes":
        yield f"Training pays in quality against {best}, by {arms.by}."
    elif arms.answer == "no":
        yield f"Do not train: no trained arm does better than {best}, by {arms.by}."
    elif arms.answer == "not shown":
        yield f"Not shown: these items do not tell whether training beats {best}, by {arms.by}."


def _sentence(arm: ArmResult, arms: Arms) -> str:
    found = arm.against[arms.by]
    parts = [
        f"{arm.name} {_DOES[found.verdict]} {arms.baseline}: {_difference(found)}",
        *_money(arm, arms[arms.baseline]),
    ]
    return "; ".join(parts) + "."


def _difference(found: MetricComparison) -> str:
    percent = compared_in_percent(found)
    low, high = (signed(end, percent=percent) for end in (found.delta.low, found.delta.high))
    return f"{difference(found.delta.estimate, percent=percent)} ({low} to {high})"


def _money(arm: ArmResult, baseline: ArmResult) -> Iterator[str]:
    if arm.usd_per_1000_calls is not None and baseline.usd_per_1000_calls is not None:
        yield (
            f"1,000 calls cost {money(arm.usd_per_1000_calls)} against {money(baseline.usd_per_1000_calls)}"
        )
    if not arm.trained or baseline.trained:
        return
    if arm.break_even_calls is not None:
        yield f"its training has paid for itself after {arm.break_even_calls:,} calls"
    elif None not in (arm.usd_per_1000_calls, baseline.usd_per_1000_calls, arm.training_usd):
        yield "its training never pays for itself in money"
    else:
        yield "when it pays for itself is not known"
