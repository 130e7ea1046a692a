"""Comparisons by metrics of the whole test, by metrics of which less is better, and of several scorers at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.results import Evaluation, ItemResult
from tunekit.evaluation.stats.means import mean_and_error

if TYPE_CHECKING:
    from pydantic import JsonValue

CLASSES = ["billing", "delivery", "other"]
REFERENCES = [CLASSES[at * at % 3 if at % 5 else 2] for at in range(150)]


def predicted(wrong_every: int) -> list[str]:
    return [
        CLASSES[(CLASSES.index(reference) + 1) % 3] if at % wrong_every == 0 else reference
        for at, reference in enumerate(REFERENCES)
    ]


def f1(model: str, predictions: list[str], references: list[str] = REFERENCES) -> Evaluation:
    return stored(model, classified(references, predictions), corpus="f1_macro")


def test_macro_f1_is_compared_by_resampling_items_and_exchanging_answers() -> None:
    a, b = f1("a", predicted(3)), f1("b", predicted(11))
    found = compare_evaluations(a, b)["score"]
    counts = [[item.counts["score"] for item in side.items] for side in (a, b)]
    compute, enough = CORPUS["f1_macro"].compute, CORPUS["f1_macro"].enough
    resampled = [[enough(each) for each in side] for side in counts]
    expected = stats.resampled_difference(compute, *resampled, bounds=(0.0, 1.0))
    assert found.delta == expected.interval
    whole = stats.resampled_difference(
        compute, *counts, bounds=(0.0, 1.0)
    ).interval  # other draws of the same items
    assert (found.delta.low, found.delta.high) == pytest.approx((whole.low, whole.high), abs=0.01)
    assert found.method == expected.method == "BCa bootstrap"
    assert (found.p_value, found.test) == (
        stats.randomisation(compute, *resampled),
        "approximate randomisation",
    )
    assert found.delta.estimate == pytest.approx(found.b.value.estimate - found.a.value.estimate)
    assert found.a.kind == "corpus" and found.verdict == "better"
    # An average over items would be the accuracy; the test is too uneven for that to be the macro F1.
    share = sum(item.scores["score"] for item in b.items) / len(b.items)
    assert found.b.value.estimate != pytest.approx(share, abs=1e-6)
    assert found.se is not None and found.detectable is not None and found.items_needed is not None
    assert found.items_needed <= 150


def test_macro_f1_is_over_the_items_that_both_were_scored_on() -> None:
    a, b = f1("a", predicted(3)), f1("b", predicted(11))
    failed = [ItemResult(id=f"#{at}", errors={"score": "timeout"}) for at in range(100, 150)]
    cut = stored("b", [*b.items[:100], *failed], corpus="f1_macro")
    found = compare_evaluations(a, cut, Rule(max_error_rate=1.0))["score"]
    short = compare_evaluations(
        f1("a", predicted(3)[:100], REFERENCES[:100]), f1("b", predicted(11)[:100], REFERENCES[:100])
    )["score"]
    assert (found.n_paired, found.delta, found.p_value) == (100, short.delta, short.p_value)
    assert found.only_a == tuple(f"#{at}" for at in range(100, 150))
    assert found.only_b == ()


def test_a_metric_of_the_whole_test_without_counts_is_refused() -> None:
    a, b = f1("a", predicted(3)), f1("b", predicted(11))
    bare = b.model_copy(update={"items": tuple(item.model_copy(update={"counts": {}}) for item in b.items)})
    with pytest.raises(EvaluationError, match="no counts"):
        compare_evaluations(a, bare)


def test_a_metric_that_nobody_knows_is_refused() -> None:
    a = f1("a", predicted(3))
    odd = a.model_copy(update={"metrics": {"score": a["score"].model_copy(update={"corpus": "f9_macro"})}})
    with pytest.raises(EvaluationError, match="f9_macro"):
        compare_evaluations(odd, odd)


def test_a_scorer_that_changed_its_meaning_is_refused() -> None:
    items = scored([0.1, 0.2, 0.4])
    with pytest.raises(EvaluationError, match="higher is better against a mean, lower is better"):
        compare_evaluations(stored("a", items), stored("b", items, higher_is_better=False))


def test_less_is_better_turns_the_verdict_and_the_wins_and_no_number() -> None:
    a = [10.0 + at % 7 for at in range(60)]
    b = [value - 1.0 - 0.1 * (at % 3) for at, value in enumerate(a)]
    b[5] = a[5] + 1.0
    more = compare_evaluations(stored("a", scored(a)), stored("b", scored(b)))["score"]
    less = compare_evaluations(
        stored("a", scored(a), higher_is_better=False), stored("b", scored(b), higher_is_better=False)
    )["score"]
    assert less.delta == more.delta and less.delta.high < 0
    assert (more.verdict, less.verdict) == ("worse", "better")
    assert (less.wins, less.losses, less.newly_broken) == (more.losses, more.wins, ("#5",))
    assert not less.higher_is_better


def test_margins_of_a_metric_of_which_less_is_better() -> None:
    a = [10.0 + at % 7 for at in range(60)]
    b = [value - 1.0 - 0.1 * (at % 3) for at, value in enumerate(a)]
    old, new = (stored(name, scored(each), higher_is_better=False) for name, each in (("a", a), ("b", b)))

    def verdict(**rule: float) -> str:
        return compare_evaluations(old, new, Rule(**rule))["score"].verdict

    assert verdict(min_gain=1.0) == "better"
    assert verdict(min_gain=1.1) == "inconclusive"
    assert verdict(margin=2.0) == "equivalent"


def several(model: str, columns: dict[str, list[float]]) -> Evaluation:
    rows = zip(*columns.values(), strict=True)
    items = [
        ItemResult(id=f"#{at}", scores=dict(zip(columns, row, strict=True))) for at, row in enumerate(rows)
    ]
    one = stored(model, items, name=next(iter(columns)))
    scorers = {name: {"type": "t"} for name in columns}
    return one.model_copy(
        update={
            "metrics": {name: metric_of(items, name) for name in columns},
            "provenance": one.provenance.model_copy(update={"scorers": scorers}),
        }
    )


def test_p_values_of_several_scorers_are_corrected_together() -> None:
    base = [0.0] * 60 + [1.0] * 40
    a = several("a", {"one": base, "two": base, "three": base})
    b = several(
        "b",
        {
            "one": [1.0] * 20 + base[20:],
            "two": [1.0] * 8 + base[8:60] + [0.0] * 2 + base[62:],
            "three": base,
        },
    )
    report = compare_evaluations(a, b)
    raw = [found.p_value for found in report.metrics.values()]
    assert [found.p_adjusted for found in report.metrics.values()] == stats.holm(raw)
    assert report["two"].p_adjusted > report["two"].p_value
    alone = compare_evaluations(several("a", {"two": base}), several("b", {"two": [1.0] * 8 + base[8:]}))[
        "two"
    ]
    assert alone.p_adjusted == alone.p_value


def test_what_a_build_does_with_it() -> None:
    base, half = [0.0] * 100, [0.0] * 50 + [1.0] * 50
    a = several("a", {"quality": base, "safety": half, "tone": half})
    b = several("b", {"quality": half, "safety": half, "tone": half[::-1]})
    with_margin = compare_evaluations(a, b, Rule(margin=0.05))
    assert [found.verdict for found in with_margin.metrics.values()] == [
        "better",
        "equivalent",
        "inconclusive",
    ]
    assert [with_margin.exit_code_of(name) for name in with_margin.names] == [0, 0, 2]
    assert with_margin.exit_code == 2
    with_margin.assert_passes("quality")
    with_margin.assert_passes("safety")
    with pytest.raises(AssertionError, match=r"tone is inconclusive\na  table:a"):
        with_margin.assert_passes("tone")
    with pytest.raises(AssertionError, match="quality is better, safety is equivalent, tone is inconclusive"):
        with_margin.assert_passes()
    asked = compare_evaluations(a, b, Rule(margin=0.05, min_gain=0.1))
    assert asked["safety"].verdict == "equivalent"
    assert [asked.exit_code_of(name) for name in asked.names] == [0, 1, 2]
    assert asked.exit_code == 1
    assert compare_evaluations(b, a).exit_code_of("quality") == 1


def test_odds_and_standard_error_of_right_or_wrong() -> None:
    a, b = [1.0] * 55 + [0.0] * 45, [1.0] * 52 + [0.0] * 3 + [1.0] * 5 + [0.0] * 40
    found = compare_evaluations(stored("a", scored(a)), stored("b", scored(b)))["score"]
    assert found.odds_ratio == pytest.approx(5 / 3)
    gaps = [new - old for old, new in zip(a, b, strict=True)]
    _, error = mean_and_error(gaps)
    assert found.se == pytest.approx(error)
    never_worse = compare_evaluations(
        stored("a", scored([0.0] * 9 + [1.0])), stored("b", scored([1.0] * 10))
    )["score"]
    assert never_worse.odds_ratio == math.inf
    same = compare_evaluations(stored("a", scored(a)), stored("b", scored(a)))["score"]
    assert (same.odds_ratio, same.se) == (None, None)


def test_tokens_and_seconds_beside_the_verdict() -> None:
    def used(factor: int) -> list[ItemResult]:
        return [
            item.model_copy(
                update={"input_tokens": 100 + at, "output_tokens": factor * (at + 1), "seconds": 0.5 * factor}
            )
            for at, item in enumerate(scored([1.0] * 10))
        ]

    report = compare_evaluations(stored("a", used(1)), stored("b", used(3)))
    found = {change.name: (change.a, change.b, change.delta.estimate) for change in report.changes}
    assert found["output tokens per item"] == (5.5, 16.5, 11.0)
    assert found["seconds per item"] == (0.5, 1.5, 1.0)
    assert found["input tokens per item"][2] == 0.0
    assert compare_evaluations(stored("a", scored([1.0])), stored("b", scored([1.0]))).changes == ()


def test_calibration_beside_the_verdict() -> None:
    choices: dict[str, JsonValue] = {"choices": ["no", "yes"]}

    def sure(share: float) -> list[ItemResult]:
        return [
            ItemResult(
                id=f"#{at}",
                reference="yes" if at % 4 else "no",
                scores={"score": float(at % 4 > 0)},
                choices={"score": "yes"},
                log_probs={"score": (math.log(1 - share), math.log(share))},
            )
            for at in range(200)
        ]

    found = compare_evaluations(
        stored("a", sure(0.99), config=choices), stored("b", sure(0.75), config=choices)
    )
    change = found["score"].calibration
    assert change is not None
    assert [change.a, change.b] == pytest.approx([0.24, 0.0], abs=1e-9)
    assert change.delta.high < 0
    assert compare_evaluations(stored("a", sure(0.9)), stored("b", sure(0.8)))["score"].calibration is None


def test_a_stored_comparison_has_both_evaluations() -> None:
    a, b = f1("a", predicted(3)), f1("b", predicted(11))
    report = compare_evaluations(a, b)
    again = Comparison.from_json(report.to_json())
    assert again == report
    assert again.evaluations == (a, b)
    assert compare_evaluations(*again.evaluations) == report
    assert "ItemResult" not in repr(report)
