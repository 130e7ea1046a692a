"""ROUGE, METEOR and edit distance: the libraries' own values, bounded on what is hostile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import EvaluationError, MissingExtraError, SpecError
from tunekit.evaluation.metrics import text as metrics
from tunekit.evaluation.metrics import texts


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'tunekit[graders]'")


meteor_score = library("nltk.translate.meteor_score").meteor_score
Levenshtein = library("rapidfuzz.distance").Levenshtein
RougeScorer = library("rouge_score.rouge_scorer").RougeScorer
Tokenizer13a = library("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a

words = st.lists(
    st.sampled_from(
        ["the", "Cats", "cat", "running", "ran", "\n", "\n", "a", "naïve", "猫", "\ud800", "x-1"]
    ),
    max_size=9,
)
texts_of_words = words.map(" ".join) | st.text(max_size=10)
references = st.lists(texts_of_words, min_size=1, max_size=3)


class NoWordNet:
    def synsets(self, word: str) -> list[str]:
        return []


@given(answer=texts_of_words, refs=references, stemmer=st.booleans())
@settings(max_examples=60)
def test_rouge_is_rouge_scores(answer: str, refs: list[str], stemmer: bool) -> None:
    found = metrics.rouge(answer, refs, stemmer=stemmer)
    expected = RougeScorer(list(metrics.ROUGE), use_stemmer=stemmer).score_multi(refs, answer)
    for kind in metrics.ROUGE:
        score = found[kind]
        assert (score.precision, score.recall, score.f1) == pytest.approx(tuple(expected[kind]), abs=1e-12)


@given(answer=texts_of_words, refs=references)
@settings(max_examples=60)
def test_meteor_is_nltks_without_synonyms(answer: str, refs: list[str]) -> None:
    split = Tokenizer13a()
    expected = meteor_score([split(ref).split() for ref in refs], split(answer).split(), wordnet=NoWordNet())
    assert metrics.meteor(answer, refs) == pytest.approx(expected, abs=1e-12)


@given(answer=st.text(max_size=12), refs=st.lists(st.text(max_size=12), min_size=1, max_size=3))
@settings(max_examples=60)
def test_edit_distance_is_rapidfuzzs_and_the_definition(answer: str, refs: list[str]) -> None:
    assert metrics.edit_distance(answer, refs) == min(Levenshtein.distance(answer, ref) for ref in refs)
    expected = max(Levenshtein.normalized_similarity(answer, ref) for ref in refs)
    assert metrics.edit_similarity(answer, refs) == pytest.approx(expected, abs=1e-12)
    row = list(range(len(refs[0]) + 1))
    for letter in answer:
        last, row = row, [row[0] + 1]
        for at, other in enumerate(refs[0]):
            row.append(min(row[at] + 1, last[at + 1] + 1, last[at] + (letter != other)))
    assert metrics.edit_distance(answer, refs[:1]) == row[-1]


def test_rouge_reads_every_script_when_told_to() -> None:
    for text in ("猫在垫子上", "Это кошка", "แมวนั่ง", "यह बिल्ली है"):
        wanted: dict[metrics.Tokenize, float] = {"latin": 0.0, "words": 1.0, "char": 1.0}
        for tokenize, score in wanted.items():
            found = metrics.rouge(text, [text], tokenize=tokenize, kinds=["rouge1", "rougeL"])
            assert found["rouge1"].f1 == found["rougeL"].f1 == score
        assert "drops 100 %" in (metrics.rouge_warning(text) or "")
    assert metrics.rouge("यह बिल्ली", ["यह कुत्ता"], tokenize="words", kinds=["rouge1"])["rouge1"].f1 == 0.5
    for text in ("The cat, 3 mats.", "a naïve remark of some length", "", "?!"):
        assert metrics.rouge_warning(text) is None


def test_what_cannot_be_measured_is_refused() -> None:
    long = "w " * 2_001
    for measure in (metrics.rouge, metrics.meteor):
        with pytest.raises(EvaluationError, match="4,004,001 pairs"):
            measure(long, [long])
    for measure in (metrics.rouge, metrics.meteor, metrics.edit_distance, metrics.edit_similarity):
        with pytest.raises(EvaluationError, match="100,001 characters"):
            measure("x" * (texts.MAX_TEXT_CHARS + 1), ["x"])
        with pytest.raises(EvaluationError, match="no list"):
            measure("x", [])
    with pytest.raises(SpecError, match="stemmer"):
        metrics.rouge("x", ["x"], tokenize="char", stemmer=True)
    with pytest.raises(SpecError, match="rougeX"):
        metrics.rouge("x", ["x"], kinds=["rougeX"])  # type: ignore[list-item]
    with pytest.raises(SpecError, match="tokenize"):
        metrics.rouge("x", ["x"], tokenize="thai")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "package"), [("rouge_score.rouge_scorer", "rouge-score"), ("rapidfuzz.distance", "rapidfuzz")]
)
def test_without_the_library_the_extra_is_named(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    measure = metrics.rouge if "rouge" in module else metrics.edit_distance
    with pytest.raises(MissingExtraError, match=package) as caught:
        measure("x", ["x"])
    assert "tunekit[graders]" in caught.value.hint


@pytest.mark.parametrize("piece", ["x", "y", "xy ", "\n", "-", "!", "_", "猫", "\ud800", "\u0301"])
def test_the_longest_hostile_texts_take_seconds(piece: str) -> None:
    text = piece * (texts.MAX_TEXT_CHARS // len(piece))
    started = time.process_time()
    assert metrics.edit_distance(text, [text[:-1] + "z"]) == 1
    tokenizers: tuple[metrics.Tokenize, ...] = ("latin", "words", "char")
    calls: list[Callable[[], object]] = [
        partial(metrics.rouge, text, [text], tokenize=name) for name in tokenizers
    ]
    calls.append(partial(metrics.meteor, text, [text]))
    for call in calls:
        with suppress(EvaluationError):  # of too many words; the time it takes to find out counts too
            call()
    assert time.process_time() - started < 20.0
