"""`text_similarity`: values worked out by hand from the papers' formulas. Skipped where a library is not installed."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.graders import Sample, parse

TEXT, REFERENCE = "the cat sat on the mat", "the cat is on the mat"


def graded(metric: str, text: str, reference: str) -> float:
    body = {
        "type": "text_similarity",
        "name": "closeness",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.text }}",
        "evaluation_metric": metric,
    }
    value = parse(body).grade(Sample(text), {"text": reference}).value
    assert value is not None
    return value


def library(name: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'tunekit[graders]'")


def test_rouge_by_hand() -> None:
    library("rouge_score")
    # 5 of 6 words in common, 3 of 5 pairs, 1 of 4 triples, none of 3; the longest common subsequence has 5 words.
    found = [
        graded(name, TEXT, REFERENCE) for name in ("rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_l")
    ]
    assert found == pytest.approx([5 / 6, 3 / 5, 1 / 4, 0.0, 5 / 6], abs=1e-9)
    # Precision 2/3 and recall 2/4.
    assert graded("rouge_1", "a b c", "a b d e") == pytest.approx(
        2 * 2 / 3 * 1 / 2 / (2 / 3 + 1 / 2), abs=1e-9
    )
    assert graded("rouge_5", TEXT, TEXT) == 1.0


@given(st.text("aAb1 .é", max_size=60), st.text("aAb1 .é", max_size=60))
@settings(max_examples=100, deadline=None)
def test_rouge_l_is_googles(text: str, reference: str) -> None:
    library("rapidfuzz")
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    assert graded("rouge_l", text, reference) == scorer.score(reference, text)["rougeL"].fmeasure


def test_rouge_l_keeps_no_table_of_all_pairs_of_words() -> None:
    library("rouge_score")
    library("rapidfuzz")
    graded("rouge_l", TEXT, REFERENCE)  # whatever a library keeps
    tracemalloc.start()
    try:
        assert graded("rouge_l", "a b " * 1000, "b a " * 1000) == pytest.approx(1999 / 2000)
        assert (
            tracemalloc.get_traced_memory()[1] < 4_000_000
        )  # of a table: 2,000 times 2,000 references of 8 bytes
    finally:
        tracemalloc.stop()


def test_bleu_by_hand() -> None:
    library("sacrebleu")
    # Matches of 1 to 4 words; nothing of 4 words matches, which exponential smoothing counts as half a match of 3.
    logs = [math.log(share) for share in (5 / 6, 3 / 5, 1 / 4, 1 / 2 / 3)]
    assert graded("bleu", TEXT, REFERENCE) == pytest.approx(math.exp(math.fsum(logs) / 4), abs=1e-9)
    # Half as long: brevity penalty exp(1 - 8/4), and all that there is matches.
    assert graded("bleu", "a b c d", "a b c d e f g h") == pytest.approx(math.exp(1 - 8 / 4), abs=1e-9)


def test_gleu_by_hand() -> None:
    library("nltk")
    library("sacrebleu")
    # 5 + 3 + 1 + 0 common n-grams of up to four words, of 6 + 5 + 4 + 3 in either text.
    assert graded("gleu", TEXT, REFERENCE) == pytest.approx(9 / 18, abs=1e-9)


def test_meteor_by_hand() -> None:
    library("nltk")
    library("sacrebleu")
    # 5 of 6 words match, in 2 chunks: F = 5/6, penalty 0.5 * (2/5)^3.
    assert graded("meteor", TEXT, REFERENCE) == pytest.approx(5 / 6 * (1 - 0.5 * (2 / 5) ** 3), abs=1e-9)
    # Stems match too, and synonyms do not.
    assert graded("meteor", "cats run", "cat runs") == pytest.approx(1 - 0.5 * (1 / 2) ** 3, abs=1e-9)
    assert graded("meteor", "car", "automobile") == 0.0


def test_fuzzy_match_ignores_case_and_order_of_a_few_letters() -> None:
    library("rapidfuzz")
    assert graded("fuzzy_match", "John Doe", "john doe!") == 1.0
    # Of 10 and 10 letters, one is replaced: 2 edits by insertion and deletion out of 20.
    assert graded("fuzzy_match", "abcdefghij", "abcdefghiX") == pytest.approx(0.9, abs=1e-9)
    assert graded("fuzzy_match", "abc", "xyz") == 0.0


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_l"])
def test_equal_texts_are_no_more_than_equal(metric: str) -> None:
    """sqrt(1 - x) has no value for what rounding has left above 1."""
    for name in ("rapidfuzz", "sacrebleu", "nltk", "rouge_score"):
        library(name)
    for text in (TEXT, "x", "x y"):
        assert graded(metric, text, text) == 1.0


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_l"])
def test_empty_texts_have_a_grade(metric: str) -> None:
    for name in ("rapidfuzz", "sacrebleu", "nltk", "rouge_score"):
        library(name)
    assert graded(metric, "", "something") == 0.0
