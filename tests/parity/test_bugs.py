r"""Each bug of `openai tools fine_tunes.prepare_data` (openai 0.28.1) that was seen when it ran: tunekit does it right.

| what that tool does | test |
|---|---|
| drops wrong rows once others were dropped: long ones stay, good ones go | test_the_rows_that_were_found_are_dropped |
| cuts labels: `label`/`label_b` to nothing and `_b`, then crashes | test_labels_that_begin_alike |
| makes `1..3` of `class_1..3` | test_labels_that_begin_alike |
| lower-cases `YES`/`NO` | test_labels_and_formulas_keep_their_case |
| lower-cases SMILES, in which case means another molecule | test_labels_and_formulas_keep_their_case |
| takes `text goes`, ` thing ->`, `n?`, `. ` for separators | test_accidental_letters_are_no_separator |
| suggests the stops `tive`, `e`, `210`, ` about a thing` | test_accidental_letters_are_no_stop |
| with one row left, takes the whole text for the suffix | test_one_row_is_no_pattern |
| writes JSON null as "None" (with pandas before 3) | test_null_is_no_text |
| loses cells that say NA, null, None, nan | test_words_for_nothing_are_words |
| calls a clean JSON array usable as it is, though JSON lines are needed | test_an_array_becomes_lines |
| shifts columns when each row has one cell too many | test_a_cell_too_many_shifts_nothing |
| warns about every extra column, because a name contains itself | test_extra_columns_are_no_warning |
| does not find a column " completion" | test_names_with_spaces_are_found |
| counts `pos`, `pos `, `Pos`, ` pos` as classes of their own | test_label_variants_are_found |
| never reports one prompt with two labels | test_conflicting_labels_are_found |
| accepts one class, with n_classes 1 | test_one_class_is_no_classification |
| "succeeds" with a header alone, and writes one blank line | test_a_header_alone_is_an_error |
| puts the same prompt into train and valid | test_a_split_leaks_nothing |
| splits without regard to classes | test_a_split_keeps_class_shares |
| passes empty prompts among others | test_blank_prompts_are_found |
| positive class: the most frequent, with its leading space | test_the_positive_class_is_the_one_looked_for |
| estimates time from 8 bytes a cell, however long the text | test_estimates_grow_with_the_text |
| fails at a JSON lines file of one line | test_one_line_is_a_file |
| fails at a byte order mark | test_a_byte_order_mark_is_no_data |
| says "not valid CSV" to latin-1, semicolons, ragged rows, a lone quote | test_a_bad_table_is_told_by_line |
| reads only the first sheet, and a title row as the header | test_a_title_above_the_header |
| `{"data": [...]}` and one object are "missing columns" | test_wrapped_and_single_objects |
| turns the last line break of a text file into an empty row | test_steps.test_0_lines_of_text_... |
| knows no chats, tools, preferences | test_other_kinds_of_rows |
| asks and prints, returns nothing | test_steps.test_nothing_is_printed_... |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.data.advice.cost import estimate
from tunekit.errors import DataError
from tunekit.examples import CompletionExample

SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "Cc1ccc(Cl)cc1", "C1CCCCC1", "c1ccccc1", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"]
TEXT_FIXES = (
    "add-separator",
    "add-stop",
    "add-leading-space",
    "strip-prompt-prefix",
    "strip-completion-prefix",
)
CASE_FIXES = ("lower-case-prompts", "lower-case-completions")


def pairs(data: tk.Dataset) -> list[tuple[str, str]]:
    return [(row.prompt, row.completion) for row in data if isinstance(row, CompletionExample)]


def dataset(rows: Sequence[tuple[str, str]]) -> tk.Dataset:
    return tk.Dataset.from_records(
        {"prompt": prompt, "completion": completion} for prompt, completion in rows
    )


def classes(*labels: str, rows: int = 40) -> tk.Dataset:
    return dataset([(f"Message {i}", labels[i % len(labels)]) for i in range(rows)])


def load(path: Path, text: str | bytes) -> tk.Dataset:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tk.Dataset.load(path)


def rows_or_line(path: Path, text: str) -> list[tuple[str, str]] | int | None:
    """What is read, or the line of the error."""
    try:
        return pairs(load(path, text))
    except DataError as error:
        return error.line


# --- fixes ----------------------------------------------------------------------------------------------


def test_the_rows_that_were_found_are_dropped() -> None:
    short = [(f"Question {i}", f"Answer {i}") for i in range(6)]
    long = [("Long", "word " * 300_000), ("Longer", "text " * 300_000)]
    # Duplicates in front move every later row up; positions from before then point at other rows.
    data = dataset([short[0], short[0], short[0], *short[1:4], long[0], *short[4:], long[1]]).to_chat()
    target = "openai:gpt-4.1-mini-2025-04-14"
    mended = data.fix("drop-duplicates", "drop-over-context", target=target)
    assert [row.id for row in mended] == [f"records:{number}" for number in (1, 4, 5, 6, 8, 9)]
    report = data.preview_fix("drop-over-context", "drop-duplicates", target=target)
    assert {fix.name: fix.left_out for fix in report.fixes} == {
        "drop-duplicates": ("records:2", "records:3"),
        "drop-over-context": ("records:7", "records:10"),
    }


@pytest.mark.parametrize(
    "labels",
    [("label", "label_b"), (" label", " label_b"), ("class_1", "class_2", "class_3"), ("new_a", "new_b")],
)
def test_labels_that_begin_alike_are_not_cut(labels: tuple[str, ...]) -> None:
    data = classes(*labels)
    assert "common-completion-prefix" not in data.check(target="base")
    for mended in (data.fix(target="base"), data.fix("strip-completion-prefix", target="base")):
        assert {name.strip() for name in mended.targets()} == {label.strip() for label in labels}
    assert set(data.hints(target="base").classes) == {label.strip() for label in labels}


@pytest.mark.parametrize("answers", [("YES", "NO"), SMILES, ("USD", "EUR"), ("A", "B", "C")])
def test_labels_and_formulas_keep_their_case(answers: Sequence[str]) -> None:
    data = dataset([(answers[i % len(answers)], answers[i % len(answers)]) for i in range(30)])
    assert not {"upper-case-prompts", "upper-case-completions"} & {f.code for f in data.check(target="base")}
    for mended in (data.fix(), data.fix(target="base"), data.fix(*CASE_FIXES, target="base")):
        assert set(mended.targets()) == set(answers)


@pytest.mark.parametrize("ending", ["text goes", "n?", ". ", "e", "…"])
def test_accidental_letters_are_no_separator(ending: str) -> None:
    data = dataset([(f"{word} {ending}", f"Answer {word}") for word in ("this", "my", "another")])
    assert data.hints(target="base").separator == ""
    assert "no-separator" in data.check(target="base")


def test_the_word_before_a_separator_is_not_part_of_it() -> None:
    data = dataset([(f"{word} thing ->", f"Answer {word}") for word in ("this", "my", "another")])
    assert data.hints(target="base").separator == " ->"


@pytest.mark.parametrize(
    "answers",
    [
        ("positive", "negative"),
        ("blue", "white"),
        ("90210", "10210"),
        ("talk about a thing", "all about a thing"),
    ],
)
def test_accidental_letters_are_no_stop(answers: tuple[str, str]) -> None:
    assert classes(*answers).hints(target="base").stop == ()
    assert dataset([("a ->", answers[0]), ("b ->", answers[1])]).hints(target="base").stop == ()


def test_one_row_is_no_pattern() -> None:
    data = dataset([("Where is my parcel?", "It is on its way.")])
    hints = data.hints(target="base")
    assert (hints.separator, hints.stop) == ("", ())
    shared = {"common-prompt-prefix", "common-prompt-suffix", "common-completion-prefix", "identical-prompts"}
    assert not shared & {found.code for found in data.check(target="base")}
    assert data.fix("strip-prompt-prefix", "strip-completion-prefix", target="base") == data


# --- cells ----------------------------------------------------------------------------------------------


def test_null_is_no_text(tmp_path: Path) -> None:
    text = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": null}\n'
    with pytest.raises(DataError) as caught:
        load(tmp_path / "a.jsonl", text)
    assert (caught.value.line, caught.value.field) == (2, "completion")


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "N/A", "NULL", "NaN", "n/a", "inf", "true"])
def test_words_for_nothing_are_words(tmp_path: Path, word: str) -> None:
    # Namibia's country code is NA, and the answer to "How many are left?" may be None.
    data = load(tmp_path / "a.csv", f"prompt,completion\nWhich code?,{word}\n{word},Which code?\n")
    assert pairs(data) == [("Which code?", word), (word, "Which code?")]
    assert pairs(data.fix()) == pairs(data)


def test_numbers_are_as_they_are_written(tmp_path: Path) -> None:
    data = load(tmp_path / "a.csv", "prompt,completion\nZip?,01234\nPrice?,1.50\nId?,12345678901234567890\n")
    assert [completion for _, completion in pairs(data)] == ["01234", "1.50", "12345678901234567890"]


def test_an_array_becomes_lines(tmp_path: Path) -> None:
    records = [{"prompt": f"q{i}", "completion": f"a{i}"} for i in range(3)]
    for name in ("array.jsonl", "array.json"):
        data = load(tmp_path / name, json.dumps(records, indent=2))
        assert pairs(data) == [(f"q{i}", f"a{i}") for i in range(3)]
        data.write_jsonl(tmp_path / "out.jsonl")
        written = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(line)["completion"] for line in written] == ["a0", "a1", "a2"]


def test_a_cell_too_many_shifts_nothing(tmp_path: Path) -> None:
    text = "prompt,completion\nWhere is it?,delivery,x\nIt broke.,damage,y\n"
    right = [("Where is it?", "delivery"), ("It broke.", "damage")]
    assert rows_or_line(tmp_path / "a.csv", text) in (right, 2)


def test_extra_columns_are_no_warning(tmp_path: Path) -> None:
    report = load(tmp_path / "a.csv", "prompt,completion,id,completion_id\na,b,1,2\n").check()
    assert report["extra-columns"].severity == "info"
    assert "column-twice" not in report


def test_names_with_spaces_are_found(tmp_path: Path) -> None:
    assert pairs(load(tmp_path / "a.csv", "prompt, completion\na,b\n")) == [("a", "b")]


# --- labels ---------------------------------------------------------------------------------------------


def test_label_variants_are_found() -> None:
    data = classes("pos", "pos ", "Pos", " pos", "neg")
    found = data.check()["label-case"]
    assert len(found.rows) == 24
    assert found.fix is not None and found.fix.safety == "semantic"
    merged = data.fix(found.fix.name)
    assert merged.targets() == {"pos": 32, "neg": 8}
    assert not {"label-case", "label-spacing"} & {finding.code for finding in merged.check()}


def test_conflicting_labels_are_found() -> None:
    data = dataset([*pairs(classes("a", "b")), ("Message 0", "b")])
    assert set(data.check()["conflicting-labels"].rows) == {"records:1", "records:41"}


def test_one_class_is_no_classification() -> None:
    data = classes("spam")
    assert not data.check().ok
    assert any("one class" in advice for advice in data.hints().advice)


def test_a_header_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        load(tmp_path / "a.csv", "prompt,completion\n")


def test_a_split_leaks_nothing() -> None:
    data = dataset([(f"Message {i % 50}", "ab"[i % 2]) for i in range(200)])
    train, valid = data.split(test=0.2, seed=42)
    assert not {prompt for prompt, _ in pairs(train)} & {prompt for prompt, _ in pairs(valid)}


def test_a_split_keeps_class_shares() -> None:
    data = dataset([(f"Message {i}", "rare" if i % 50 == 0 else "usual") for i in range(500)])
    _, valid = data.split(test=0.2, seed=42)
    assert dict(valid.targets()) == {"rare": 2, "usual": 98}


def test_blank_prompts_are_found() -> None:
    report = dataset([("Where is it?", "delivery"), ("", "damage"), ("  ", "damage")]).check()
    blank = {row for found in report if found.severity != "info" for row in found.rows}
    assert {"records:2", "records:3"} <= blank


@pytest.mark.parametrize(
    ("labels", "positive"), [((" ham", " ham", " spam"), "spam"), ((" yes", " yes", " no"), "yes")]
)
def test_the_positive_class_is_the_one_looked_for(labels: tuple[str, ...], positive: str) -> None:
    assert classes(*labels).hints().positive_class == positive


def test_estimates_grow_with_the_text() -> None:
    long = dataset([("word " * 1_000 + str(i), "ab"[i % 2]) for i in range(40)])
    jobs = [
        estimate(data, "openai:gpt-4o-2024-08-06", tokens_per_second=1_000)
        for data in (classes("a", "b"), long)
    ]
    assert jobs[1].trained_tokens > 50 * jobs[0].trained_tokens
    assert jobs[0].seconds and jobs[1].seconds and jobs[1].seconds > 50 * jobs[0].seconds


# --- files ----------------------------------------------------------------------------------------------


def test_one_line_is_a_file(tmp_path: Path) -> None:
    assert pairs(load(tmp_path / "a.jsonl", '{"prompt": "a", "completion": "b"}')) == [("a", "b")]


@pytest.mark.parametrize("text", ["prompt,completion\na,b\n", '{"prompt": "a", "completion": "b"}\n'])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_data(tmp_path: Path, text: str, encoding: str) -> None:
    assert pairs(load(tmp_path / "a.dat", text.encode(encoding))) == [("a", "b")]


def test_a_bad_table_is_told_by_line(tmp_path: Path) -> None:
    data = load(tmp_path / "latin.csv", "prompt,completion\na,b\ncafé,c\n".encode("latin-1"))
    assert pairs(data)[1] == ("café", "c")
    assert any("latin.csv:3" in found.rows for found in data.check() if found.severity == "warning")
    assert pairs(load(tmp_path / "semicolon.csv", "prompt;completion\na;b\n")) == [("a", "b")]
    for name, text in {
        "ragged.csv": "prompt,completion\na,b\nc,d,e\nf,g\n",
        "quote.csv": 'prompt,completion\na,b\nc,"d\ne,f\n',
    }.items():
        found = rows_or_line(tmp_path / name, text)
        assert found == 3 or (isinstance(found, list) and found[0] == ("a", "b") and len(found) == 3)


def test_a_title_above_the_header(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")

    book = openpyxl.Workbook()
    for row in [("Support tickets 2026", None), (None, None), ("prompt", "completion"), ("a", "b"), ("c", 7)]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert pairs(tk.Dataset.load(tmp_path / "a.xlsx")) == [("a", "b"), ("c", "7")]


def test_wrapped_and_single_objects(tmp_path: Path) -> None:
    row = {"prompt": "a", "completion": "b"}
    assert pairs(load(tmp_path / "a.json", json.dumps({"data": [row, row]}))) == [("a", "b"), ("a", "b")]
    assert pairs(load(tmp_path / "a.json", json.dumps(row, indent=2))) == [("a", "b")]


def test_other_kinds_of_rows(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
    assert load(tmp_path / "chat.jsonl", json.dumps(chat)).kinds == {"chat"}
    pair = {"prompt": "hi", "chosen": "ho", "rejected": "no"}
    assert load(tmp_path / "pair.jsonl", json.dumps(pair)).kinds == {"preference"}
