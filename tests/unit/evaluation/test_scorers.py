"""Scorers on their own: what counts as right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.base import Generation, Scores
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.items import Item, items_of
from tunekit.evaluation.scorers import Accuracy, AnswerScorer, Custom, ExactMatch, as_scorer
from tunekit.examples import CompletionExample, Message, PromptExample


def item(reference: str) -> Item:
    return items_of([CompletionExample(prompt="p", completion=reference)])[0]


def answer(text: str) -> Generation:
    return Generation(text=text, finish_reason="stop")


@pytest.mark.parametrize(
    ("normalise", "given_answer", "right"),
    [
        ("none", "refund", True),
        ("none", " refund", False),
        ("whitespace", " refund\n", True),
        ("whitespace", "re fund", False),
        ("whitespace", "Refund", False),
        ("text", "  REFUND.", True),
        ("text", "“refund”", False),  # only ASCII punctuation is dropped
        ("text", "refund please", False),
    ],
)
def test_exact_match(normalise: str, given_answer: str, right: bool) -> None:
    scorer = ExactMatch(normalise=normalise)  # type: ignore[arg-type]
    assert scorer.score(item("refund"), answer(given_answer)).value == float(right)


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert ExactMatch().matches("cafe\u0301", "caf\u00e9")
    assert not ExactMatch(normalise="none").matches("cafe\u0301", "caf\u00e9")


@given(text=st.text(), normalise=st.sampled_from(["none", "whitespace", "text"]))
def test_every_text_matches_itself(text: str, normalise: str) -> None:
    assert ExactMatch(normalise=normalise).matches(text, text)  # type: ignore[arg-type]


def test_exact_match_needs_a_reference() -> None:
    (no_reference,) = items_of([PromptExample(messages=(Message(role="user", content="t"),))])
    with pytest.raises(EvaluationError, match="no reference"):
        ExactMatch().score(no_reference, answer("a"))


def test_unknown_normalisation_is_named() -> None:
    with pytest.raises(SpecError, match="'lower'"):
        ExactMatch(normalise="lower")  # type: ignore[arg-type]


@pytest.mark.parametrize(("by", "choice"), [("total", "no"), ("token", "certainly"), ("byte", "certainly")])
def test_accuracy_weighs_by_total_or_by_length(by: str, choice: str) -> None:
    scorer = Accuracy(choices=["no", "certainly"], by=by)  # type: ignore[arg-type]
    scores = Scores(log_probs=(-2.0, -3.0), tokens=(1, 4))
    assert scorer.pick(scores) == choice
    assert scorer.score(item("certainly"), scores).value == float(choice == "certainly")


def test_accuracy_takes_its_choices_from_the_references() -> None:
    prepared = Accuracy().prepare([item("b"), item("a"), item("b")])
    assert prepared.candidates(item("a")) == ("a", "b")
    assert prepared.config() == {"type": "Accuracy", "choices": ["a", "b"], "by": "total"}


def test_accuracy_refuses_a_reference_that_is_no_choice() -> None:
    with pytest.raises(SpecError, match="'c'"):
        Accuracy(choices=("a", "b")).prepare([item("a"), item("c")])


def test_accuracy_refuses_free_text() -> None:
    with pytest.raises(SpecError, match="50 different references"):
        Accuracy().prepare([item(f"answer {number}") for number in range(50)])


@pytest.mark.parametrize("choices", [["a", "a"], "ab"])
def test_accuracy_refuses_choices_that_are_none(choices: object) -> None:
    with pytest.raises(SpecError, match="choices"):
        Accuracy(choices=choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("log_probs", [(math.nan, -1.0), (-math.inf, -math.inf)])
def test_probabilities_that_name_no_choice_are_an_error_not_a_wrong_answer(
    log_probs: tuple[float, float],
) -> None:
    with pytest.raises(EvaluationError, match="no likeliest"):
        Accuracy(choices=("a", "b")).pick(Scores(log_probs=log_probs, tokens=(1, 1)))


def brevity(item: Item, text: str) -> float:
    return 1 / max(len(text), 1)


def test_a_function_becomes_a_scorer_of_its_name() -> None:
    scorer = as_scorer(brevity)
    assert isinstance(scorer, AnswerScorer)
    assert scorer.name == "brevity"
    assert str(scorer.config()["function"]).endswith("test_scorers.brevity")
    assert scorer.score(item("x"), answer("four")) == 0.25


def test_a_lambda_must_be_named() -> None:
    with pytest.raises(SpecError, match="Custom"):
        as_scorer(lambda item, text: 1.0)
    assert as_scorer(Custom(function=lambda item, text: 1.0, name="always")).name == "always"


@dataclass(frozen=True)
class AtLeast(AnswerScorer):
    characters: int
    name: str = "at_least"

    def score(self, item: Item, answer: Generation) -> float:
        return float(len(answer.text) >= self.characters)


def test_a_scorer_of_ones_own_is_told_apart_by_its_settings() -> None:
    assert AtLeast(3).config() == AtLeast(3).config()
    assert AtLeast(3).config() != AtLeast(4).config()


@pytest.mark.parametrize("wrong", [ExactMatch, "exact_match", 3])
def test_what_is_no_scorer_is_refused(wrong: object) -> None:
    with pytest.raises(SpecError, match="not a scorer"):
        as_scorer(wrong)  # type: ignore[arg-type]
