"""Which classes the data have, what each counts, and what is refused before any weight is loaded."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from tests.unit.training.conftest import MakeRun, rows, train
from tests.unit.training.tiny_classifiers import labelled, several
from tunekit.errors import DataError, SpecError
from tunekit.examples import LabelledExample
from tunekit.spec import Classify
from tunekit.training.models.classes import Census, Classes


def text(label: str | tuple[str, ...], row: str = "") -> LabelledExample:
    return LabelledExample(id=row, text="x", label=label)


class TestCensus:
    """What training rows say of the classes."""

    @given(
        st.lists(st.sampled_from(string.ascii_lowercase[:6]), min_size=2).filter(lambda y: len(set(y)) > 1)
    )
    def test_balanced_is_what_scikit_learn_says(self, labels: list[str]) -> None:
        census = Census.of(text(label) for label in labels)
        expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        assert census.classes.names == tuple(np.unique(labels))
        assert census.weights("balanced") == pytest.approx(expected.tolist(), rel=1e-12)

    def test_the_order_of_rows_does_not_matter(self) -> None:
        assert Census.of(labelled()) == Census.of(labelled()[::-1])

    def test_one_tuple_makes_it_multi_label(self) -> None:
        found = Census.of([text("a"), text(("c", "b", "b")), text(())])
        assert found.classes == Classes(names=("a", "b", "c"), multi_label=True)
        assert (found.rows, dict(found.by_name)) == (3, {"a": 1, "b": 1, "c": 1})

    def test_weights_by_name_leave_the_others_at_one(self) -> None:
        assert Census.of(labelled()).weights({"refund": 2.5}) == (1.0, 1.0, 2.5)

    def test_a_weight_for_no_class(self) -> None:
        with pytest.raises(SpecError, match="'refunds', which no training row has") as caught:
            Census.of(labelled()).weights({"refunds": 2.0})
        assert caught.value.hint == "did you mean 'refund'?"

    @pytest.mark.parametrize(
        ("labels", "message"),
        [([("spam"), ("spam")], "have one class, 'spam'"), ([(), ()], "have no class at all")],
    )
    def test_nothing_to_tell_apart(self, labels: list[str], message: str) -> None:
        with pytest.raises(DataError, match=message):
            Census.of(map(text, labels))

    def test_names_are_said_as_they_are(self) -> None:
        classes = Classes(names=("ä", 'b"', "c"), multi_label=True)
        assert classes.said([1, 0]) == '["b\\"", "ä"]'
        assert classes.said([]) == "[]"
        assert Classes(names=("x", "y")).said([1]) == "y"


class TestRefusals:
    """Runs that end before they begin, each with a word about why."""

    def test_a_validation_row_of_a_class_that_training_rows_lack(self, make_run: MakeRun, bert: Path) -> None:
        held_out = [text("billing", "val-1"), text("complaint", "val-2")]
        run = make_run(labelled(), model=bert, method=Classify(), validation=held_out)
        with pytest.raises(DataError, match="row 'val-2' is of class 'complaint'") as caught:
            train(run)
        assert "'billing', 'delivery', 'refund'" in str(caught.value.hint)

    def test_one_class(self, make_run: MakeRun, bert: Path) -> None:
        run = make_run([text("a", "1"), text("a", "2")], model=bert, method=Classify())
        with pytest.raises(DataError, match="one class, 'a'"):
            train(run)

    def test_a_weight_for_no_class(self, make_run: MakeRun, bert: Path) -> None:
        run = make_run(labelled(), model=bert, method=Classify(class_weights={"spam": 2.0}))
        with pytest.raises(SpecError, match="'spam'"):
            train(run)

    def test_rows_without_labels(self, make_run: MakeRun, bert: Path) -> None:
        run = make_run(rows(4), model=bert, method=Classify())
        with pytest.raises(DataError, match=r"row 'row-0'.*not from a completion example"):
            train(run)

    def test_a_text_that_is_too_long(self, make_run: MakeRun, bert: Path) -> None:
        long = LabelledExample(id="long", text="x" * 300, label="billing")
        run = make_run([*labelled(), long], model=bert, method=Classify())
        with pytest.raises(DataError, match=r"longer than 256 tokens \(the longest has 302\): 'long'"):
            train(run)

    def test_half_a_character(self, make_run: MakeRun, bert: Path) -> None:
        half = LabelledExample(id="half", text="\ud83d", label="billing")
        run = make_run([*several(), half], model=bert, method=Classify())
        with pytest.raises(DataError, match="row 'half': the text holds half of a surrogate pair"):
            train(run)
