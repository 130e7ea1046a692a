"""The linear classifier of a probe, on vectors alone: against scikit-learn pipelines written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tunekit.training.probe.probe import Labels, choose, chosen, dealt_rows, fitted


def blobs(rows: int, *, width: int = 6, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Vectors around a centre for each class, with unequal scales and one number that never changes."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, rows)
    vectors = draw.normal(size=(classes, width))[truth] + draw.normal(size=(rows, width)) * 1.5
    vectors = vectors * 10.0 ** np.arange(width - 2, -2, -1) + 3.0
    vectors[:, -1] = 0.1
    return vectors.astype(np.float32), truth


def labels(truth: Any, classes: int = 3, weights: tuple[float, ...] | None = None) -> Labels:
    return Labels(
        truth=np.eye(classes, dtype=np.bool_)[truth], multi_label=False, weights=weights or (1.0,) * classes
    )


def refuse(text: str) -> None:
    pytest.fail(f"unexpected warning: {text}")


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_is_the_pipeline_written_by_hand(classes: int) -> None:
    """The same folds, the same strength, and the same predictions."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    vectors, truth = blobs(150, classes=classes)
    unseen, _ = blobs(500, classes=classes, seed=1)
    strengths = (0.001, 0.01, 0.1, 1.0)
    choice = choose({1: vectors}, labels(truth, classes), strengths=strengths, folds=5, seed=7, warn=refuse)
    order = dealt_rows(labels(truth, classes).truth, 7)
    folds = [(order[np.arange(150) % 5 != fold], order[np.arange(150) % 5 == fold]) for fold in range(5)]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": strengths},
        cv=folds,
    ).fit(vectors.astype(np.float64), truth)
    assert choice.strength == search.best_params_["logisticregression__C"]
    assert choice.accuracy == pytest.approx(search.best_score_)
    linear = next(fitted(vectors.astype(np.float64), labels(truth, classes), [choice.strength], warn=refuse))
    expected = search.predict(unseen.astype(np.float64))
    assert linear.logits(unseen).argmax(axis=1).tolist() == expected.tolist()
    shares = torch.tensor(linear.logits(unseen)).softmax(dim=1).numpy()
    assert shares == pytest.approx(search.predict_proba(unseen.astype(np.float64)), abs=1e-9)


def test_what_is_said_of_a_strength_is_what_a_fit_with_it_alone_does() -> None:
    """Classes lie apart, so the loss is nearly flat where a strong C is to be told from a weak one."""
    vectors, truth = blobs(300, width=12, classes=8)
    strengths = (0.01, 0.1, 1.0, 10.0, 100.0)
    together = fitted(vectors, labels(truth, 8), strengths, warn=refuse)
    for strength, linear in zip(strengths, together, strict=True):
        alone = next(fitted(vectors, labels(truth, 8), [strength], warn=refuse))
        assert (linear.weight == alone.weight).all()


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    vectors, truth = blobs(120)
    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    theirs = LogisticRegression(C=0.5, max_iter=1000, class_weight={0: 1.0, 1: 5.0, 2: 0.2}).fit(
        scaled, truth
    )
    ours = next(
        fitted(vectors.astype(np.float64), labels(truth, weights=(1.0, 5.0, 0.2)), [0.5], warn=refuse)
    )
    assert ours.weight == pytest.approx(theirs.coef_, abs=1e-6)
    equal = next(fitted(vectors.astype(np.float64), labels(truth), [0.5], warn=refuse))
    assert np.abs(equal.weight - ours.weight).max() > 1e-2


def test_several_classes_are_one_against_the_rest() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import StandardScaler

    vectors, first = blobs(150)
    truth = np.eye(3, dtype=np.bool_)[first] | np.eye(3, dtype=np.bool_)[np.roll(first, 1)]
    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    theirs = OneVsRestClassifier(LogisticRegression(C=0.5, max_iter=1000)).fit(scaled, truth)
    several = Labels(truth=truth, multi_label=True, weights=(1.0,) * 3)
    ours = next(fitted(vectors.astype(np.float64), several, [0.5], warn=refuse))
    assert ((ours.logits(vectors.astype(np.float64)) > 0) == theirs.predict(scaled)).all()
    always = Labels(truth=np.c_[truth, np.ones(150, dtype=np.bool_)], multi_label=True, weights=(1.0,) * 4)
    linear = next(fitted(vectors.astype(np.float64), always, [0.5], warn=refuse))
    assert linear.bias[3] == pytest.approx(np.log(151))


def test_the_better_layer_is_chosen() -> None:
    vectors, truth = blobs(150)
    noise = np.random.default_rng(3).normal(size=vectors.shape).astype(np.float32)
    choice = choose({2: vectors, 6: noise}, labels(truth), strengths=(0.1, 1.0), folds=3, seed=0, warn=refuse)
    assert choice.layer == 2
    assert choice.accuracy == max(choice.table.values())
    same = choose({2: vectors, 6: vectors}, labels(truth), strengths=(1.0,), folds=3, seed=0, warn=refuse)
    assert same.layer == 6, "of equals the last"


@pytest.mark.parametrize(("last", "layer"), [(81, 6), (80, 6), (76, 6), (75, 2), (20, 2)])
def test_the_last_layer_gives_way_to_one_that_is_clearly_better(last: int, layer: int) -> None:
    """Clearly is by more than one standard error of the best, here sqrt(0.8 * 0.2 / 100)."""
    rows = np.arange(100)
    assert chosen({(2, 1.0): rows < 80, (6, 1.0): rows < last}) == (layer, 1.0)


def test_of_strengths_the_best_is_chosen_and_of_equals_the_smallest() -> None:
    one, two = np.arange(10) < 5, np.arange(10) < 6
    assert chosen({(3, 0.1): one, (3, 1.0): two, (3, 10.0): two}) == (3, 1.0)


def test_folds_are_stratified_and_every_row_is_held_out_once() -> None:
    truth = np.eye(3, dtype=np.bool_)[[0] * 50 + [1] * 20 + [2] * 5]
    order = dealt_rows(truth, 0)
    assert sorted(order.tolist()) == list(range(75))
    counts = [truth[order[np.arange(75) % 5 == fold]].sum(axis=0).tolist() for fold in range(5)]
    assert counts == [[10, 4, 1]] * 5


def test_large_data_are_chosen_on_a_stratified_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunekit.training.probe.probe._CHOICE_WORK", 1.0)
    monkeypatch.setattr("tunekit.training.probe.probe._FEWEST_ROWS", 100)
    vectors, truth = blobs(1000)
    choice = choose({1: vectors}, labels(truth), strengths=(1.0,), folds=5, seed=0, warn=refuse)
    assert (choice.rows, choice.folds) == (100, 5)


def test_many_classes_are_chosen_on_a_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of each of many classes would tell nothing: whatever is held out, nothing like it was learned."""
    monkeypatch.setattr("tunekit.training.probe.probe._CHOICE_WORK", 1e6)
    monkeypatch.setattr("tunekit.training.probe.probe._FEWEST_ROWS", 100)
    draw, classes = np.random.default_rng(0), 300
    truth = np.arange(classes * 6) % classes
    vectors = draw.normal(size=(classes, 16))[truth] + draw.normal(size=(len(truth), 16)) * 0.5
    choice = choose(
        {1: vectors.astype(np.float32)},
        labels(truth, classes),
        strengths=(0.001, 1.0),
        folds=3,
        seed=0,
        warn=refuse,
    )
    assert 100 <= choice.rows <= 300
    assert choice.rows % 6 == 0, "every row of the classes that were chosen"
    assert choice.accuracy > 0.5
    assert choice.strength == 1.0


def test_fold_that_lacks_a_class() -> None:
    vectors, truth = blobs(40, classes=2)
    truth[0] = 2
    choice = choose({1: vectors}, labels(truth), strengths=(1.0,), folds=4, seed=0, warn=refuse)
    assert 0.5 < choice.accuracy < 1.0
    two = choose({1: vectors[:2]}, labels(np.array([0, 1])), strengths=(1.0,), folds=5, seed=0, warn=refuse)
    assert (two.accuracy, two.folds) == (0.0, 2)


def test_every_library_is_bounded_even_those_that_load_later() -> None:
    """scipy brings a BLAS of its own, and scikit-learn an OpenMP."""
    program = """
import json
from threadpoolctl import threadpool_info
from tunekit.training.probe.probe import bounded
with bounded(1):
    import scipy.optimize, sklearn.linear_model
    print(json.dumps([item["num_threads"] for item in threadpool_info()]))
"""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    said = subprocess.run(
        [sys.executable, "-c", program], env=kept, capture_output=True, check=True, text=True
    )
    counts = json.loads(said.stdout)
    assert len(counts) > 1
    assert set(counts) == {1}
