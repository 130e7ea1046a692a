"""Metrics on real labels, probabilities and texts: the numbers of scikit-learn, sacrebleu, rouge-score and nltk."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

import tunekit as tk
from tunekit.evaluation.metrics import (
    abstention,
    bleu,
    calibration,
    classification,
    multilabel,
    numeric,
    temperature,
)
from tunekit.evaluation.metrics import text as texts
from tunekit.evaluation.metrics.counts import Counts, added
from tunekit.examples import CompletionExample, LabelledExample, PreferenceExample

pytestmark = pytest.mark.real

Texts = list[tuple[str, str]]


class Predictions(NamedTuple):
    """What naive Bayes makes of banking77's test split: fast, deterministic, and too sure of itself."""

    labels: list[str]
    right: list[str]
    shares: Any
    said: list[str]


def labelled(path: Path) -> tuple[list[str], list[str]]:
    rows = [example for example in tk.Dataset.load(path) if isinstance(example, LabelledExample)]
    return [row.text for row in rows], [str(row.label) for row in rows]


@pytest.fixture(scope="module")
def predictions(shared_data: Path) -> Predictions:
    train, answers = labelled(shared_data / "banking77" / "train.csv")
    test, right = labelled(shared_data / "banking77" / "test.csv")
    words = CountVectorizer()
    model = MultinomialNB(alpha=0.1).fit(words.fit_transform(train), answers)
    shares = model.predict_proba(words.transform(test))
    labels = [str(label) for label in model.classes_]
    return Predictions(labels, right, shares, [labels[at] for at in shares.argmax(axis=1)])


def test_classification_of_banking77(predictions: Predictions) -> None:
    labels, right, shares, said = predictions
    # A model that makes up names for two intents: off the list for scikit-learn too.
    said = [f"no such {name}" if name in labels[:2] else name for name in said]
    counts = added(classification.counts_of(*pair, labels=labels) for pair in zip(right, said, strict=True))
    assert classification.accuracy(counts) == pytest.approx(reference.accuracy_score(right, said), abs=1e-9)
    averages: tuple[classification.Average, ...] = ("micro", "macro", "weighted")
    for average in averages:
        expected = reference.f1_score(right, said, labels=labels, average=average, zero_division=0)
        assert classification.f1(counts, average) == pytest.approx(expected, abs=1e-9)
    one_name = ["off the list" if name.startswith("no such") else name for name in said]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a prediction that is no reference
        balanced = reference.balanced_accuracy_score(right, one_name)
    assert classification.balanced_accuracy(counts) == pytest.approx(balanced, abs=1e-9)
    assert classification.matthews(counts) == pytest.approx(
        reference.matthews_corrcoef(right, one_name), abs=1e-9
    )
    assert classification.kappa(counts) == pytest.approx(
        reference.cohen_kappa_score(right, one_name), abs=1e-9
    )
    assert classification.Confusion.of(counts).off_list == one_name.count("off the list") > 0
    top = [
        classification.top_k_right(label, dict(zip(labels, row, strict=True)), k=5)
        for label, row in zip(right, shares.tolist(), strict=True)
    ]
    assert sum(top) / len(top) == pytest.approx(
        reference.top_k_accuracy_score(right, shares, k=5, labels=labels), abs=1e-9
    )


def test_calibration_of_banking77(predictions: Predictions) -> None:
    labels, right, shares, said = predictions
    rows = [dict(zip(labels, row, strict=True)) for row in shares.tolist()]
    counts = added(calibration.counts_of(row, label) for row, label in zip(rows, right, strict=True))
    assert calibration.log_loss(counts) == pytest.approx(
        reference.log_loss(right, shares, labels=labels), abs=1e-9
    )
    assert calibration.brier_score(counts) == pytest.approx(
        reference.brier_score_loss(right, shares, labels=labels, scale_by_half=False), abs=1e-9
    )
    hits = [name == label for name, label in zip(said, right, strict=True)]
    accuracy, confidence = calibration_curve(hits, shares.max(axis=1), n_bins=15, strategy="uniform")
    bins = calibration.reliability(counts)
    assert [of.accuracy for of in bins] == pytest.approx(accuracy.tolist(), abs=1e-9)
    assert [of.confidence for of in bins] == pytest.approx(confidence.tolist(), abs=1e-9)

    dev = slice(0, None, 2)
    logs = [{name: math.log(max(share, 1e-300)) for name, share in row.items()} for row in rows]
    fitted = temperature.fit(logs[dev], right[dev])
    cooled = added(
        calibration.counts_of(calibration.softmax(row, fitted.value), label)
        for row, label in zip(logs[1::2], right[1::2], strict=True)
    )
    held_out = added(
        calibration.counts_of(row, label) for row, label in zip(rows[1::2], right[1::2], strict=True)
    )
    assert fitted.warning is None and fitted.value > 1.1
    assert calibration.log_loss(cooled) < calibration.log_loss(held_out)
    assert calibration.expected_calibration_error(cooled) < calibration.expected_calibration_error(held_out)
    curve = abstention.risk_coverage(shares.max(axis=1).tolist(), hits)
    threshold = curve.threshold_for(0.95)
    assert threshold is not None and 0.1 < threshold.coverage < 1.0 and threshold.accuracy.low >= 0.95


def test_multilabel_of_the_two_likeliest_intents(predictions: Predictions) -> None:
    labels, right, shares, _ = predictions
    named = [{labels[at] for at in row.argsort()[-2:]} for row in shares]
    truth = [{label} for label in right]
    counts = added(multilabel.counts_of(a, b, labels) for a, b in zip(truth, named, strict=True))
    sides = [[[int(label in item) for label in labels] for item in side] for side in (truth, named)]
    assert multilabel.hamming_loss(counts) == pytest.approx(reference.hamming_loss(*sides), abs=1e-9)
    averages: tuple[multilabel.Average, ...] = ("micro", "macro", "weighted", "samples")
    for average in averages:
        expected = reference.f1_score(*sides, average=average, zero_division=0)
        assert multilabel.f1(counts, average) == pytest.approx(expected, abs=1e-9)
    expected = reference.jaccard_score(*sides, average="samples", zero_division=0)
    assert multilabel.jaccard(counts) == pytest.approx(expected, abs=1e-9)


def preferred(folder: Path) -> Texts:
    """Two models' answers to the same English questions."""
    rows = tk.Dataset.load(folder / "llama_factory_demos" / "dpo_en_demo.json")
    found = [(row.rejected, row.chosen) for row in rows if isinstance(row, PreferenceExample)]
    return [(str(rejected), str(chosen)) for rejected, chosen in found[:150]]


def neighbours(folder: Path, path: str) -> Texts:
    """Answers to different questions, in languages with other letters than a to z."""
    rows = [row.completion for row in tk.Dataset.load(folder / path) if isinstance(row, CompletionExample)][
        :300
    ]
    return list(zip(rows, [*rows[1:], rows[0]], strict=True))


@pytest.mark.parametrize(
    ("path", "tokenizers"),
    [
        ("", ("13a", "intl")),
        ("llama_factory_demos/alpaca_zh_demo.json", ("zh", "char")),
        ("korean_chatbot/ChatbotData.csv", ("13a", "char")),
    ],
)
def test_bleu_and_chrf_of_real_answers(shared_data: Path, path: str, tokenizers: Sequence[str]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs the graders extra")
    pairs = neighbours(shared_data, path) if path else preferred(shared_data)
    answers, references = [list(side) for side in zip(*pairs, strict=True)]
    for tokenize in tokenizers:
        items: list[Counts] = [
            bleu.bleu_counts(answer, [wanted], tokenize=tokenize) for answer, wanted in pairs
        ]
        expected = sacrebleu.corpus_bleu(answers, [references], tokenize=tokenize, force=True).score
        assert bleu.bleu(added(items)) == expected > 0.0
    items = [bleu.chrf_plus_counts(answer, [wanted]) for answer, wanted in pairs]
    assert bleu.chrf_plus(added(items)) == sacrebleu.corpus_chrf(answers, [references], word_order=2).score
    items = [bleu.chrf_counts(answer, [wanted]) for answer, wanted in pairs]
    assert bleu.chrf(added(items)) == sacrebleu.corpus_chrf(answers, [references]).score


def test_rouge_meteor_and_edits_of_real_answers(shared_data: Path) -> None:
    for name in ("rouge_score", "nltk", "rapidfuzz", "sacrebleu"):
        pytest.importorskip(name, reason="needs the graders extra")
    from nltk.translate.meteor_score import meteor_score  # type: ignore[import-untyped]
    from rapidfuzz.distance import Levenshtein
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    scorer, split = RougeScorer(list(texts.ROUGE)), Tokenizer13a()  # type: ignore[no-untyped-call]
    for answer, wanted in preferred(shared_data)[:40]:
        found, expected = texts.rouge(answer, [wanted]), scorer.score(wanted, answer)
        for kind in texts.ROUGE:
            score = found[kind]
            assert (score.precision, score.recall, score.f1) == pytest.approx(tuple(expected[kind]), abs=1e-9)
        words = [split(text).split() for text in (wanted, answer)]
        meteor = meteor_score([words[0]], words[1], wordnet=NoWordNet())
        assert texts.meteor(answer, [wanted]) == pytest.approx(meteor, abs=1e-9)
        assert texts.edit_distance(answer, [wanted]) == Levenshtein.distance(answer, wanted)


class NoWordNet:
    def synsets(self, word: str) -> list[str]:
        return []


def test_rouge_warns_of_real_chinese_and_not_of_real_english(shared_data: Path) -> None:
    chinese = neighbours(shared_data, "llama_factory_demos/alpaca_zh_demo.json")
    assert "drops 88 %" in (texts.rouge_warning("".join(answer for answer, _ in chinese)) or "")
    assert texts.rouge_warning("".join(answer for answer, _ in preferred(shared_data))) is None


def test_gsm8k_answers(shared_data: Path) -> None:
    rows = [
        row
        for row in tk.Dataset.load(shared_data / "gsm8k" / "test.jsonl")
        if isinstance(row, CompletionExample)
    ]
    official = re.compile(r"#### (\-?[0-9\.\,]+)")  # openai/grade-school-math, dataset.py
    said_at_the_end = 0
    for row in rows:
        answer = row.completion
        wanted = official.search(answer)
        assert wanted is not None
        gold = float(wanted[1].replace(",", ""))
        assert numeric.marked_number(answer) == numeric.answered_number(answer) == gold
        prose = answer[: wanted.start()]
        assert numeric.marked_number(prose) is None
        said_at_the_end += numeric.answered_number(prose) == gold
    # The sentence before the mark nearly always ends with the answer, as "so she has <<48+24=72>>72 clips".
    assert len(rows) == 1_319 and said_at_the_end / len(rows) > 0.95
