"""Leakage: what rows have in common with a test set, across kinds, and what is left when they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import tunekit as tk
from tests.unit.data.checks.looking import assistant, chat, system, user
from tunekit.data.similarity import leaks
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    PreferenceExample,
    Segment,
    SegmentsExample,
)

QUESTION = "When does the parcel that I ordered on Monday come?"
PASSAGE = "it was the best of times it was the worst of times it was the age of wisdom"


def numbered(*rows: Example, name: str = "train.jsonl") -> tk.Dataset:
    return tk.Dataset(row.replace(id=f"{name}:{number}") for number, row in enumerate(rows, start=1))


def asked(*questions: str, name: str = "train.jsonl") -> tk.Dataset:
    rows = [
        CompletionExample(prompt=question, completion=f"answer {n}") for n, question in enumerate(questions)
    ]
    return numbered(*rows, name=name)


def test_nothing_leaks_where_nothing_is_named() -> None:
    report = asked(QUESTION, QUESTION).check()
    assert not any("leak" in finding.code for finding in report)


def test_the_same_question_leaks_whatever_the_answer() -> None:
    train = asked("Who are you?", QUESTION, f"  {QUESTION.upper()} ", "Why?")
    test = asked("What?", QUESTION, QUESTION, name="test.jsonl")
    finding = train.check(against={"test": test})["leaked-questions"]
    assert finding.severity == "error"
    assert finding.rows == ("train.jsonl:2", "train.jsonl:3")
    assert "'test' (2 of its 3 rows)" in finding.message
    assert finding.facts["sets"] == {
        "test": {
            "rows": 2,
            "their_rows": 2,
            "of": 3,
            "to_the_letter": 2,
            "examples": [["train.jsonl:2", "test.jsonl:2"], ["train.jsonl:3", "test.jsonl:2"]],
        }
    }
    fixed = train.fix("drop-leaked", against={"test": test})
    assert [row.id for row in fixed] == ["train.jsonl:1", "train.jsonl:4"]
    assert "leaked-questions" not in fixed.check(against={"test": test})


@pytest.mark.parametrize(
    "row",
    [
        chat(system("Be brief."), user(QUESTION), assistant("Soon.")),
        chat(user(QUESTION)),
        LabelledExample(text=QUESTION, label="delivery"),
        CompletionExample(prompt="", completion=QUESTION),
        PreferenceExample(messages=(system(), user(QUESTION)), chosen="Soon.", rejected="No."),
        SegmentsExample(segments=(Segment(text=QUESTION, learn=False), Segment(text="Soon.", learn=True))),
    ],
    ids=lambda row: row.kind,
)
def test_questions_leak_across_kinds(row: Example) -> None:
    test = asked(QUESTION, name="test.jsonl")
    assert numbered(row).check(against=test)["leaked-questions"].rows == ("train.jsonl:1",)
    assert test.check(against=numbered(row))["leaked-questions"].rows == ("test.jsonl:1",)


def test_a_shared_system_prompt_is_no_leak() -> None:
    train = numbered(chat(system(PASSAGE), user("Who are you?"), assistant("I help.")))
    test = numbered(chat(system(PASSAGE), user("What is this?"), assistant("A shop.")), name="test.jsonl")
    assert not any("leak" in finding.code for finding in train.check(against=test))


def test_thirteen_words_in_a_row_leak_from_questions_and_answers() -> None:
    test = numbered(
        CompletionExample(prompt="How does it begin?", completion=f"Well: {PASSAGE}."), name="test.jsonl"
    )
    train = asked(f"Who wrote '{PASSAGE.upper()}'?", "Who wrote it was the best of times?")
    report = train.check(against={"test": test})
    assert report["leaked-passages"].rows == ("train.jsonl:1",)
    assert report["leaked-passages"].severity == "warning"
    fixed = train.fix("drop-nearly-leaked", against={"test": test})
    assert [row.id for row in fixed] == ["train.jsonl:2"]
    assert "leaked-passages" not in fixed.check(against={"test": test})


def test_what_stands_in_most_rows_of_the_other_set_is_its_template() -> None:
    ways = [
        "a goose",
        "the moon",
        "my cousin",
        "some rain",
        "old shoes",
        "this town",
        "big numbers",
        "no one",
    ]
    test = asked(*[f"{PASSAGE} and now tell me about {way}" for way in ways], name="test.jsonl")
    train = asked(*[f"{PASSAGE} and then what happened to {n * n} knights of the realm" for n in range(5)])
    assert "leaked-passages" not in train.check(against=test)
    few = asked(f"{PASSAGE} and now tell me about a goose", *ways, name="test.jsonl")
    assert len(train.check(against=few)["leaked-passages"].rows) == 5


def test_nearly_the_same_question_leaks() -> None:
    test = asked(QUESTION, name="test.jsonl")
    train = asked(QUESTION.replace("Monday", "Mondays"), "When does my train come?")
    report = train.check(against={"test": test})
    assert report["nearly-leaked-questions"].rows == ("train.jsonl:1",)
    fixed = train.fix("drop-nearly-leaked", against={"test": test})
    assert [row.id for row in fixed] == ["train.jsonl:2"]
    assert "nearly-leaked-questions" not in fixed.check(against={"test": test})


def test_several_sets_are_told_apart() -> None:
    sets: Mapping[str, tk.Dataset] = {
        "valid": asked(QUESTION, name="valid.jsonl"),
        "test": asked(QUESTION, "Who?", name="test.jsonl"),
    }
    finding = asked(QUESTION, "Who?").check(against=sets)["leaked-questions"]
    assert finding.rows == ("train.jsonl:1", "train.jsonl:2")
    assert {name: facts["rows"] for name, facts in finding.facts["sets"].items()} == {"valid": 1, "test": 2}


def test_what_was_not_compared_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "MAX_PASSAGES", 3)
    monkeypatch.setattr(leaks, "MAX_BYTES", 60)
    test = asked(PASSAGE, QUESTION, name="test.jsonl")
    train = asked(QUESTION, f"Is it {QUESTION} or {PASSAGE}", "Who?")
    report = train.check(against={"test": test})
    assert report["leaked-questions"].rows == ("train.jsonl:1",)  # equal questions are always found
    finding = report["leakage-unchecked"]
    assert finding.facts["sets"]["test"]["rows"] >= 1 and finding.facts["sets"]["test"]["their_rows"] >= 1


def test_rows_without_words_leak_only_to_the_letter() -> None:
    test = asked(":)", "", name="test.jsonl")
    assert asked(":(", "?").check(against=test).errors == ()
    assert asked(":)").check(against=test)["leaked-questions"].rows == ("train.jsonl:1",)


@pytest.mark.parametrize("against", ["test.jsonl", {"test": "test.jsonl"}, {"test": 5}])
def test_another_set_that_is_no_examples_is_refused(against: Any) -> None:
    with pytest.raises(tk.SpecError, match="holds no examples") as error:
        numbered(chat(user(), assistant())).check(against=against)
    assert "load it first" in error.value.hint
