"""Cost, warnings, failures and provenance. Knows what results keep about themselves; invents no price."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from tunekit.evaluation.comparison import Change, Comparison
from tunekit.evaluation.report.html.markup import data, facts, folded, listed, more, section, table, text
from tunekit.evaluation.report.numbers import interval, number
from tunekit.evaluation.results import Evaluation

_MOST_REASONS = 10


def costs(sides: Sequence[tuple[str, Evaluation]], changes: Sequence[Change] = ()) -> Iterator[str]:
    """Tokens, time and money of each model, and what changed for an item."""
    rows = [
        (
            text(label),
            f"{evaluation.input_tokens:,}",
            f"{evaluation.output_tokens:,}",
            f"{evaluation.seconds:,.1f}",
            _usd(evaluation),
        )
        for label, evaluation in sides
    ]
    header = ("model", "input tokens", "output tokens", "seconds", "US dollars")
    parts = [table("Of the whole evaluation; 0 tokens where the backend counts none", header, rows)]
    if changes:
        parts.append(
            table(
                "For an item, over the items where both are known",
                ("quantity", "b minus a", "a", "b"),
                [_change(change) for change in changes],
            )
        )
    return section("cost", "Cost", parts)


def warnings(texts: Iterable[str]) -> Iterator[str]:
    """What to know before believing the numbers."""
    found = list(texts)
    return section("warnings", "Know before believing it", [listed(map(data, found))] if found else [])


def failures(sides: Sequence[tuple[str, Evaluation]]) -> Iterator[str]:
    """Why items could not be asked or scored, the commonest reason first."""
    return section("failures", "Items without a score", _failures(sides))


def provenance(
    sides: Sequence[tuple[str, Evaluation]], comparison: Comparison | None = None
) -> Iterator[str]:
    """What was evaluated, on what, and how."""
    first = sides[0][1].provenance
    pairs = [
        ("test set", f"<code>{text(first.test_fingerprint)}</code>, {first.n_items:,} items"),
        ("sampling", f"<code>{text(first.sampling)}</code>"),
    ]
    if comparison:
        pairs += [("margin", f"{comparison.margin:g}"), ("gain asked", f"{comparison.min_gain:g}")]
    for label, evaluation in sides:
        pairs += [(f"{label}{label and ': '}{name}", html) for name, html in _made(evaluation)]
    pairs += [
        (f"scorer {name}", folded(json.dumps(config, ensure_ascii=False, sort_keys=True)))
        for name, config in first.scorers.items()
    ]
    return section("provenance", "How this was made", [facts(pairs)])


def _made(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    yield "model", data(evaluation.title)
    if arm := evaluation.arm:
        shown = f", {arm.k} demonstrations ({text(arm.selection)})" if arm.k else ""
        yield "asked", f"{data(arm.name)} ({text(arm.kind)}{shown})"
        if arm.template_hash:
            yield "template", f"<code>{text(arm.template_hash)}</code>"
    if evaluation.reused:
        yield "known before", f"{evaluation.reused:,} answers"
    if evaluation.opening:
        yield "sealed test", text(evaluation.opening)
    if evaluation.leakage:
        yield "training data", data(evaluation.leakage)
    yield "made", f"{_day(evaluation.created_at)}, tunekit {text(evaluation.tunekit_version)}"


def _failures(sides: Sequence[tuple[str, Evaluation]]) -> Iterator[str]:
    for label, evaluation in sides:
        reasons: Counter[tuple[str, str]] = Counter()
        for item in evaluation.items:
            reasons.update(item.errors.items())
        ranked = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        if not ranked:
            continue
        rows = [
            (data(name), folded(reason), f"{count:,}") for (name, reason), count in ranked[:_MOST_REASONS]
        ]
        title = f"Of {label}, by reason" if label else "By reason"
        yield table(title, ("scorer", "reason", "items"), rows, words=2)
        yield more(len(ranked) - len(rows), "reasons")


def _change(change: Change) -> tuple[str, ...]:
    delta = interval(change.delta, signed=True, percent=False)
    return text(change.name), text(delta), number(change.a), number(change.b)


def _usd(evaluation: Evaluation) -> str:
    """By the price that the arm names; it is not known otherwise."""
    arm = evaluation.arm
    if arm is None or arm.price is None:
        return "not known"
    usd = arm.price.usd(
        calls=arm.calls or len(evaluation.items),
        input_tokens=evaluation.input_tokens,
        output_tokens=evaluation.output_tokens,
        seconds=evaluation.seconds if arm.asking_s is None else arm.asking_s,
    )
    return f"{usd:,.4f}"


def _day(unix_s: float) -> str:
    try:
        return datetime.fromtimestamp(unix_s, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):  # a stored number may be any
        return f"at {unix_s:g} Unix seconds"
