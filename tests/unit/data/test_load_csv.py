"""Tables into examples: quoting, delimiters, line ends, encodings, and where each row came from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.examples import CompletionExample, LabelledExample

COLUMNS = {"input": "text", "target": "label"}


def load(tmp_path: Path, content: str | bytes, name: str = "rows.csv", **options: Any) -> tk.Dataset:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tk.Dataset.load(path, **{**COLUMNS, **options})


def pairs(data: tk.Dataset) -> list[tuple[str, str]]:
    return [(row.prompt, row.completion) for row in data if isinstance(row, CompletionExample)]


def test_named_columns_and_meta(tmp_path: Path) -> None:
    data = load(tmp_path, "id,text,label\n7,hello,greeting\n8,bye,parting\n")
    assert pairs(data) == [("hello", "greeting"), ("bye", "parting")]
    assert [row.meta for row in data] == [{"id": "7"}, {"id": "8"}]
    assert data.kinds == {"completion"}


def test_labelled(tmp_path: Path) -> None:
    data = load(tmp_path, "text,label\nhello,greeting\n", kind="labelled")
    assert [*data] == [LabelledExample(text="hello", label="greeting")]


def test_prompt_and_completion_need_no_names(tmp_path: Path) -> None:
    assert pairs(load(tmp_path, "completion,prompt\nb,a\n", input=None, target=None)) == [("a", "b")]


def test_target_alone_is_raw_text(tmp_path: Path) -> None:
    assert pairs(load(tmp_path, "text\none\ntwo\n", input=None, target="text")) == [("", "one"), ("", "two")]


def test_cells_are_kept_to_the_letter(tmp_path: Path) -> None:
    # pandas would make NaN of NA and null, and 7 of 007.
    content = 'text,label\n NA ,null\n"say ""hi"", now",007\n'
    assert pairs(load(tmp_path, content)) == [(" NA ", "null"), ('say "hi", now', "007")]


def test_ids_are_the_lines_where_rows_begin(tmp_path: Path) -> None:
    content = 'text,label\r\n"two\nlines",a\r\n\r\n"three\r\nmore\rlines",b\r\nlast,c'
    data = load(tmp_path, content)
    assert [row.id for row in data] == ["rows.csv:2", "rows.csv:5", "rows.csv:8"]
    assert pairs(data) == [("two\nlines", "a"), ("three\r\nmore\rlines", "b"), ("last", "c")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, end: str, bom: str) -> None:
    data = load(tmp_path, bom + end.join(["text,label", "a,b", '"c",d']) + end)
    assert pairs(data) == [("a", "b"), ("c", "d")]
    assert [row.id for row in data] == ["rows.csv:2", "rows.csv:3"]


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("t.tsv", "\t"), ("t.txt", "\t"), ("t.csv", ";"), ("t.csv", "|"), ("t", ","), ("t.jsonl", ",")],
)
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, name: str, delimiter: str) -> None:
    content = f"text{delimiter}label\na b{delimiter}c\n"
    assert pairs(load(tmp_path, content, name)) == [("a b", "c")]


def test_a_delimiter_can_be_given(tmp_path: Path) -> None:
    assert pairs(load(tmp_path, "text:label\na,b:c\n", delimiter=":")) == [("a,b", "c")]
    assert pairs(load(tmp_path, "text\tlabel\na\tb\n", "x.dat", format="tsv")) == [("a", "b")]


def test_encodings(tmp_path: Path) -> None:
    rows = "text,label\n\u00a35 \u2013 caf\u00e9,b\n"
    for encoding in ("cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-be"):
        assert pairs(load(tmp_path, rows.encode(encoding), encoding=encoding)) == [
            ("\u00a35 \u2013 caf\u00e9", "b")
        ]


def test_columns_without_a_name_or_with_the_same_name(tmp_path: Path) -> None:
    content = "text,label,,note,note,\na,b,,x,y,\nc,d,spill,,,\n"
    first, second = load(tmp_path, content)
    assert first.meta == {"note": "x", "note (5)": "y"}
    assert second.meta == {"column 3": "spill", "note": "", "note (5)": ""}


def test_rows_of_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert len(load(tmp_path, "\n\ntext,label\n\na,b\n\n\n")) == 1


def test_skip_leaves_out_rows_and_says_which(tmp_path: Path) -> None:
    data = load(tmp_path, "text,label\na,\nb,x\nc\nd,y,z\n ,q\n", on_error="skip")
    assert pairs(data) == [("b", "x"), (" ", "q")]
    assert [(row.id, row.reason) for row in data.skipped] == [
        ("rows.csv:2", "label: empty text"),
        ("rows.csv:4", "the row has 1 cell, the header has 2"),
        ("rows.csv:5", "the row has 3 cells, the header has 2"),
    ]


def test_the_hosts_csv_settings_are_left_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    load(tmp_path, 'text,label\n"' + "a" * 100_000 + '",b\n')
    assert csv.field_size_limit() == before


def test_conversations_in_cells_are_json(tmp_path: Path) -> None:
    said = [{"role": "user", "content": 'a, "b"'}, {"role": "assistant", "content": "c"}]
    cell = json.dumps(said).replace('"', '""')
    path = tmp_path / "chats.csv"
    path.write_text(f'messages,day\n"{cell}",Mon\n', encoding="utf-8")
    [chat] = tk.Dataset.load(path)
    assert isinstance(chat, tk.ChatExample)
    assert [(turn.role, turn.content) for turn in chat.messages] == [("user", 'a, "b"'), ("assistant", "c")]
    assert chat.meta == {"day": "Mon"}
    path.write_text('messages,day\n"[{""role"": ",Mon\n', encoding="utf-8")
    with pytest.raises(tk.DataError, match=r"chats.csv:2:messages: not valid JSON"):
        tk.Dataset.load(path)
