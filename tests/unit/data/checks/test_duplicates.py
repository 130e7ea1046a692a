"""Copies, disagreements and near duplicates: through `Dataset.check` and `fix`, on rows of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.unit.data import strategies
from tests.unit.data.checks.looking import assistant, chat, look, system, user
from tunekit._canonical import canonical_json
from tunekit.data.checks.duplicates import Disagreements, Duplicates
from tunekit.data.checks.near_duplicates import NearDuplicates
from tunekit.data.similarity import near_rows
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    PreferenceExample,
    PromptExample,
    UnpairedExample,
    to_dict,
)


def numbered(*rows: Example) -> tk.Dataset:
    return tk.Dataset(row.replace(id=f"a.jsonl:{number}") for number, row in enumerate(rows, start=1))


def pair(prompt: str, completion: str, **row: Any) -> CompletionExample:
    return CompletionExample(prompt=prompt, completion=completion, **row)


LONG = (
    "The parcel left our warehouse on Monday and should be with you by the end of this week at the latest, "
)
LATE = f"{LONG * 2}unless the carrier says otherwise."


# --- copies ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(strategies.example(), min_size=1, max_size=5), st.data())
def test_duplicates_are_what_the_fingerprint_counts_as_equal(
    rows: list[Example], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(rows), max_size=4))
    found = numbered(*rows, *[row.replace(meta={"seen": 2}) for row in again])
    contents = [canonical_json(to_dict(row, with_row=False)) for row in found]
    expected = tuple(row.id for index, row in enumerate(found) if contents[index] in contents[:index])
    report = look(found, Duplicates)
    assert (report["duplicate-rows"].rows if "duplicate-rows" in report else ()) == expected
    kept = found.fix("drop-duplicates")
    assert [row.id for row in kept] == [row.id for row in found if row.id not in expected]


@pytest.mark.parametrize("name", ["drop-duplicates", "drop-normalised-duplicates"])
def test_the_report_says_which_row_each_one_repeats(name: str) -> None:
    data = numbered(pair("a", "b"), pair("x", "y"), pair("x", "y"), pair("a", "b"), pair("a", "b"))
    [applied] = data.preview_fix(name).fixes
    assert [(left.row, left.why) for left in applied.reasons] == [
        ("a.jsonl:3", "repeats a.jsonl:2"),
        ("a.jsonl:4", "repeats a.jsonl:1"),
        ("a.jsonl:5", "repeats a.jsonl:1"),
    ]


def test_a_copy_is_named_with_its_group() -> None:
    data = numbered(pair("a", "b"), pair("x", "y"), pair("a", "b"), pair("a", "b"), pair("x", "y"))
    finding = data.check()["duplicate-rows"]
    assert finding.severity == "warning"
    assert finding.rows == ("a.jsonl:3", "a.jsonl:4", "a.jsonl:5")
    assert finding.fix is not None and (finding.fix.name, finding.fix.safety) == ("drop-duplicates", "lossy")
    assert finding.facts == {
        "groups": 2,
        "most_frequent": [{"row": "a.jsonl:1", "times": 3}, {"row": "a.jsonl:2", "times": 2}],
    }
    assert finding.places[0].evidence == "a"
    assert "3 of 5 rows repeat an earlier row to the letter" in finding.message


def test_case_spaces_and_punctuation_make_no_new_row() -> None:
    data = numbered(
        pair("Where is it?", "Here."), pair("where is  IT", "here"), pair("Where is it?", "Here.")
    )
    report = data.check()
    assert report["normalised-duplicates"].rows == ("a.jsonl:2",)
    assert report["duplicate-rows"].rows == ("a.jsonl:3",)  # each row is in one of them
    fixed = data.fix("drop-normalised-duplicates")
    assert [row.id for row in fixed] == ["a.jsonl:1"]
    assert data.dedupe("normalised") == fixed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pair("5 - 3", "2"), pair("5 3", "2")),
        (pair("a", "1"), pair("a", "-1")),
        (LabelledExample(text="a", label="Pos"), LabelledExample(text="a", label="pos")),
        (chat(user("a"), assistant("b")), chat(user("a"), assistant("b"), tools=({"type": "function"},))),
        (
            chat(user("", parts=({"type": "image_url", "image_url": {"url": "x"}},)), assistant("a cat")),
            chat(user("", parts=({"type": "image_url", "image_url": {"url": "y"}},)), assistant("a cat")),
        ),
        (
            UnpairedExample(messages=(user(),), completion="b", desirable=True),
            UnpairedExample(messages=(user(),), completion="b", desirable=False),
        ),
        (
            PreferenceExample(messages=(user(),), chosen="b", rejected="c"),
            PreferenceExample(messages=(user(),), chosen="c", rejected="b"),
        ),
        (
            PromptExample(messages=(user(),), reference={"answer": "b"}),
            PromptExample(messages=(user(),), reference={"answer": "c"}),
        ),
    ],
    ids=lambda row: row.kind,
)
def test_what_differs_in_more_is_no_duplicate(one: Example, other: Example) -> None:
    assert not look(numbered(one, other), Duplicates, NearDuplicates).findings


# --- disagreements --------------------------------------------------------------------------------


def test_two_labels_for_one_text_contradict_each_other() -> None:
    rows = [("late", "delivery"), ("red", "colour"), ("late", "complaint"), ("late", "delivery")]
    data = numbered(*[LabelledExample(text=text, label=label) for text, label in rows])
    finding = data.check()["conflicting-labels"]
    assert finding.severity == "warning"
    assert finding.rows == ("a.jsonl:1", "a.jsonl:3", "a.jsonl:4")
    assert [(place.row, place.field, place.evidence) for place in finding.places] == [
        ("a.jsonl:3", "label", "complaint")
    ]
    assert finding.facts["examples"] == [["a.jsonl:1", "a.jsonl:3", "a.jsonl:4"]]
    fixed = data.fix("drop-conflicting")
    assert [row.id for row in fixed] == ["a.jsonl:2"]
    assert "conflicting-labels" not in fixed.check()


def test_short_answers_conflict_only_where_they_look_like_classes() -> None:
    classes = [pair(f"text {n}", ("yes", "no")[n % 2]) for n in range(20)]
    conflict = look(numbered(*classes, pair("text 1", "yes")), Disagreements)["conflicting-labels"]
    assert conflict.rows == ("a.jsonl:2", "a.jsonl:21")
    chats = [chat(user(row.prompt), assistant(row.completion)) for row in [*classes, pair("text 1", "yes")]]
    assert look(numbered(*chats), Disagreements)["conflicting-labels"].rows == ("a.jsonl:2", "a.jsonl:21")

    free = numbered(*[pair(f"text {n}", f"answer {n}") for n in range(20)], pair("text 1", "another"))
    finding = free.check()["different-answers"]
    assert (finding.severity, finding.fix, finding.facts["inputs"]) == ("info", None, 1)
    assert len(free.fix("drop-conflicting")) == 21  # several answers may be right


def test_a_preference_both_ways_and_a_verdict_both_ways() -> None:
    data = numbered(
        PreferenceExample(messages=(user(),), chosen="b", rejected="c"),
        PreferenceExample(messages=(user(),), chosen="c", rejected="b"),
        PreferenceExample(messages=(user(),), chosen="c", rejected="d"),
        UnpairedExample(messages=(user(),), completion="b", desirable=True),
        UnpairedExample(messages=(user(),), completion="b", desirable=False),
        UnpairedExample(messages=(user(),), completion="c", desirable=False),
    )
    finding = data.check()["conflicting-preferences"]
    assert finding.rows == ("a.jsonl:1", "a.jsonl:2", "a.jsonl:4", "a.jsonl:5")
    fixed = data.fix("drop-conflicting")
    assert [row.id for row in fixed] == ["a.jsonl:3", "a.jsonl:6"]
    assert "conflicting-preferences" not in fixed.check()


def test_what_asks_nothing_disagrees_with_nothing() -> None:
    raw = numbered(pair("", "once upon a time"), pair("", "there was a king"))
    greetings = numbered(chat(system(), assistant("Hello")), chat(system(), assistant("Good day")))
    assert not look(raw, Disagreements).findings
    assert not look(greetings, Disagreements).findings


def test_labels_have_no_order() -> None:
    rows = [LabelledExample(text="late", label=labels) for labels in (("a", "b"), ("b", "a"))]
    assert not look(numbered(*rows), Disagreements).findings


# --- near duplicates ------------------------------------------------------------------------------


def test_rows_that_are_nearly_the_same_are_found_with_what_they_resemble() -> None:
    data = numbered(
        pair("When does my parcel come?", LATE),
        pair(
            "What is your name?",
            "I am the assistant of a small shop, and I answer questions about parcels." * 2,
        ),
        pair("When does my parcel come??", LATE.replace("Monday", "Tuesday")),
        pair("when does my parcel come", LATE.replace("Monday", "Tuesday")),
        pair("Who was Ada Lovelace?", LATE),  # the same answer to another question
    )
    finding = data.check()["near-duplicates"]
    assert (finding.severity, finding.rows) == ("info", ("a.jsonl:3", "a.jsonl:4"))
    assert finding.facts["clusters"] == 1
    assert finding.facts["largest"] == [
        {"row": "a.jsonl:1", "like_it": ["a.jsonl:3", "a.jsonl:4"], "count": 2}
    ]
    fixed = data.fix("drop-near-duplicates")
    assert [row.id for row in fixed] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:5"]
    assert "near-duplicates" not in fixed.check()
    assert data.dedupe("near") == fixed


def test_near_duplicates_of_every_kind() -> None:
    near = LATE.replace("Monday", "Tuesday")
    for one, other in (
        (LabelledExample(text=LATE, label="late"), LabelledExample(text=near, label="late")),
        (chat(system(), user(), assistant(LATE)), chat(system(), user(), assistant(near))),
        (pair("", LATE), pair("", near)),
        (
            UnpairedExample(messages=(user(LATE),), completion="b", desirable=True),
            UnpairedExample(messages=(user(near),), completion="b", desirable=True),
        ),
        (
            PreferenceExample(messages=(user(LATE),), chosen="b", rejected="c"),
            PreferenceExample(messages=(user(near),), chosen="b", rejected="c"),
        ),
        (PromptExample(messages=(user(LATE),)), PromptExample(messages=(user(near),))),
    ):
        assert look(numbered(one, other), NearDuplicates)["near-duplicates"].rows == ("a.jsonl:2",)


def test_what_was_not_compared_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_rows, "MAX_ROWS", 2)
    report = look(numbered(*[pair(f"question {n}", LATE) for n in range(5)]), NearDuplicates)
    finding = report["near-duplicates-unchecked"]
    assert (finding.severity, finding.facts["not_compared"]) == ("info", 3)


def test_the_message_counts_rows_not_examples_of_them() -> None:
    data = numbered(*[pair(f"{n}", LATE.replace("Monday", f"day {n}")) for n in range(30)])
    report = look(data, NearDuplicates)
    assert not report.findings  # "7" is another question than "8", however alike the answers are
    same = numbered(*[pair("When?", LATE.replace("Monday", f"day {n}")) for n in range(30)])
    finding = look(same, NearDuplicates)["near-duplicates"]
    assert len(finding.rows) == 29 and len(finding.places) == 20
    assert len(finding.facts["largest"][0]["like_it"]) == 5 and finding.facts["largest"][0]["count"] == 29


# --- all at once ----------------------------------------------------------------------------------


def test_no_rows_and_one_row_have_no_findings() -> None:
    for rows in ([], [pair("a", "b")]):
        assert not look(rows, Duplicates, Disagreements, NearDuplicates).findings
