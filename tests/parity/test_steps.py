r"""Each step of `openai tools fine_tunes.prepare_data` (openai 0.28.1): data that trigger it, and what tunekit does.

Steps are numbered as in that tool's list of validators. Prompt formats (9 to 15) are checked for targets that continue
plain text, such as "base"; chat templates do that work for all others.

| # | step | what it does there | here | test |
|---|---|---|---|---|
| 0 | read_any_format | reads by file name | reads by content | test_0 |
| 1 | num_examples | counts, asks for more under 100 | `few-rows` | test_1 |
| 2 | necessary_column prompt | lower-cases the name, or ends | finds any spelling; or names the columns | test_2 |
| 3 | necessary_column completion | same | same | test_3 |
| 4 | additional_column | drops them | keeps them in meta, `extra-columns` | test_4 |
| 5 | empty completion | drops rows | refuses or skips by line; `skipped-rows` | test_5 |
| 6 | format_inferrer | says "classification" | `hints()`: task, reason, classes | test_6 |
| 7 | duplicated_rows | offers to drop later copies | `duplicate-rows`, fix by name | test_7 |
| 8 | long_examples | over 10,000 characters, offers to drop | over the target's tokens, fix by name | test_8 |
| 9 | lower_case prompt | a third of letters, lowers the column | sentences in capitals, fix by name | test_9 |
| 10 | lower_case completion | same | same | test_10 |
| 11 | common_prompt_suffix | any common letters, adds a separator | real separators, fix by name | test_11 |
| 12 | common_prompt_prefix | over 12 characters, strips them | over 12 of whole words, fix by name | test_12 |
| 13 | common_completion_prefix | from 5 characters, strips them | captions, never labels, fix by name | test_13 |
| 14 | common_completion_suffix | any common letters, adds a stop | real stop sequences, fix by name | test_14 |
| 15 | completions_space_start | puts a space in front | the same, fix by name | test_15 |
| - | write_out_file | splits, writes JSONL, prints a command | `split`, `write_jsonl`, `hints().code` | test_written |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import DataError
from tunekit.examples import CompletionExample

ROWS = [("Where is it?", "delivery"), ("It broke.", "damage"), ("Is it late, or lost?", "delivery")]


def pairs(data: tk.Dataset) -> list[tuple[str, str]]:
    return [(row.prompt, row.completion) for row in data if isinstance(row, CompletionExample)]


def dataset(rows: Sequence[tuple[str, str]]) -> tk.Dataset:
    return tk.Dataset.from_records(
        {"prompt": prompt, "completion": completion} for prompt, completion in rows
    )


def many(prompt: str = "Question {}?", completion: str = "Answer {}.") -> tk.Dataset:
    return dataset([(prompt.format(i), completion.format(i)) for i in range(100)])


def table(delimiter: str) -> str:
    rows = [("prompt", "completion"), *ROWS]
    return "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows)


def lines() -> str:
    return "".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in ROWS)


def array() -> str:
    return json.dumps([{"prompt": p, "completion": c} for p, c in ROWS])


def indented() -> str:
    return json.dumps([{"prompt": p, "completion": c} for p, c in ROWS], indent=2)


def columns() -> str:
    return json.dumps({"prompt": [p for p, _ in ROWS], "completion": [c for _, c in ROWS]})


# --- 0: reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", lambda: table(",")),
        ("a.tsv", lambda: table("\t")),
        ("a.csv", lambda: table(";")),
        ("a.dat", lambda: table("\t")),
        ("a.jsonl", lines),
        ("a.json", array),
        ("a.json", indented),
        ("a.json", columns),
        ("a.json", lines),
        ("a.jsonl", array),
        ("a.jsonl", indented),
        ("a", lines),
        ("a.dat", lambda: table(",")),
    ],
)
def test_0_a_file_is_read_by_what_is_in_it(tmp_path: Path, name: str, text: Callable[[], str]) -> None:
    path = tmp_path / name
    path.write_text(text(), encoding="utf-8")
    assert pairs(tk.Dataset.load(path)) == ROWS


def test_0_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")

    book = openpyxl.Workbook()
    for row in [("prompt", "completion"), *ROWS]:
        book.active.append(row)
    book.create_sheet("notes")
    book.save(tmp_path / "a.xlsx")
    assert pairs(tk.Dataset.load(tmp_path / "a.xlsx")) == ROWS


def test_0_lines_of_text_and_no_row_for_the_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Once upon a time.\nThe end.\n", encoding="utf-8")
    assert pairs(tk.Dataset.load(path)) == [("", "Once upon a time."), ("", "The end.")]


# --- 1 to 5: rows and columns ---------------------------------------------------------------------------


def test_1_few_rows() -> None:
    report = dataset(ROWS).check()
    assert report["few-rows"].facts == {"rows": 3}
    assert "few-rows" not in many().check()


@pytest.mark.parametrize("name", ["Prompt", "PROMPT", " prompt", "prompt "])
def test_2_the_prompt_column_in_other_spelling(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{name},completion\na,b\n", encoding="utf-8")
    assert pairs(tk.Dataset.load(path)) == [("a", "b")]


@pytest.mark.parametrize("name", ["Completion", "COMPLETION", " completion", "completion "])
def test_3_the_completion_column_in_other_spelling(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,{name}\na,b\n", encoding="utf-8")
    assert pairs(tk.Dataset.load(path)) == [("a", "b")]


@pytest.mark.parametrize("header", ["prompt,reply", "question,completion", "a,b"])
def test_2_and_3_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\nWhere is it?,delivery\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path)
    assert all(name in str(caught.value) for name in header.split(","))


def test_4_other_columns_are_kept_aside_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion,day\na,b,Mon\n", encoding="utf-8")
    data = tk.Dataset.load(path)
    assert data[0].meta == {"day": "Mon"}
    report = data.check()
    assert report["extra-columns"].facts == {"columns": {"day": 1}}
    assert "column-twice" not in report


def test_5_rows_with_nothing_to_learn_are_refused_or_skipped_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\na,b\nc,\nd,e\nf,\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path)
    assert caught.value.line == 3
    data = tk.Dataset.load(path, on_error="skip")
    assert pairs(data) == [("a", "b"), ("d", "e")]
    assert [skipped.line for skipped in data.skipped] == [3, 5]
    assert data.check()["skipped-rows"].rows == ("a.csv:3", "a.csv:5")


# --- 6 to 8: task, duplicates, length -------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "task"), [(12, "generation"), (13, "classification")])
def test_6_classification_is_inferred_by_the_same_rule(rows: int, task: str) -> None:
    hints = dataset([(f"Question {i}?", "abcd"[i % 4]) for i in range(rows)]).hints()
    assert hints.task == task
    assert "4 different answers" in hints.reason
    assert ("small" in str(hints)) == (task == "classification")  # there: "we recommend ... such as ada"


def test_6_without_prompts_generation_is_open_ended() -> None:
    assert dataset([("", f"Text {i}.") for i in range(9)]).hints().task == "open-ended"


def test_7_later_copies_of_a_row_are_dropped_by_name() -> None:
    data = dataset([*ROWS, ROWS[0], *ROWS])
    found = data.check()["duplicate-rows"]
    assert found.rows == tuple(f"records:{number}" for number in (4, 5, 6, 7))
    assert found.fix and found.fix.safety != "lossless"
    assert len(data.fix()) == 7
    assert pairs(data.fix(found.fix.name)) == ROWS
    assert "duplicate-rows" not in data.fix(found.fix.name).check()


def test_8_rows_that_a_target_would_cut_are_dropped_by_name() -> None:
    data = dataset([*ROWS, ("Tell me all.", "word " * 300_000)]).to_chat()
    target = "openai:gpt-4.1-mini-2025-04-14"
    found = data.check(target=target)["target-row-tokens"]
    assert found.rows == ("records:4",)
    assert found.fix and found.fix.safety == "lossy"
    assert [row.id for row in data.fix(found.fix.name, target=target)] == [f"records:{i}" for i in (1, 2, 3)]


# --- 9 to 15: prompts and completions of plain text -----------------------------------------------------


def named(data: tk.Dataset, code: str, fix: str) -> tk.Dataset:
    """The data after the fix that the finding proposes: nothing unasked, and the finding is gone."""
    found = data.check(target="base")[code]
    assert found.fix is not None and (found.fix.name, found.fix.safety) == (fix, "semantic")
    assert data.fix(target="base") == data
    assert code not in data.check()  # chats have no such thing
    mended = data.fix(fix, target="base")
    assert code not in mended.check(target="base")
    assert mended.fix(fix, target="base") == mended
    assert [row.id for row in mended] == [row.id for row in data]
    return mended


def test_9_prompts_in_capitals() -> None:
    data = many(prompt="WHERE IS MY PARCEL {}?")
    assert pairs(named(data, "upper-case-prompts", "lower-case-prompts"))[0][0] == "where is my parcel 0?"


def test_10_completions_in_capitals() -> None:
    data = many(completion="IT IS ON ITS WAY {}.")
    assert (
        pairs(named(data, "upper-case-completions", "lower-case-completions"))[0][1] == "it is on its way 0."
    )


def test_11_prompts_without_a_separator() -> None:
    assert pairs(named(many(), "no-separator", "add-separator"))[0][0] == "Question 0? ->"
    data = many(prompt="Subject {}\nBody")
    assert pairs(named(data, "no-separator", "add-separator"))[0][0] == "Subject 0\nBody\n\n###\n\n"


def test_11_a_separator_in_use_is_told_with_the_hints() -> None:
    data = many(prompt="Question {}?\n\n###\n\n")
    assert data.hints(target="base").separator == "\n\n###\n\n"
    assert not {"no-separator", "missing-separator"} & {found.code for found in data.check(target="base")}


def test_11_a_separator_that_occurs_earlier_too() -> None:
    data = dataset([*pairs(many(prompt="Question {}? ->")), ("A -> B ->", "Yes.")])
    assert data.check(target="base")["separator-inside"].rows == ("records:101",)


def test_11_a_long_ending() -> None:
    data = many(prompt="Message {}. What is the intent of this message?")
    assert data.check(target="base")["common-prompt-suffix"].severity == "info"


def test_11_identical_prompts_are_an_error_and_not_fatal() -> None:
    report = many(prompt="Tell me more.").check()
    assert not report.ok
    assert "leave prompts empty" in report["identical-prompts"].message


def test_12_an_instruction_in_front_of_every_prompt() -> None:
    data = many(prompt="Classify the following: text {}")
    assert pairs(named(data, "common-prompt-prefix", "strip-prompt-prefix"))[7][0] == "7"


def test_13_a_caption_in_front_of_every_completion() -> None:
    data = many(completion=" Answer: it is {}.")
    assert pairs(named(data, "common-completion-prefix", "strip-completion-prefix"))[7][1] == " it is 7."


def test_14_completions_without_a_stop_sequence() -> None:
    assert pairs(named(many(completion="It is {}"), "no-stop", "add-stop"))[0][1] == "It is 0\n"
    data = many(completion="It is\n{}")
    assert pairs(named(data, "no-stop", "add-stop"))[0][1] == "It is\n0 END"
    assert data.fix("add-stop", target="base").hints(target="base").stop == (" END",)


def test_14_identical_completions_are_an_error() -> None:
    assert not many(completion="Yes.").check().ok


def test_15_completions_without_a_leading_space() -> None:
    assert pairs(named(many(), "no-leading-space", "add-leading-space"))[0][1] == " Answer 0."


# --- what comes out -------------------------------------------------------------------------------------


def test_written_files_and_the_next_command(tmp_path: Path) -> None:
    data = dataset([(f"Message {i}", "spam" if i % 5 == 0 else "ham") for i in range(100)])
    hints = data.hints()
    assert (hints.test, hints.positive_class, dict(hints.classes)) == (0.2, "spam", {"ham": 80, "spam": 20})
    assert "tk.FineTuneJob.submit(train, " in hints.code
    train, valid = data.split(test=0.2, seed=0)
    assert (len(train), len(valid), dict(valid.targets())) == (80, 20, {"ham": 16, "spam": 4})
    path = tmp_path / "train.jsonl"
    train.write_jsonl(path)
    assert tk.Dataset.load(path) == train


def test_a_clean_file_needs_nothing() -> None:
    data = many(prompt="Question {}?\n\n###\n\n", completion=" Answer {}. END")
    report = data.check(target="base")
    assert not [found for found in report if found.severity != "info"]
    assert data.fix(target="base") == data


def test_nothing_is_printed_and_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    data: Any = dataset(ROWS)
    str(data.check()), data.fix(), str(data.hints()), str(data.preview_fix())
    assert capsys.readouterr() == ("", "")
