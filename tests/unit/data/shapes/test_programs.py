"""Exports of Prodigy, Label Studio and OpenAI are read as what they mean; what nobody accepted is not learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.data.shapes.law import refusal
from tunekit import Dataset, DatasetStream
from tunekit.data.findings import Finding
from tunekit.data.shapes.choose import choose
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, LabelledExample, Message, PromptExample

U, A = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}
CHAT = ChatExample(messages=(Message(role="user", content="2+2?"), Message(role="assistant", content="4")))


def load(*records: Any, **options: Any) -> tuple[Dataset, dict[str, Finding]]:
    data = Dataset.from_records(list(records), **options)
    return data, {finding.code: finding for finding in data.check().findings}


# --- Prodigy ------------------------------------------------------------------------------------------

TEXTS = ["Where is my parcel?", "I want my money.", "Who are you?"]
BINARY = [
    {"text": text, "label": "delivery", "_input_hash": n, "_task_hash": -n, "answer": answer}
    for n, (text, answer) in enumerate(zip(TEXTS, ["accept", "reject", "ignore"], strict=True))
]


@pytest.mark.parametrize(
    "options", [{}, {"shape": "labelled"}, {"input": "text", "target": "label"}, {"kind": "completion"}]
)
def test_what_was_rejected_is_never_loaded(options: dict[str, Any]) -> None:
    data, findings = load(*BINARY, **options)
    assert [row.id for row in data] == ["records:1"]
    assert data.skipped == ()
    found = findings["unaccepted-annotations"]
    assert (found.severity, found.rows) == ("warning", ("records:2", "records:3"))
    assert found.facts["kinds"] == {"the answer 'reject'": 1, "the answer 'ignore'": 1}
    assert str(found).startswith(
        "warning: unaccepted-annotations: what nobody accepted was not loaded, in 2 rows:"
        " the answer 'reject' (1 row), the answer 'ignore' (1 row)"
    )


def test_accepted_labels_are_read_with_their_columns() -> None:
    [row] = load(*BINARY)[0]
    assert row == LabelledExample(text=TEXTS[0], label="delivery")
    assert row.meta == {"_input_hash": 0, "_task_hash": 0}


def test_rows_without_marks_are_prodigys_where_all_have_its_answers() -> None:
    bare = [{"text": row["text"], "label": row["label"], "answer": row["answer"]} for row in BINARY]
    data, findings = load(*bare)
    assert len(data) == 1 and "unaccepted-annotations" in findings
    chosen = choose(bare)
    assert refusal(lambda: chosen.read({**bare[0], "answer": "yes"}, "r:4")) == (
        "answer: expected one of Prodigy's answers, found 'yes'"
    )
    loans = [{**row, "answer": said} for row, said in zip(bare, ("accept", "deny", "reject"), strict=True)]
    assert len(load(*loans)[0]) == 3


def test_the_answer_itself_may_be_the_label() -> None:
    data, _ = load(*BINARY, input="text", target="answer", kind="labelled")
    assert [row.label for row in data if isinstance(row, LabelledExample)] == ["accept", "reject", "ignore"]


def test_choices_are_labels() -> None:
    options = [{"id": "a", "text": "Class A"}, {"id": "b", "text": "Class B"}]
    task = {"text": "hi", "options": options, "answer": "accept", "_task_hash": 1}
    multiple = {"config": {"choice_style": "multiple"}}
    data, findings = load(
        {**task, "accept": ["a"]}, {**task, "accept": ["a", "b"]}, {**task, "accept": ["a"], **multiple}
    )
    assert [row.label for row in data if isinstance(row, LabelledExample)] == ["a", ("a", "b"), ("a",)]
    assert findings["other-spellings"].facts["kinds"] == {"the options under 'accept' as labels": 3}
    assert refusal(lambda: load({**task, "accept": []})) == "records:1:label: empty text"
    assert (
        refusal(lambda: load({**task, "accept": "a"}))
        == "records:1:accept: expected a list of ids, found text"
    )


def test_nothing_accepted_leaves_nothing_to_learn() -> None:
    assert refusal(lambda: load(*BINARY[1:])) == (
        "records: no row was accepted by its annotators, so nothing is left to learn"
    )


def test_a_stream_of_many_rejected_rows_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(BINARY[n >= 300]) + "\n" for n in range(600)))
    stream = DatasetStream.load(path)
    assert sum(1 for _ in stream) == 300
    path.write_text("".join(json.dumps(BINARY[n < 300]) + "\n" for n in range(600)))
    assert [row.id for row in stream][:1] == ["p.jsonl:301"]
    [found] = [each for each in stream.collect().check().findings if each.code == "unaccepted-annotations"]
    assert len(found.rows) == 300


# --- Label Studio -------------------------------------------------------------------------------------


def result(said: Any, kind: str = "choices", **more: Any) -> dict[str, Any]:
    key = "text" if kind == "textarea" else kind
    return {"from_name": "c", "to_name": "text", "type": kind, "value": {key: said, **more}}


def task(*annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    said = [{"id": n, "was_cancelled": False, **each} for n, each in enumerate(annotations)]
    return {"id": 7, "data": {"text": "Great film", **data}, "annotations": said, "predictions": []}


def test_choices_of_label_studio_are_labels() -> None:
    data, findings = load(
        task({"result": [result(["good"])]}, movie=3, label="old"),
        task({"result": [result(["good", "fun"])]}),
    )
    assert [row.label for row in data if isinstance(row, LabelledExample)] == ["good", ("good", "fun")]
    assert data[0].meta == {"movie": 3, "data.label": "old"}
    assert data.source["shape"] == "labelled"
    assert findings["other-spellings"].facts["kinds"] == {"Label Studio's choices as labels": 2}
    assert load(task({"result": [result(["good"])]}), shape="labelled")[0] == data.head(1)


def test_text_areas_are_completions() -> None:
    row = task({"result": [result(["Un film."], "textarea")]})
    assert list(load(row)[0]) == [CompletionExample(prompt="Great film", completion="Un film.")]


def test_the_annotated_text_is_the_one_that_the_result_names_or_the_only_one() -> None:
    said = {"result": [{**result(["good"]), "to_name": "review"}]}
    assert load({**task(said), "data": {"review": "a", "title": "b"}})[0][0].meta == {"title": "b"}
    assert load({**task(said), "data": {"body": "a", "n": 1}})[0][0] == LabelledExample(
        text="a", label="good"
    )
    assert refusal(lambda: load({**task(said), "data": {"body": "a", "title": "b"}})) == (
        "records:1:data: which text was annotated is not clear: 'review' is none of 'body', 'title'"
    )


def test_cancelled_annotations_and_empty_tasks_are_not_learned_and_said() -> None:
    good, other = {"result": [result(["good"])]}, {"result": [result(["bad"])], "was_cancelled": True}
    data, findings = load(task(good), task(other), task(), task(other, good))
    assert [row.id for row in data] == ["records:1", "records:4"]
    found = findings["unaccepted-annotations"]
    assert found.rows == ("records:2", "records:3", "records:4")
    assert found.facts["kinds"] == {"a cancelled annotation": 2, "a task without an annotation": 1}


def test_annotators_agree_or_one_is_the_truth() -> None:
    good, bad = {"result": [result(["good"])]}, {"result": [result(["bad"])]}
    assert len(load(task(good, good))[0]) == 1
    [row] = load(task(bad, {**good, "ground_truth": True}))[0]
    assert row == LabelledExample(text="Great film", label="good")
    assert refusal(lambda: load(task(good, bad))) == (
        "records:1:annotations: 2 annotations of the task say different things"
    )
    data, _ = load(task(good, bad), task(good), on_error="skip")
    assert [row.id for row in data] == ["records:2"]
    assert [row.id for row in data.skipped] == ["records:1"]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "result: the annotation has no result"),
        (
            [result(["a"]), result(["b"], "textarea")],
            "result: the annotation has 2 results ('choices', 'textarea'), and one is the answer",
        ),
        ([result([3], "rating")], "result[0].type: an annotation of the type 'rating'"),
        ([result(["a"], start=0, end=3)], "result[0].type: an annotation about a part of the text"),
        ([result(["a", "b"], "textarea")], "result[0].value.text: 2 texts stand in one text area"),
        ([result([""])], "result[0].value.choices: empty text"),
        ([result([{}])], "result[0].value.choices: expected text, found an object"),
        (["x"], "result[0]: expected an object, found text"),
    ],
)
def test_annotations_that_cannot_be_read(results: list[Any], message: str) -> None:
    assert refusal(lambda: load(task({"result": results}))) == f"records:1:annotations[0].{message}"


def test_the_flat_export_is_a_table_in_which_several_choices_are_a_list() -> None:
    about = {"id": 1, "annotator": 1, "annotation_id": 5, "lead_time": 2.5}
    rows = [
        {"text": "Great film", "sentiment": "good", **about},
        {"text": "A film", "sentiment": {"choices": ["good", "fun"]}, **about},
    ]
    data, _ = load(*rows, kind="labelled")
    assert [row.label for row in data if isinstance(row, LabelledExample)] == ["good", ("good", "fun")]


# --- stored completions -------------------------------------------------------------------------------

CHOICE = {"index": 0, "message": {**A, "refusal": None, "annotations": []}, "finish_reason": "stop"}
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [U], "choices": [CHOICE]},
        {"messages": [U], "output": A},
        {"messages": [U], "output": [A]},
        {"request": {"messages": [U], "model": "m"}, "response": {"choices": [CHOICE], "id": "r"}},
        {"custom_id": "1", "body": {"messages": [U]}, "response": {"body": {"choices": [CHOICE]}}},
        {"request": {"body": {"input": [U]}}, "response": {"output": [{"type": "reasoning"}, A]}},
    ],
)
def test_what_came_back_is_the_answer(row: Any) -> None:
    data, findings = load(row)
    assert list(data) == [CHAT]
    assert data.source["shape"] == "openai"
    [what] = [each for each in findings["other-spellings"].facts["kinds"] if "last message" in each]
    assert what.endswith("as the last message")


def test_what_stands_beside_is_kept() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = {"messages": [U], "model": "m", "tools": tools}
    [row] = load({"request": request, "response": {"choices": [CHOICE], "id": "r"}, "user": 7})[0]
    assert isinstance(row, ChatExample) and list(row.tools) == tools
    assert row.meta == {"user": 7, "request": {"model": "m"}, "response": {"id": "r"}}


def test_responses_have_instructions_and_typed_parts() -> None:
    [row] = load({"instructions": "Be brief.", "input": [U], "output": [MESSAGE]})[0]
    assert isinstance(row, ChatExample)
    assert [(turn.role, turn.content) for turn in row.messages] == [
        ("system", "Be brief."),
        ("user", "2+2?"),
        ("assistant", "4"),
    ]


def test_several_answers_are_refused() -> None:
    assert refusal(lambda: load({"messages": [U], "choices": [CHOICE, CHOICE]})) == (
        "records:1:choices: the row has 2 answers, and nothing says which is good"
    )
    output = [MESSAGE, {"type": "function_call", "name": "f"}]
    assert refusal(lambda: load({"request": {"input": [U]}, "response": {"output": output}})) == (
        "records:1:response.output: the output has 2 items ('message', 'function_call'), and one message is read"
    )


def test_an_answer_that_was_cut_off_is_a_warning() -> None:
    _, findings = load({"messages": [U], "choices": [{**CHOICE, "finish_reason": "length"}]})
    assert findings["cut-off-answers"].severity == "warning"
    assert findings["cut-off-answers"].facts["kinds"] == {"ended by 'length'": 1}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [U], "output": "4"},
        {"messages": [U], "choices": ["3", "4"]},
        {"messages": [U], "answer": "4", "choices": []},
    ],
)
def test_references_of_graders_stay_what_they_are(row: Any) -> None:
    assert isinstance(load(row)[0][0], PromptExample)


def test_the_caller_may_say_that_it_is_a_reference() -> None:
    [row] = load({"messages": [U], "output": A}, shape="rft")[0]
    assert isinstance(row, PromptExample) and row.reference == {"output": A}
    assert isinstance(load({"messages": [U], "choices": [CHOICE] * 2}, shape="rft")[0][0], PromptExample)


# --- translations -------------------------------------------------------------------------------------


def test_a_translation_is_read_from_its_first_language_and_that_is_said() -> None:
    rows = [
        {"id": "1", "translation": {"en": "Hi", "de": "Hallo"}},
        {"id": "2", "translation": {"de": "Nein", "en": "No"}},
    ]
    data, findings = load(*rows)
    assert list(data) == [
        CompletionExample(prompt="Hi", completion="Hallo"),
        CompletionExample(prompt="No", completion="Nein"),
    ]
    assert data[0].meta == {"id": "1"}
    assert "'en' is read as the input and 'de' as the completion" in findings["guessed-columns"].message
    back, _ = load(*rows, input="de", target="en")
    assert list(back)[:1] == [CompletionExample(prompt="Hallo", completion="Hi")]


def test_more_than_two_languages_must_be_named() -> None:
    row = {"translation": {"en": "Hi", "de": "Hallo", "fr": "Salut"}}
    with pytest.raises(DataError) as caught:
        load(row)
    assert caught.value.hint == "pass the two that are meant, such as input='en', target='de'"
    assert list(load(row, input="fr", target="de")[0]) == [
        CompletionExample(prompt="Salut", completion="Hallo")
    ]


def test_a_translation_without_a_text_is_a_row_with_nothing_to_learn() -> None:
    rows = [{"translation": {"en": "Hi", "de": "Hallo"}}, {"translation": {"en": "Hi", "de": None}}]
    assert refusal(lambda: load(*rows)) == "records:2:de: empty text"
