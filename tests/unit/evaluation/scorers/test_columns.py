"""Every column is what scikit-learn, sacrebleu or rouge-score say of the same predictions, end to end."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
import sacrebleu
from rouge_score import rouge_scorer  # type: ignore[import-untyped]
from sklearn import metrics as sk

from tunekit.data.dataset import Dataset
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation, Metric
from tunekit.evaluation.scorers import (
    Accuracy,
    Bleu,
    ChoiceMetric,
    Chrf,
    EditDistance,
    EditSimilarity,
    LabelMetric,
    Meteor,
    MultiLabelMetric,
    Perplexity,
    Rouge,
    Scorer,
    TopK,
)
from tunekit.testing import ScriptedBackend

LABELS = ("billing", "delivery", "refund", "other")
N = 120
WORDS = (
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "saw",
    "that",
    "dog",
    "run",
    "far",
    "from",
    "its",
    "house",
)


def drawn(seed: int) -> tuple[list[str], list[str]]:
    """References and predictions: right two times of three, now and then off the list."""
    draw = random.Random(seed)
    references = [draw.choice((*LABELS, "billing", "billing")) for _ in range(N)]
    wrong = (*LABELS, "I do not know")
    return references, [label if draw.random() < 0.66 else draw.choice(wrong) for label in references]


def sentences(seed: int) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)
    references = [" ".join(draw.choices(WORDS, k=draw.randint(4, 14))) + "." for _ in range(60)]
    answers = [" ".join(w for w in text.split() if draw.random() < 0.8) for text in references]
    return references, answers


def evaluated(references: Sequence[str], answers: Sequence[str], *scorers: Scorer) -> Evaluation:
    rows = [{"prompt": f"{at}", "completion": text} for at, text in enumerate(references)]
    backend = ScriptedBackend(generate=lambda prompt: answers[int(str(prompt))])
    return Evaluator(Dataset.from_records(rows), scorers=list(scorers)).run("scripted:m", backend=backend)


def weighed(references: Sequence[str], weights: Callable[[int, str], float], *scorers: Scorer) -> Evaluation:
    rows = [{"prompt": f"{at}", "completion": text} for at, text in enumerate(references)]
    backend = ScriptedBackend(score=lambda prompt, choice: weights(int(str(prompt)), choice))
    return Evaluator(Dataset.from_records(rows), scorers=list(scorers)).run("scripted:m", backend=backend)


def is_(metric: Metric, expected: float) -> bool:
    assert metric.value.low <= metric.value.estimate <= metric.value.high
    return math.isclose(metric.value.estimate, expected, rel_tol=1e-9, abs_tol=1e-9)


def test_labels_that_an_answer_names() -> None:
    references, answers = drawn(1)
    names = (
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "precision_macro",
        "mcc",
        "kappa",
    )
    found = evaluated(references, answers, *(LabelMetric(name) for name in names))
    labels = sorted(LABELS)
    assert is_(found["accuracy"], sk.accuracy_score(references, answers))
    assert is_(
        found["balanced_accuracy"], sk.recall_score(references, answers, labels=labels, average="macro")
    )
    for average in ("macro", "micro", "weighted"):
        expected = sk.f1_score(references, answers, labels=labels, average=average, zero_division=0)
        assert is_(found[f"f1_{average}"], expected)
    assert is_(
        found["precision_macro"],
        sk.precision_score(references, answers, labels=labels, average="macro", zero_division=0),
    )
    assert is_(found["mcc"], sk.matthews_corrcoef(references, answers))
    assert is_(found["kappa"], sk.cohen_kappa_score(references, answers))
    assert (found["accuracy"].kind, found["f1_macro"].kind, found["f1_macro"].corpus) == (
        "binary",
        "corpus",
        "f1_macro",
    )
    off = answers.count("I do not know")
    assert f"{off} of {N} answers are none of the 4 labels" in found["f1_macro"].warnings[-1]


def test_choices_that_a_model_weighs() -> None:
    references, _ = drawn(2)
    draw = random.Random(3)
    table = [{label: draw.uniform(-6, 0) + 3 * (label == right) for label in LABELS} for right in references]
    table = [{label: weight - 4 for label, weight in row.items()} for row in table]
    found = weighed(
        references,
        lambda at, choice: table[at][choice],
        Accuracy(),
        TopK(k=2),
        *(ChoiceMetric(name, temperature=1.5) for name in ("f1_macro", "mcc", "brier", "log_loss", "ece")),
    )
    labels = sorted(LABELS)
    exps = [[math.exp(row[label] / 1.5) for label in labels] for row in table]
    shares = [[value / math.fsum(row) for value in row] for row in exps]
    picked = [max(labels, key=lambda label: row[label]) for row in table]
    numbers = [labels.index(label) for label in references]
    assert is_(found["accuracy"], sk.accuracy_score(references, picked))
    assert is_(found["top_2_accuracy"], sk.top_k_accuracy_score(numbers, shares, k=2))
    assert is_(found["f1_macro"], sk.f1_score(references, picked, average="macro"))
    assert is_(found["mcc"], sk.matthews_corrcoef(references, picked))
    assert is_(found["log_loss"], sk.log_loss(references, shares, labels=labels))
    assert is_(found["brier"], sk.brier_score_loss(references, shares, labels=labels, scale_by_half=False))
    assert is_(found["ece"], expected_calibration_error(shares, numbers))
    assert [found[name].higher_is_better for name in ("ece", "brier", "log_loss", "mcc")] == [False] * 3 + [
        True
    ]
    assert found.items[0].log_probs["ece"] == tuple(table[0][label] for label in labels)


def expected_calibration_error(shares: Sequence[Sequence[float]], numbers: Sequence[int]) -> float:
    """Written out again: 15 bins closed above, the gap of each by its share of the items."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, number in zip(shares, numbers, strict=True):
        bins.setdefault(math.ceil(max(row) * 15), []).append((max(row), row.index(max(row)) == number))
    gaps = (
        abs(math.fsum(share for share, _ in items) - sum(right for _, right in items))
        for items in bins.values()
    )
    return math.fsum(gaps) / len(shares)


def test_several_labels() -> None:
    draw = random.Random(4)
    rows = [{label for label in LABELS if draw.random() < 0.4} or {"other"} for _ in range(N)]
    guesses = [{label for label in LABELS if (label in row) ^ (draw.random() < 0.2)} for row in rows]
    test = Dataset.from_records([{"text": f"{at}", "label": sorted(row)} for at, row in enumerate(rows)])
    names = (
        "subset_accuracy",
        "hamming_loss",
        "jaccard_samples",
        "multilabel_f1_macro",
        "multilabel_f1_micro",
        "multilabel_f1_samples",
    )
    backend = ScriptedBackend(
        generate=lambda prompt: str(sorted(guesses[int(str(prompt))])).replace("'", '"')
    )
    evaluator = Evaluator(test, scorers=[MultiLabelMetric(name) for name in names])
    found = evaluator.run("scripted:m", backend=backend)
    truth, said = ([[label in row for label in LABELS] for row in side] for side in (rows, guesses))
    assert is_(found["subset_accuracy"], sk.accuracy_score(truth, said))
    assert is_(found["hamming_loss"], sk.hamming_loss(truth, said))
    assert is_(found["jaccard_samples"], sk.jaccard_score(truth, said, average="samples", zero_division=0))
    for average in ("macro", "micro", "samples"):
        expected = sk.f1_score(truth, said, average=average, zero_division=0)
        assert is_(found[f"multilabel_f1_{average}"], expected)
    assert not found["hamming_loss"].higher_is_better
    assert found["subset_accuracy"].kind == "binary"


def test_free_text() -> None:
    references, answers = sentences(5)
    found = evaluated(
        references,
        answers,
        Bleu(),
        Chrf(),
        Chrf(words=True),
        Rouge("rouge1"),
        Rouge("rougeL", part="recall"),
        Meteor(),
        EditDistance(),
        EditSimilarity(),
    )
    assert is_(found["bleu"], sacrebleu.corpus_bleu(answers, [references]).score)
    assert is_(found["chrf"], sacrebleu.corpus_chrf(answers, [references]).score)
    assert is_(found["chrf++"], sacrebleu.corpus_chrf(answers, [references], word_order=2).score)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rougeL"])
    scores = [scorer.score(*pair) for pair in zip(references, answers, strict=True)]
    assert is_(found["rouge_1"], sum(score["rouge1"].fmeasure for score in scores) / len(scores))
    assert is_(found["rouge_l_recall"], sum(score["rougeL"].recall for score in scores) / len(scores))
    distances = [levenshtein(*pair) for pair in zip(answers, references, strict=True)]
    assert is_(found["edit_distance"], sum(distances) / len(distances))
    assert not found["edit_distance"].higher_is_better
    assert 0.5 < found["edit_similarity"].value.estimate < 1.0 and 0.5 < found["meteor"].value.estimate < 1.0


def levenshtein(one: str, other: str) -> int:
    """The table of Wagner and Fischer."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        above, row[0] = row[0], at
        for column, its in enumerate(other, 1):
            above, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, above + (letter != its)),
            )
    return row[-1]


def test_perplexity_of_the_references() -> None:
    references = ["yes", "Grüße", "no"] * 40
    names = ("byte_perplexity", "token_perplexity", "bits_per_byte")
    found = weighed(references, lambda at, choice: -1.5 * (at % 3 + 1), *(Perplexity(name) for name in names))
    nats, n_bytes = 1.5 * 6 * 40, (3 + 7 + 2) * 40
    assert is_(found["byte_perplexity"], math.exp(nats / n_bytes))
    assert is_(found["bits_per_byte"], nats / n_bytes / math.log(2))
    tokens = found.items[0].counts["token_perplexity"]["tokens"]
    assert tokens >= 1 and found["token_perplexity"].value.estimate > 1.0


@pytest.mark.parametrize("name", ["f1_macro", "bleu"])
def test_a_stored_evaluation_keeps_all_that_a_column_is_made_of(name: str) -> None:
    references, answers = drawn(6)
    found = evaluated(references, answers, LabelMetric("f1_macro"), Bleu())
    again = Evaluation.from_json(found.to_json())
    assert again == found
    assert all(item.counts[name] for item in again.items)
