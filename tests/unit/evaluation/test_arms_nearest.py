"""The nearest class by embeddings, on a backend whose vectors are the counts of a few letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.evaluation.fakes import TableBackend
from tunekit.data.dataset import Dataset
from tunekit.errors import RefError, SpecError, UnsupportedError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.constructors import nearest
from tunekit.evaluation.arms.templates import Template
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.scorers import Accuracy
from tunekit.examples import LabelledExample, Message, PromptExample

MODEL = "table:encoder"
TEST = [
    LabelledExample(text=text, label=label)
    for text, label in [("aab", "a"), ("baa", "a"), ("bba", "b"), ("b", "b"), ("a", "b")]
]
TRAIN = [
    LabelledExample(text=text, label=label)
    for text, label in [("aaab", "a"), ("aa", "a"), ("bbb", "b"), ("bbbba", "b")]
]


class Letters(TableBackend):
    """Embeds a text as how often "a" and "b" stand in it; counts what it embeds."""

    def __init__(self) -> None:
        super().__init__(models={})
        self.embedded: list[str] = []

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        assert model == "encoder"
        self.embedded += texts
        return [[float(text.lower().count(letter)) for letter in "ab"] for text in texts]


def answers(arm: Arm, backend: Letters | None = None, **options: Any) -> list[str | None]:
    evaluation = Evaluator(Dataset(TEST), **options).run(arm, backend=backend or Letters())
    return [item.answer for item in evaluation.items]


def test_names_of_classes_are_zero_shot() -> None:
    assert answers(nearest(MODEL, classes=["a", "b"])) == ["a", "a", "b", "b", "a"]
    described = {"first": "aaaa", "second": "b"}
    assert answers(nearest(MODEL, classes=described)) == ["first", "first", "second", "second", "first"]


def test_examples_are_few_shot_and_embedded_once() -> None:
    backend = Letters()
    found = answers(nearest(MODEL, examples=TRAIN), backend, batch_size=1)
    assert found == ["a", "a", "b", "b", "a"]
    assert sorted(backend.embedded) == sorted(row.text for row in [*TRAIN, *TEST])


def test_k_examples_of_each_class_fixed_by_the_seed() -> None:
    seen = set()
    for seed in range(20):
        backends = Letters(), Letters()
        for backend in backends:
            answers(nearest(MODEL, examples=TRAIN, k=1, seed=seed), backend)
        assert backends[0].embedded == backends[1].embedded
        shown = tuple(backends[0].embedded[:2])
        assert sorted(row.label for row in TRAIN if row.text in shown) == ["a", "b"]
        seen.add(shown)
    assert len(seen) > 1, "another seed draws others"


def test_questions_of_the_test_never_stand_for_a_class() -> None:
    backend = Letters()
    copies = [LabelledExample(text=" AAB ", label="b"), LabelledExample(text="b", label="a")]
    answers(nearest(MODEL, examples=[*TRAIN, *copies]), backend)
    assert len(backend.embedded) == len(TRAIN) + len(TEST)
    with pytest.raises(SpecError, match="all examples of class 'c' are questions of the test"):
        answers(nearest(MODEL, examples=[*TRAIN, LabelledExample(text="bba", label="c")]))


def test_a_text_without_direction_is_an_error_of_its_item() -> None:
    test = Dataset([*TEST, LabelledExample(text="?", label="a")])
    evaluation = Evaluator(test).run(nearest(MODEL, classes=["a", "b"]), backend=Letters())
    assert evaluation["exact_match"].n_errors == 1
    assert "near to nothing" in evaluation.items[-1].errors["exact_match"]


def test_it_is_written_down_and_cannot_weigh_choices() -> None:
    evaluation = Evaluator(Dataset(TEST)).run(nearest(MODEL, examples=TRAIN, k=1, seed=4), backend=Letters())
    record = evaluation.arm
    assert record is not None
    assert (record.kind, record.k, record.seed, evaluation.model) == ("nearest", 1, 4, MODEL)
    hashes = {
        arm.record([]).shown_hash for arm in (nearest(MODEL, examples=TRAIN), nearest(MODEL, classes="ab"))
    }
    assert len({record.shown_hash, *hashes}) == 3
    with pytest.raises(UnsupportedError, match="nearest class cannot score"):
        Evaluator(Dataset(TEST), scorers=[Accuracy()]).run(nearest(MODEL, classes="ab"), backend=Letters())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"classes": ["a", "b"], "examples": TRAIN},
        {"classes": ["a"]},
        {"examples": TRAIN[:2]},
        {"examples": TRAIN, "k": 0},
        {"examples": [*TRAIN, PromptExample(messages=(Message(role="user", content="?"),))]},
    ],
)
def test_mistakes_are_found_when_it_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        nearest(MODEL, **options)


def test_it_takes_a_model_and_the_question_as_it_stands() -> None:
    prototypes = nearest(MODEL, classes="ab").prototypes
    with pytest.raises(RefError):
        nearest("encoder", classes="ab")
    with pytest.raises(SpecError, match="as it stands"):
        Arm(model=MODEL, prototypes=prototypes, template=Template("{text}"))
    with pytest.raises(SpecError, match="as it stands"):
        Arm(model=lambda prompt: "a", prototypes=prototypes)
