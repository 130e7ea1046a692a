"""The table of corpus metrics: what a stored record needs to be compared. And perplexity, which only it holds."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import EvaluationError
from tunekit.evaluation.metrics import bleu, calibration, classification, likelihood, multilabel
from tunekit.evaluation.metrics.counts import Counts, added, read
from tunekit.evaluation.metrics.table import CORPUS

N_ITEMS = 40
WORDS = ("the", "cat", "sat", "on", "a", "mat")


def items_of(family: str, draws: random.Random) -> list[Counts]:
    """What items of a test would store."""

    def label() -> str:
        return draws.choice("abc")

    def text() -> str:
        return " ".join(draws.choices(WORDS, k=draws.randint(1, 9)))

    def one() -> Counts:
        match family:
            case "classification":
                return classification.counts_of(label(), draws.choice("abcd"), "abc")
            case "multilabel":
                return multilabel.counts_of({label()}, {label(), label()}, "abc")
            case "calibration":
                row = {name: draws.uniform(-5, 0) for name in "abc"}
                return calibration.counts_of(calibration.softmax(row), label())
            case "bleu":
                return bleu.bleu_counts(text(), [text()])
            case "chrf":
                return bleu.chrf_counts(text(), [text()])
            case "chrf++":
                return bleu.chrf_plus_counts(text(), [text()])
            case "likelihood":
                return likelihood.counts_of(-draws.uniform(1, 50), draws.randint(1, 9), text())
            case _:
                raise AssertionError(f"no items for {family}")

    return [one() for _ in range(N_ITEMS)]


@pytest.mark.parametrize("name", CORPUS)
def test_a_stored_record_gives_the_same_number_in_its_range(name: str) -> None:
    metric = CORPUS[name]
    if metric.counts in ("bleu", "chrf", "chrf++"):
        pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: pip install 'tunekit[graders]'")
    draws = random.Random(7)
    items = items_of(metric.counts, draws)
    value = metric.compute(added(items))
    assert metric.name == name and metric.low <= value <= metric.high and math.isfinite(value)
    stored = json.loads(json.dumps(items))
    assert stored == items and all(type(number) is float for counts in items for number in counts.values())
    halves = [added(stored[: N_ITEMS // 2]), added(stored[N_ITEMS // 2 :])]
    assert metric.compute(added(halves)) == pytest.approx(value, abs=1e-9)
    assert metric.compute(added(draws.sample(stored, N_ITEMS))) == value
    # Resampling draws items with repetition; every such sample has a value too.
    for _ in range(20):
        assert metric.low <= metric.compute(added(draws.choices(stored, k=N_ITEMS))) <= metric.high
    with pytest.raises(EvaluationError):
        metric.compute({})


PERFECT = {
    "classification": [classification.counts_of(name, name, "abc") for name in "abcab"],
    "multilabel": [multilabel.counts_of({name}, {name}, "abc") for name in "abcab"],
    "calibration": [calibration.counts_of({"a": 1.0, "b": 0.0}, "a")] * 3,
    "likelihood": [likelihood.counts_of(0.0, 3, "abc")],
}
POOR = {
    "classification": [classification.counts_of(a, b, "abc") for a, b in ("ab", "bc", "ca")],
    "multilabel": [multilabel.counts_of({a}, {b}, "abc") for a, b in ("ab", "bc", "ca")],
    "calibration": [calibration.counts_of({"a": 1.0, "b": 0.0}, "b")] * 3,
    "likelihood": [likelihood.counts_of(-30.0, 3, "abc")],
}


@pytest.mark.parametrize("name", [name for name, metric in CORPUS.items() if metric.counts in PERFECT])
def test_direction_and_best_value_are_as_stated(name: str) -> None:
    metric = CORPUS[name]
    best, poor = (metric.compute(added(items[metric.counts])) for items in (PERFECT, POOR))
    assert best == pytest.approx(metric.high if metric.higher_is_better else metric.low)
    assert (best > poor) == metric.higher_is_better


def test_the_same_text_has_the_best_bleu_and_chrf() -> None:
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: pip install 'tunekit[graders]'")
    text = "the cat sat on the mat"
    for name, count in (
        ("bleu", bleu.bleu_counts),
        ("chrf", bleu.chrf_counts),
        ("chrf++", bleu.chrf_plus_counts),
    ):
        assert CORPUS[name].compute(count(text, [text])) == pytest.approx(CORPUS[name].high)


def test_names_are_the_fields() -> None:
    for name in (
        "accuracy",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "mcc",
        "ece",
        "brier",
        "bleu",
        "chrf",
        "chrf++",
    ):
        assert name in CORPUS
    assert not CORPUS["log_loss"].higher_is_better and CORPUS["mcc"].low == -1.0


@given(
    rows=st.lists(
        st.tuples(st.floats(-200, 0), st.integers(1, 50), st.text(min_size=1)), min_size=1, max_size=20
    )
)
@settings(max_examples=40)
def test_perplexity_is_its_definition(rows: list[tuple[float, int, str]]) -> None:
    counts = added(likelihood.counts_of(*row) for row in rows)
    nats = -sum(log_prob for log_prob, _, _ in rows)
    n_bytes = sum(len(text.encode()) for *_, text in rows)
    assert likelihood.token_perplexity(counts) == pytest.approx(math.exp(nats / sum(n for _, n, _ in rows)))
    assert likelihood.byte_perplexity(counts) == pytest.approx(math.exp(nats / n_bytes))
    assert likelihood.bits_per_byte(counts) == pytest.approx(
        math.log2(likelihood.byte_perplexity(counts)), abs=1e-9
    )


def test_perplexity_of_what_is_no_likelihood() -> None:
    assert likelihood.token_perplexity(likelihood.counts_of(-1e6, 1, "a")) == math.inf
    assert (
        likelihood.counts_of(-1.0, 1, "\ud800")["bytes"] == 3.0
    )  # as many as any other character of its range
    for log_prob, tokens in ((0.1, 1), (-math.inf, 1), (math.nan, 1), (-1.0, 0)):
        with pytest.raises(EvaluationError, match="log-probability"):
            likelihood.counts_of(log_prob, tokens, "a")
    with pytest.raises(EvaluationError, match="'bytes' is 0"):
        likelihood.byte_perplexity(likelihood.counts_of(-1.0, 1, ""))


def test_sums_do_not_depend_on_the_order() -> None:
    draws = random.Random(5)
    items = [{"x": draws.uniform(-1, 1) * 10 ** draws.randint(-9, 9)} for _ in range(500)]
    assert added(items) == added(draws.sample(items, len(items)))
    assert added([]) == {}
    with pytest.raises(EvaluationError, match="'y' is 0"):
        read({"x": 1.0}, "y")
