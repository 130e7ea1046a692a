"""JSON lines into examples: every shape that is read, and what is kept of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import DataError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    ToolCall,
)

USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "hello"}
TURNS = (Message(role="user", content="hi"), Message(role="assistant", content="hello"))


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load_one(tmp_path: Path, row: Any, **options: Any) -> tk.Example:
    data = tk.Dataset.load(write(tmp_path / "rows.jsonl", row), **options)
    assert len(data) == 1
    return data[0]


def test_chat(tmp_path: Path) -> None:
    row = load_one(tmp_path, {"messages": [USER, ASSISTANT], "thread": 7})
    assert row == ChatExample(messages=TURNS)
    assert (row.id, row.meta) == ("rows.jsonl:1", {"thread": 7})


def test_chat_keeps_weights_names_and_tool_calls(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": '{"tz": "UTC"}'}}
    tools = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "time?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": []},
        {"role": "tool", "content": "12:00", "tool_call_id": "c1"},
        {"role": "assistant", "content": "noon", "weight": 0},
        {"role": "assistant", "content": "It is noon.", "weight": 1},
    ]
    row = load_one(tmp_path, {"messages": messages, "tools": tools})
    assert row == ChatExample(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content="time?", name="ann"),
            Message(role="assistant", tool_calls=(ToolCall(id="c1", name="now", arguments='{"tz": "UTC"}'),)),
            Message(role="tool", content="12:00", tool_call_id="c1"),
            Message(role="assistant", content="noon", weight=0.0),
            Message(role="assistant", content="It is noon."),
        ),
        tools=tuple(tools),
    )


def test_weights_have_one_form_so_equal_data_have_equal_fingerprints(tmp_path: Path) -> None:
    prints = {
        tk.Dataset([load_one(tmp_path, {"messages": [USER, {**ASSISTANT, "weight": weight}]})]).fingerprint()
        for weight in (1, 1.0, None)
    }
    assert len(prints) == 1


def test_prompt_and_completion(tmp_path: Path) -> None:
    row = load_one(tmp_path, {"prompt": "a", "completion": "b", "source": {"page": 3}})
    assert row == CompletionExample(prompt="a", completion="b")
    assert row.meta == {"source": {"page": 3}}
    assert load_one(tmp_path, {"prompt": "", "completion": "b"}) == CompletionExample(
        prompt="", completion="b"
    )


def test_bare_text(tmp_path: Path) -> None:
    assert load_one(tmp_path, {"text": " raw "}) == CompletionExample(prompt="", completion=" raw ")


def test_named_keys(tmp_path: Path) -> None:
    row = {"q": "2+2", "a": 4, "level": "easy", "messages": "not looked at"}
    got = load_one(tmp_path, row, input="q", target="a")
    assert got == CompletionExample(prompt="2+2", completion="4")
    assert got.meta == {"level": "easy", "messages": "not looked at"}
    assert load_one(tmp_path, row, target="q") == CompletionExample(prompt="", completion="2+2")
    assert load_one(tmp_path, row, input="q", target="a", kind="labelled") == LabelledExample(
        text="2+2", label="4"
    )
    tagged = load_one(tmp_path, {"q": "x", "a": ["b", "c"]}, input="q", target="a", kind="labelled")
    assert tagged == LabelledExample(text="x", label=("b", "c"))


def test_kind_alone_reads_prompt_and_completion(tmp_path: Path) -> None:
    got = load_one(tmp_path, {"prompt": "a", "completion": "b"}, kind="labelled")
    assert got == LabelledExample(text="a", label="b")


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ({"kind": "chat", "messages": [USER, ASSISTANT]}, ChatExample(messages=TURNS)),
        (
            {"kind": "completion", "prompt": "a", "completion": "b"},
            CompletionExample(prompt="a", completion="b"),
        ),
        (
            {"kind": "preference", "messages": [USER], "chosen": "a", "rejected": "b"},
            PreferenceExample(messages=TURNS[:1], chosen="a", rejected="b"),
        ),
        (
            {"kind": "prompt", "messages": [USER], "reference": {"answer": [1, 2.5, None]}},
            PromptExample(messages=TURNS[:1], reference={"answer": [1, 2.5, None]}),
        ),
        ({"kind": "labelled", "text": "a", "label": "b"}, LabelledExample(text="a", label="b")),
        ({"kind": "labelled", "text": "a", "label": ["b", "c"]}, LabelledExample(text="a", label=("b", "c"))),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_our_own_rows(tmp_path: Path, row: dict[str, Any], example: tk.Example) -> None:
    assert load_one(tmp_path, row) == example
    kept = load_one(tmp_path, {**row, "id": "tickets.csv:9", "meta": {"day": "Mon"}})
    assert (kept.id, kept.meta) == ("tickets.csv:9", {"day": "Mon"})


def test_a_kind_of_the_users_own_is_a_column(tmp_path: Path) -> None:
    row = load_one(tmp_path, {"kind": "angry", "prompt": "a", "completion": "b"})
    assert (row.kind, row.meta) == ("completion", {"kind": "angry"})


def test_blank_lines_bom_crlf_and_a_missing_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  \r\n{"text": "b"}')
    assert [row.id for row in tk.Dataset.load(path)] == ["windows.jsonl:1", "windows.jsonl:4"]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    text = "a\x85b\u2028c\u2029d"  # str.splitlines would make four lines of it
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8", newline="")
    assert load_text(path) == text


def load_text(path: Path, **options: Any) -> str:
    row = tk.Dataset.load(path, **options)[0]
    assert isinstance(row, CompletionExample)
    return row.completion


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "gb18030", "cp1252"]
)
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = (
        "caf\u00e9" if encoding == "cp1252" else "caf\u00e9 \u010a\u0a0d"
    )  # which hold the byte 10 in UTF-16
    path = tmp_path / "text.jsonl"
    path.write_bytes(f'{{"text": "{text}"}}\n{{"text": "b"}}\n'.encode(encoding))
    assert load_text(path, encoding=encoding) == text
    assert len(tk.Dataset.load(path, encoding=encoding)) == 2


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "really_json.csv", {"text": "a"})
    assert len(tk.Dataset.load(path)) == 1
    assert len(tk.Dataset.load(str(path), format="jsonl")) == 1


def test_limit_stops_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b"}\nthis is never looked at')
    assert len(tk.Dataset.load(path, limit=2)) == 2


def test_skipped_rows_are_on_record(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(
        b'{"text": "good"}\n{"text": " "}\n{"text": "bad",}\n{"text": "caf\x81"}\n{"messages": []}\n{"text": "also"}\n'
    )
    data = tk.Dataset.load(path, on_error="skip")
    assert [row.id for row in data] == ["mixed.jsonl:1", "mixed.jsonl:6"]
    assert [(row.line, row.reason) for row in data.skipped] == [
        (2, "text: empty text"),
        (3, "not valid JSON: Expecting property name enclosed in double quotes at column 16"),
        (4, "byte 0x81 at position 14 of the line is not UTF-8 or cp1252"),
        (5, "messages: the list of messages is empty"),
    ]
    assert data.skipped[0].id == "mixed.jsonl:2"
    assert data[:1].skipped == ()


def test_half_a_surrogate_pair_is_refused_and_a_whole_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "emoji.jsonl"
    path.write_text('{"text": "\\ud83d\\ude00"}\n')
    assert load_text(path) == "\U0001f600"
    path.write_text('{"text": "\\ud83d"}\n')
    with pytest.raises(DataError, match=r"holds \\ud83d, half a surrogate pair"):
        tk.Dataset.load(path)


def test_deep_json_is_allowed_up_to_a_hundred_levels(tmp_path: Path) -> None:
    def nested(depth: int) -> str:
        return '{"prompt": "a", "completion": "b", "x": ' + "[" * depth + "]" * depth + "}"

    path = tmp_path / "deep.jsonl"
    path.write_text(nested(99))
    assert tk.Dataset.load(path).fingerprint()
    for depth in (100, 2_000, 100_000):
        path.write_text(nested(depth))
        with pytest.raises(DataError, match=r"deep.jsonl:1: JSON nested deeper than 100 levels\n  hint: "):
            tk.Dataset.load(path)
    wide = {"messages": [USER, ASSISTANT], "tools": [{"a": [{}] * 200}]}
    assert load_one(tmp_path, wide).kind == "chat"
