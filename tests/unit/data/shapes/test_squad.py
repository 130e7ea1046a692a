"""Questions about paragraphs: nested as SQuAD has them or one in a record, answered or not."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.catalogue import recognised, shape
from tunekit.errors import DataError
from tunekit.examples import CompletionExample

SQUAD = shape("squad")
CONTEXT = "Lyon lies on the Rhône."
ASKED = {"id": "1", "question": "Where is Lyon?", "answers": [{"text": "on the Rhône", "answer_start": 10}]}
IMPOSSIBLE = {
    "id": "2",
    "question": "How old is Lyon?",
    "answers": [],
    "is_impossible": True,
    "plausible_answers": [{"text": "Rhône", "answer_start": 17}],
}
PARAGRAPH = {"context": CONTEXT, "qas": [ASKED, IMPOSSIBLE]}
ARTICLE = {"title": "Lyon", "paragraphs": [PARAGRAPH]}


@pytest.mark.parametrize(
    ("record", "meta"),
    [
        ({"version": "v2.0", "data": [ARTICLE]}, {"title": "Lyon", "id": "1"}),
        (ARTICLE, {"title": "Lyon", "id": "1"}),
        (PARAGRAPH, {"id": "1"}),
    ],
)
def test_every_question_of_a_nested_record(record: dict[str, Any], meta: dict[str, Any]) -> None:
    assert recognised(record) is SQUAD
    found = SQUAD.read(record, "s.json:1")
    assert isinstance(found, tuple)
    answered, impossible = found
    assert answered == CompletionExample(prompt=f"{CONTEXT}\n\nWhere is Lyon?", completion="on the Rhône")
    assert (answered.id, answered.meta) == ("s.json:1.1", meta)
    assert impossible == CompletionExample(prompt=f"{CONTEXT}\n\nHow old is Lyon?", completion="unanswerable")
    assert impossible.id == "s.json:1.2"
    assert impossible.meta["is_impossible"] is True and impossible.meta["plausible_answers"]


def test_what_an_impossible_question_is_answered_is_said_with_the_guess() -> None:
    assert 'is answered "unanswerable"' in SQUAD.says


def test_flat_records_keep_all_their_answers() -> None:
    record = {
        "id": "1",
        "title": "Lyon",
        "context": CONTEXT,
        "question": "Where?",
        "answers": {"text": ["on the Rhône", "the Rhône"], "answer_start": [10, 13]},
    }
    found = SQUAD.read(record, "s:1")
    assert isinstance(found, CompletionExample)
    assert (found.prompt, found.completion) == (f"{CONTEXT}\n\nWhere?", "on the Rhône")
    assert SQUAD.write(found) == record
    mended = found.replace(completion="by the Rhône")
    assert SQUAD.write(mended)["answers"] == {"text": ["by the Rhône"], "answer_start": [-1]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"data": [{"paragraphs": {}}]}, "data[0].paragraphs: expected a list, found an object"),
        ({"data": [ARTICLE, 3]}, "data[1]: expected an object, found a number"),
        ({"paragraphs": [{"context": "x"}]}, "paragraphs[0].qas: expected a list, found null or nothing"),
        (
            {"context": "x", "qas": [ASKED, {"question": "y", "answers": "z"}]},
            "qas[1].answers: expected answers, found text",
        ),
        (
            {"context": "x", "qas": [{"question": "y", "answers": [{"text": ""}]}]},
            "qas[0].answers: empty text",
        ),
        ({"paragraphs": []}, "qas: there is no question in the record"),
        (
            {"context": "x", "question": "y", "answers": {"text": [1]}},
            "answers: expected answers, found an object",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        SQUAD.read(record, "s:1")
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_a_prompt_without_a_context_is_not_written() -> None:
    with pytest.raises(DataError, match="no blank line between a context and a question"):
        SQUAD.write(CompletionExample(prompt="Where?", completion="x"))
