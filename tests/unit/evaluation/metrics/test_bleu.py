"""BLEU and chrF from summed counts: sacrebleu's own corpus values, to the last bit."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import EvaluationError, MissingExtraError, SpecError
from tunekit.evaluation.metrics import bleu, texts
from tunekit.evaluation.metrics.counts import added

sacrebleu = pytest.importorskip(
    "sacrebleu", reason="sacrebleu is not installed: pip install 'tunekit[graders]'"
)

words = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "mat", ".", "Is", "猫", "は", "naïve", "(x)", "\ud800", "1,000"]),
    max_size=9,
)  # fmt: skip
sentences = words.map(" ".join) | st.text(max_size=8)
corpora = st.integers(1, 3).flatmap(
    lambda references: st.lists(
        st.tuples(sentences, st.lists(sentences, min_size=references, max_size=references)),
        min_size=1,
        max_size=6,
    )
)
Corpus = list[tuple[str, list[str]]]


def columns(corpus: Corpus) -> tuple[list[str], list[list[str]]]:
    return [answer for answer, _ in corpus], [
        list(refs) for refs in zip(*(refs for _, refs in corpus), strict=True)
    ]


@given(corpus=corpora, tokenize=st.sampled_from(bleu.TOKENIZERS), lowercase=st.booleans())
@settings(max_examples=80)
def test_bleu_is_sacrebleus(corpus: Corpus, tokenize: str, lowercase: bool) -> None:
    items = [bleu.bleu_counts(*item, tokenize=tokenize, lowercase=lowercase) for item in corpus]
    expected = sacrebleu.corpus_bleu(*columns(corpus), tokenize=tokenize, lowercase=lowercase, force=True)
    assert bleu.bleu(added(items)) == expected.score
    for (answer, references), counts in zip(corpus, items, strict=True):
        sentence = sacrebleu.sentence_bleu(answer, references, tokenize=tokenize, lowercase=lowercase)
        assert bleu.sentence_bleu(counts) == sentence.score


@given(corpus=corpora, lowercase=st.booleans())
@settings(max_examples=60)
def test_chrf_is_sacrebleus(corpus: Corpus, lowercase: bool) -> None:
    for word_order, count, compute in (
        (0, bleu.chrf_counts, bleu.chrf),
        (2, bleu.chrf_plus_counts, bleu.chrf_plus),
    ):
        items = [count(*item, lowercase=lowercase) for item in corpus]
        metric = sacrebleu.CHRF(word_order=word_order, lowercase=lowercase)
        assert compute(added(items)) == metric.corpus_score(*columns(corpus)).score
        for item, counts in zip(corpus, items, strict=True):
            assert compute(counts) == metric.sentence_score(*item).score


@given(corpus=corpora)
@settings(max_examples=20)
def test_counts_add_up_in_any_order(corpus: Corpus) -> None:
    items = [bleu.bleu_counts(*item) for item in corpus]
    shuffled = random.Random(0).sample(items, len(items))
    assert added(shuffled) == added(items) == added([added(items[:1]), *items[1:]])


def test_languages_without_spaces_need_their_tokenizer() -> None:
    same_but_one = ("我喜欢吃苹果和香蕉", ["我喜欢吃苹果和橘子"])
    whole = {
        name: bleu.bleu(bleu.bleu_counts(*same_but_one, tokenize=name)) for name in ("13a", "zh", "char")
    }
    assert whole["13a"] == 0.0 and whole["zh"] == whole["char"] > 60.0
    assert bleu.chrf(bleu.chrf_counts(*same_but_one)) > 50.0


def test_empty_texts_have_a_value() -> None:
    for answer, reference in (("", "a b"), ("a b", ""), ("", "")):
        assert bleu.bleu(bleu.bleu_counts(answer, [reference])) == 0.0
        assert bleu.chrf(bleu.chrf_counts(answer, [reference])) == 0.0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(EvaluationError, match="100,001 characters"):
        bleu.bleu_counts("x" * 100_001, ["x"])
    with pytest.raises(EvaluationError, match="100,001 characters"):
        bleu.chrf_counts("x", ["x", "x" * 100_001])
    nothing: list[str] = []
    for references in (nothing, "a text"):
        with pytest.raises(EvaluationError, match="no list"):
            bleu.bleu_counts("x", references)
    with pytest.raises(SpecError, match="spm"):
        bleu.bleu_counts("x", ["x"], tokenize="spm")  # would download a model
    for metric in (bleu.bleu, bleu.sentence_bleu, bleu.chrf, bleu.chrf_plus):
        with pytest.raises(EvaluationError, match="nothing"):
            metric({})


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = bleu.bleu_counts("the cat sat", ["the cat sat"])
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
    with pytest.raises(MissingExtraError, match="sacrebleu") as caught:
        bleu.bleu_counts("x", ["x"])
    assert "tunekit[graders]" in caught.value.hint
    # What is stored can be compared without it.
    assert bleu.sentence_bleu(stored) == pytest.approx(100.0)


@pytest.mark.parametrize("piece", ["x ", "1,", "&quot;", "猫", "\ud800"])
def test_the_longest_hostile_texts_take_seconds(piece: str) -> None:
    text = piece * (texts.MAX_TEXT_CHARS // len(piece))
    started = time.process_time()
    for tokenize in bleu.TOKENIZERS:
        bleu.bleu_counts(text, [text[: len(text) // 2]], tokenize=tokenize)
    bleu.chrf_plus_counts(text, [text[: len(text) // 2]])
    assert time.process_time() - started < 20.0
