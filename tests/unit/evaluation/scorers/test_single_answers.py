"""Scorers that look at one answer: what is right, what is wrong, and what is an error instead."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tunekit.backends.base import Generation
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.items import Item, items_of
from tunekit.evaluation.scorers import (
    AnswerScorer,
    Bleu,
    ChoiceMetric,
    Chrf,
    Contains,
    EmbeddingSimilarity,
    JsonMatch,
    LabelMetric,
    Latency,
    Length,
    MaxLength,
    MultiLabelMetric,
    NumberMatch,
    OneOf,
    Perplexity,
    Refusal,
    RegexMatch,
    Rouge,
    Score,
    TopK,
    ValidJson,
)
from tunekit.events import Usage
from tunekit.examples import CompletionExample, LabelledExample, Message, PromptExample


def item(reference: str) -> Item:
    return items_of([CompletionExample(prompt="p", completion=reference)])[0]


def answer(text: str, usage: Usage = Usage()) -> Generation:
    return Generation(text=text, finish_reason="stop", usage=usage)


def value(scorer: AnswerScorer, reference: str, text: str) -> float:
    found = scorer.score(item(reference), answer(text))
    assert isinstance(found, Score)
    return found.value


@pytest.mark.parametrize(
    ("scorer", "reference", "text", "expected"),
    [
        (Contains(), "Graz", "It is GRAZ.", 1.0),
        (Contains(normalise="whitespace"), "Graz", "It is GRAZ.", 0.0),
        (RegexMatch(r"\d{3}"), "", "call 911 now", 1.0),
        (RegexMatch(r"\d{3}", whole=True), "", "call 911 now", 0.0),
        (NumberMatch(), "so\n#### 1,250", "That makes 1250.", 1.0),
        (NumberMatch(strict=True), "#### 1,250", "That makes 1250.", 0.0),
        (NumberMatch(strict=True), "#### 1,250", "#### 1250", 1.0),
        (NumberMatch(relative=0.01), "100", "about 100.9", 1.0),
        (NumberMatch(absolute=0.5), "100", "about 100.9", 0.0),
        (NumberMatch(decimal=","), "3,5", "Es sind 3,5 kg", 1.0),
        (NumberMatch(), "7", "no idea", 0.0),
        (JsonMatch(), '{"a": [1, 2]}', '{"a": [1.0, 2]}', 1.0),
        (JsonMatch(), '{"a": 1}', '{"a": 1, "b": 2}', 0.0),
        (JsonMatch("a.b"), '{"a": {"b": "x"}}', '{"a": {"b": "x", "c": 0}}', 1.0),
        (JsonMatch("a"), '{"a": 1}', "Here you are: 1", 0.0),
        (JsonMatch("a", absolute=0.1), '{"a": 1}', '{"a": 1.05}', 1.0),
        (ValidJson(), "", " [1] ", 1.0),
        (ValidJson(), "", "```json\n[1]\n```", 0.0),
        (ValidJson(fields={"a": "integer"}), "", '{"a": 1.5}', 0.0),
        (OneOf(["yes", "no"]), "", " yes\n", 1.0),
        (OneOf(["yes", "no"]), "", "yes!", 0.0),
        (MaxLength(3), "", "four", 0.0),
        (Length(), "", "four", 4.0),
        (Length(unit="words"), "", "one two", 2.0),
        (Refusal(), "", "I'm sorry, but I can't help with that.", 1.0),
        (Refusal(), "", "Gladly.", 0.0),
    ],
)
def test_what_an_answer_gets(scorer: AnswerScorer, reference: str, text: str, expected: float) -> None:
    assert value(scorer, reference, text) == expected


@pytest.mark.parametrize(
    ("scorer", "reference"),
    [
        (NumberMatch(), "no number here"),
        (JsonMatch(), "not JSON"),
        (JsonMatch("a"), '{"b": 1}'),
        (Contains(), " "),
    ],
)
def test_a_reference_that_cannot_be_matched_is_an_error_and_no_wrong_answer(
    scorer: AnswerScorer, reference: str
) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(scorer, reference, "1")
    assert caught.value.hint


def test_a_number_that_was_found_is_shown() -> None:
    found = NumberMatch().score(item("42"), answer("6 * 7 = 42, I think: 41"))
    assert (found.value, found.choice) == (0.0, "41")


def test_what_a_backend_does_not_measure_is_an_error() -> None:
    assert Latency().score(item(""), answer("a", Usage(seconds=0.25))).value == 0.25
    assert Length(unit="tokens").score(item(""), answer("a b", Usage(output_tokens=3))).value == 3.0
    for scorer in (Latency(), Length(unit="tokens")):
        with pytest.raises(EvaluationError, match="backend"):
            scorer.score(item(""), answer("a"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RegexMatch("("),
        lambda: NumberMatch(absolute=-1.0),
        lambda: NumberMatch(decimal=";"),  # type: ignore[arg-type]
        lambda: JsonMatch("a..b"),
        lambda: ValidJson(fields={"a": "float"}),  # type: ignore[dict-item]
        lambda: OneOf([]),
        lambda: OneOf("yes"),
        lambda: MaxLength(-1),
        lambda: Length(unit="bytes"),  # type: ignore[arg-type]
        lambda: LabelMetric("f1"),
        lambda: LabelMetric("ece"),
        lambda: LabelMetric("mcc", labels=["Yes", "yes."]),
        lambda: MultiLabelMetric("f1_macro"),
        lambda: ChoiceMetric("bleu"),
        lambda: ChoiceMetric("ece", temperature=0.0),
        lambda: ChoiceMetric("ece", bins=0),
        lambda: TopK(k=0),
        lambda: Perplexity("perplexity"),
        lambda: Bleu(tokenize="spaces"),
        lambda: Rouge("rouge_l"),  # type: ignore[arg-type]
        lambda: Rouge(stemmer=True, tokenize="char"),
    ],
)
def test_what_makes_no_scorer_is_refused_when_it_is_made(make: object) -> None:
    with pytest.raises(SpecError) as caught:
        make()  # type: ignore[operator]
    assert caught.value.hint


SCORERS = (
    *(Contains(), RegexMatch("a"), NumberMatch(), JsonMatch(), ValidJson(fields={"a": "any"}), OneOf(["a"])),
    *(
        LabelMetric("mcc"),
        MultiLabelMetric("hamming_loss"),
        ChoiceMetric("ece"),
        TopK(),
        Perplexity(),
        Length(),
    ),
    *(Bleu(), Chrf(), Rouge(), MaxLength(9), Refusal(), Latency(), EmbeddingSimilarity("local:m")),
)
CHANGED = (
    *(replace(SCORERS[0], normalise="none"), RegexMatch("b"), NumberMatch(strict=True), JsonMatch("a")),
    *(ValidJson(), OneOf(["b"]), LabelMetric("kappa"), MultiLabelMetric("hamming_loss", separator=",")),
    *(ChoiceMetric("ece", bins=10), TopK(k=3), Perplexity("bits_per_byte"), Length(unit="words")),
    *(Bleu(lowercase=True), Chrf(words=True), Rouge("rouge1"), MaxLength(8), EmbeddingSimilarity("local:n")),
)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_a_configuration_is_json_and_knows_no_name(scorer: AnswerScorer) -> None:
    config = scorer.config()
    assert json.loads(json.dumps(config)) == config
    assert config["type"] == type(scorer).__name__
    assert replace(scorer, name="another").config() == config  # type: ignore[type-var]


@pytest.mark.parametrize("changed", CHANGED, ids=lambda scorer: type(scorer).__name__)
def test_what_changes_a_score_changes_the_configuration(changed: AnswerScorer) -> None:
    (same,) = (scorer for scorer in SCORERS if type(scorer) is type(changed))
    assert same.config() != changed.config()


def test_a_column_is_named_after_its_metric_unless_told() -> None:
    names = [LabelMetric("mcc").name, JsonMatch("a.b").name, TopK(k=3).name, Chrf(words=True).name]
    assert names == ["mcc", "json_match:a.b", "top_3_accuracy", "chrf++"]
    assert LabelMetric("mcc", name="mine").name == "mine"


def test_labels_are_read_from_lists_and_separated_texts() -> None:
    items = items_of([LabelledExample(text="t", label=("a", "b")), LabelledExample(text="u", label="c")])
    scorer = MultiLabelMetric("jaccard_samples", separator=",").prepare(items)
    assert scorer.labels == ("a", "b", "c")
    texts = ('["b", "a"]', "A, b.", "a", "x", "")
    assert [scorer.score(items[0], answer(text)).value for text in texts] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert scorer.score(items[1], answer("C")).value == 1.0


def test_labels_of_a_class_that_the_list_lacks_are_refused() -> None:
    with pytest.raises(SpecError, match="'b'"):
        LabelMetric("mcc", labels=["a"]).prepare([item("a"), item("b")])


def test_perplexity_is_refused_of_a_test_without_references() -> None:
    items = items_of([PromptExample(messages=(Message(role="user", content="t"),))])
    with pytest.raises(EvaluationError, match="no reference"):
        Perplexity().prepare(items)


async def test_embeddings_that_are_none_are_an_error() -> None:
    async def zero(texts: object) -> list[list[float]]:
        return [[0.0], [0.0]]

    async def one(texts: object) -> list[list[float]]:
        return [[1.0]]

    assert (await EmbeddingSimilarity(zero).score(item("a"), answer(" "))).value == 0.0
    for wrong, said in ((zero, "not finite"), (one, "1 vectors")):
        with pytest.raises(Exception, match=said):
            await EmbeddingSimilarity(wrong).score(item("a"), answer("b"))
