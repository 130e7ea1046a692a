"""Comparisons on parts of a test, from the meta columns of its examples to corrected p-values."""

from __future__ import annotations

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, truth
from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.data.dataset import Dataset
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.compare import compare_evaluations
from tunekit.evaluation.evaluator import Evaluator
from tunekit.examples import CompletionExample

N = 60
LANGUAGES = ("de", "en", None)


def questions(languages: tuple[object, ...] = LANGUAGES) -> Dataset:
    return Dataset(
        CompletionExample(
            prompt=f"q{at}",
            completion=truth(f"q{at}"),
            meta={}
            if languages[at % len(languages)] is None
            else {"language": languages[at % len(languages)]},
        )
        for at in range(N)
    )


def backend() -> TableBackend:
    return TableBackend(
        models={"base": right_on(range(30)), "tuned": right_on(set(range(0, N, 3)) | set(range(30)))}
    )


def test_models_are_compared_on_each_language() -> None:
    found = Evaluator(questions(), slices=["language"]).compare(
        "table:base", "table:tuned", backend=backend()
    )
    slices = found["exact_match"].slices
    assert [(part.column, part.value, part.n) for part in slices] == [
        ("language", "(none)", 20),
        ("language", "de", 20),
        ("language", "en", 20),
    ]
    none, german, english = slices
    assert (german.a, german.b, german.delta.estimate) == (0.5, 1.0, 0.5)
    assert german.delta == stats.tango(10, 0, 20)
    assert german.p_value == stats.mcnemar_mid_p(10, 0)
    assert (none.delta.estimate, english.delta.estimate, english.p_value) == (0.0, 0.0, 1.0)
    assert [part.p_adjusted for part in slices] == stats.holm([part.p_value for part in slices])
    assert german.p_adjusted == pytest.approx(3 * german.p_value)
    assert any("disagree on 0 of 20" in warning for warning in english.warnings)


def test_the_values_of_a_column_land_in_the_stored_items() -> None:
    evaluation = Evaluator(questions(), slices=("language",)).run("table:base", backend=backend())
    assert [item.slices["language"] for item in evaluation.items[:3]] == ["de", "en", "(none)"]


def test_values_that_are_no_text() -> None:
    evaluation = Evaluator(questions((True, 3, ["a"])), slices=("language",)).run(
        "table:base", backend=backend()
    )
    assert [item.slices["language"] for item in evaluation.items[:3]] == ["true", "3", '["a"]']


def test_a_column_that_no_example_has() -> None:
    with pytest.raises(SpecError, match="no example of the test has a meta column 'langauge'") as caught:
        Evaluator(questions(), slices=["langauge"])
    assert "language" in caught.value.hint


def test_columns_are_a_list() -> None:
    with pytest.raises(SpecError, match="slices is 'language'"):
        Evaluator(questions(), slices="language")


def test_a_column_of_many_values_is_no_slice() -> None:
    with pytest.raises(SpecError, match="51 different values") as caught:
        Evaluator(questions(tuple(f"l{at}" for at in range(51))), slices=["language"])
    assert "clusters=" in caught.value.hint
    Evaluator(questions(tuple(f"l{at}" for at in range(50))), slices=["language"])


def test_a_metric_of_the_whole_test_on_slices() -> None:
    references = ["a", "b", "c"] * 20
    slices = [{"half": "first" if at < 30 else "second"} for at in range(N)]

    def side(model: str, predictions: list[str]) -> list[object]:
        return [
            item.model_copy(update={"slices": part})
            for item, part in zip(classified(references, predictions), slices, strict=True)
        ]

    a = stored("a", side("a", ["a"] * N), corpus="f1_macro")  # type: ignore[arg-type]
    b = stored("b", side("b", references[:30] + ["a"] * 30), corpus="f1_macro")  # type: ignore[arg-type]
    first, second = compare_evaluations(a, b)["score"].slices
    assert first.value == "first"
    assert [first.a, first.b, first.delta.estimate] == pytest.approx([1 / 6, 1.0, 5 / 6])
    assert [second.a, second.b] == pytest.approx([1 / 6, 1 / 6])
    assert second.delta.estimate == 0.0
    assert any("few for resampling" in warning for warning in first.warnings)


def test_an_item_in_two_slices_of_one_column_is_refused() -> None:
    a = stored("a", scored([1.0, 0.0], slices=[{"c": "x"}, {"c": "x"}]))
    b = stored("b", scored([1.0, 0.0], slices=[{"c": "x"}, {"c": "y"}]))
    with pytest.raises(EvaluationError, match="'#1'"):
        compare_evaluations(a, b)


def test_an_evaluation_without_slices_takes_those_of_the_other() -> None:
    a = stored("a", scored([1.0, 0.0]))
    b = stored("b", scored([1.0, 0.0], slices=[{"c": "x"}, {"c": "y"}]))
    assert [part.value for part in compare_evaluations(a, b)["score"].slices] == ["x", "y"]
