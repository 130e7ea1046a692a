"""Classifiers that answer and score: in this process, and end to end behind LocalBackend and the Evaluator."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.training.conftest import MakeRun, train
from tests.unit.training.tiny_classifiers import CLASSES, WORDS, labelled, several
from tunekit._settings import Settings
from tunekit.backends.local import LocalBackend
from tunekit.data.dataset import Dataset
from tunekit.errors import InvalidError, ModelError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.items import items_of
from tunekit.evaluation.scorers import Accuracy, ExactMatch
from tunekit.examples import LabelledExample, Message
from tunekit.inference import generate as ask
from tunekit.jobs.job import FineTuneJob
from tunekit.spec import Classify, Sampling, TuneSpec
from tunekit.training.models import load
from tunekit.training.models.classes import Classes
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving.generate import generate, score

TEXTS = ("ask zzz", "ask ask ask ooo", "iii")


@pytest.fixture(scope="module")
def known() -> dict[str, LoadedModel]:
    return {}


@pytest.fixture(params=["one class", "several"])
def loaded(
    request: pytest.FixtureRequest, make_run: MakeRun, bert: Path, known: dict[str, LoadedModel]
) -> LoadedModel:
    """A trained classifier of each kind, shared by the tests of this file."""
    if request.param not in known:
        rows = labelled(24) if request.param == "one class" else several(28)
        run = make_run(rows, name="x", model=bert, method=Classify(), epochs=12)
        train(run)
        known[request.param] = load.load(run.artifact_path)
    return known[request.param]


def test_it_answers_with_classes(loaded: LoadedModel) -> None:
    answers = generate(loaded, [{"prompt": text} for text in TEXTS], Sampling(temperature=1.0))
    assert loaded.classes is not None
    for text, answer in zip(TEXTS, answers, strict=True):
        row = logits(loaded, text)
        if loaded.classes.multi_label:
            assert answer["text"] == json.dumps(
                [name for name, value in zip(CLASSES, row, strict=True) if value > 0]
            )
        else:
            assert answer["text"] == CLASSES[int(row.argmax())]
    assert len({answer["text"] for answer in answers}) > 1, "it has learned to tell some apart"
    assert [answer["finish_reason"] for answer in answers] == ["stop"] * 3
    assert [answer["usage"]["input_tokens"] for answer in answers] == [len(text) + 2 for text in TEXTS]


def test_scores_are_log_probabilities_of_the_classes_asked_for(loaded: LoadedModel) -> None:
    assert loaded.classes is not None
    chosen = ["refund", "billing"]
    found = score(loaded, [{"prompt": text, "choices": chosen} for text in TEXTS])
    for text, scores in zip(TEXTS, found, strict=True):
        row = logits(loaded, text)
        chances = torch.sigmoid(row) if loaded.classes.multi_label else row.softmax(0)
        expected = [math.log(chances[CLASSES.index(name)]) for name in chosen]
        assert scores["log_probs"] == pytest.approx(expected, abs=1e-5)
        assert scores["tokens"] == [1, 1]


def logits(loaded: LoadedModel, text: str) -> torch.Tensor:
    """As plain transformers computes them, of the text alone."""
    with torch.no_grad():
        found: torch.Tensor = loaded.model(
            input_ids=torch.tensor([loaded.tokenizer(text)["input_ids"]])
        ).logits[0]
    return found


def test_the_evaluator_expects_what_a_classifier_of_several_says() -> None:
    (item,) = items_of([LabelledExample(text="a", label=("refund", "billing"))])
    assert item.reference == Classes(names=CLASSES, multi_label=True).said([2, 0])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"prompt": "a", "choices": ["billing", "spam"]}, "choice 'spam' is none of the classes"),
        ({"prompt": "a", "choices": []}, "no choices"),
        ({"prompt": (Message(role="user", content="a"),), "choices": ["billing"]}, "asked with a chat"),
        ({"prompt": "a", "tools": [{}], "choices": ["billing"]}, "or with tools"),
        ({"prompt": "a" * 300, "choices": ["billing"]}, "302 tokens is longer than the 256"),
    ],
)
def test_what_it_cannot_be_asked(loaded: LoadedModel, request_: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        score(loaded, [request_])
    if "choices" not in message and "choice" not in message:
        with pytest.raises(InvalidError, match=message):
            generate(loaded, [request_], Sampling())


def test_nothing_asked_is_nothing_answered(loaded: LoadedModel) -> None:
    assert generate(loaded, [], Sampling()) == score(loaded, []) == []


def test_a_model_of_nan_names_no_class(loaded: LoadedModel) -> None:
    kept = loaded.model.get_input_embeddings().weight.data.clone()
    try:
        loaded.model.get_input_embeddings().weight.data.fill_(float("nan"))
        with pytest.raises(ModelError, match="NaN"):
            generate(loaded, [{"prompt": "a"}], Sampling())
        with pytest.raises(ModelError, match="NaN"):
            score(loaded, [{"prompt": "a", "choices": ["billing"]}])
    finally:
        loaded.model.get_input_embeddings().weight.data.copy_(kept)


def test_a_classifier_of_somebody_else_answers_too(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = {0: "neg", 1: "pos"}
    model = AutoModelForSequenceClassification.from_pretrained(bert, id2label=names)
    model.save_pretrained(tmp_path / "theirs")
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "theirs")
    loaded = load.load(tmp_path / "theirs")
    with torch.no_grad():
        expected = model.eval()(
            input_ids=torch.tensor([loaded.tokenizer("abc")["input_ids"]])
        ).logits.argmax()
    assert generate(loaded, [{"prompt": "abc"}], Sampling())[0]["text"] == names[int(expected)]


def test_a_base_without_a_head_says_so(bert: Path) -> None:
    with pytest.raises(ModelError, match="has no head that names classes, and an encoder writes no text"):
        load.load(bert)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    local = LocalBackend(settings=Settings(home=tmp_path / "home"), threads=1)
    yield local
    asyncio.run(local.aclose())


def test_submitted_evaluated_and_compared(backend: LocalBackend, bert: Path, tmp_path: Path) -> None:
    """Through the front door: the text that the classifier sees is the text of the row, to the letter."""
    settings = Settings(home=tmp_path / "home")
    spec = TuneSpec(method=Classify(), epochs=10, batch_size=4, learning_rate=1e-2)
    target = f"local:{bert}"
    job = FineTuneJob.submit(Dataset(labelled(24)), target, spec, backend=backend, settings=settings)
    tuned = job.result()
    # The texts hold what a chat template or a trimmed prompt would change.
    test = Dataset([LabelledExample(text=f"  {WORDS[name]} ask\n", label=name) for name in CLASSES * 4])
    evaluator = Evaluator(test, scorers=[ExactMatch(), Accuracy()], settings=settings)
    evaluation = evaluator.run(str(tuned), backend=backend)
    assert evaluation["exact_match"].value.estimate == evaluation["accuracy"].value.estimate == 1.0
    usage = ask(str(tuned), "  zzz ask\n", backend=backend).usage
    assert usage.input_tokens == len("  zzz ask\n") + 2
    with pytest.raises(ModelError, match="has no head that names classes"):
        evaluator.compare(target, str(tuned), backend=backend)
