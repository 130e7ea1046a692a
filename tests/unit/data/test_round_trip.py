"""What `write_jsonl` writes, `load` reads back: every kind of example, any text, the same bytes each time."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import DataError, StorageError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    ToolCall,
)

TEXT = st.text(max_size=20)  # all of Unicode but half surrogate pairs, which are no characters
SAID = TEXT.filter(lambda text: bool(text.strip()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
ROW: dict[str, Any] = {"id": TEXT.map(lambda text: text or "row"), "meta": OBJECT}
CALL = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT)
MESSAGE = st.builds(
    Message,
    role=st.sampled_from(["system", "developer", "user", "tool"]),
    content=TEXT,
    name=st.none() | TEXT,
    tool_call_id=st.none() | TEXT,
)
BOT = st.just("assistant")
SPOKEN = st.builds(Message, role=BOT, content=SAID, weight=st.floats(1e-9, 1e9), name=st.none() | TEXT)
CALLING = st.builds(
    Message, role=BOT, content=st.none() | TEXT, tool_calls=st.lists(CALL, min_size=1, max_size=2).map(tuple)
)
ANSWER = SPOKEN | CALLING
TURNS = st.lists(MESSAGE, min_size=1, max_size=3).map(tuple)
CHAT_TURNS = st.tuples(TURNS, ANSWER).map(lambda parts: (*parts[0], parts[1]))
TOOLS = st.lists(OBJECT, max_size=2).map(tuple)
EXAMPLE = st.one_of(
    st.builds(ChatExample, messages=CHAT_TURNS, tools=TOOLS, **ROW),
    st.builds(CompletionExample, prompt=TEXT, completion=SAID, **ROW),
    st.builds(PreferenceExample, messages=TURNS, chosen=SAID, rejected=TEXT, tools=TOOLS, **ROW),
    st.builds(PromptExample, messages=TURNS, reference=OBJECT, tools=TOOLS, **ROW),
    st.builds(LabelledExample, text=SAID, label=SAID | st.lists(SAID, max_size=3).map(tuple), **ROW),
)


@given(st.lists(EXAMPLE, min_size=1, max_size=5))
def test_every_kind_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, examples: list[tk.Example]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    data = tk.Dataset(examples)
    data.write_jsonl(path)
    again = tk.Dataset.load(path)
    assert again == data
    assert [(row.id, row.meta) for row in again] == [(row.id, row.meta) for row in data]
    assert again.fingerprint() == data.fingerprint()
    written = path.read_bytes()
    again.write_jsonl(path)
    assert path.read_bytes() == written


def test_the_bytes_are_plain_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    row = CompletionExample(prompt="caf\u00e9", completion="b\n", id="x.csv:2", meta={"z": 1, "a": None})
    tk.Dataset([row]).write_jsonl(str(path))
    assert path.read_bytes() == (
        b'{"kind":"completion","id":"x.csv:2","meta":{"z":1,"a":null},"prompt":"caf\xc3\xa9","completion":"b\\n"}\n'
    )


def test_an_empty_dataset_writes_an_empty_file(tmp_path: Path) -> None:
    tk.Dataset().write_jsonl(tmp_path / "none.jsonl")
    assert (tmp_path / "none.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (
            CompletionExample(prompt="a", completion="b", meta={"day": date(2026, 1, 2)}, id="r:1"),
            "what JSON cannot hold: Object of type date is not JSON serializable",
        ),
        (
            CompletionExample(prompt="a", completion="cut \ud83d", id="r:1"),
            "half a surrogate pair, '\\ud83d', which has no UTF-8 form",
        ),
        (
            ChatExample(messages=(Message(role="assistant", content="x", weight=float("nan")),), id="r:1"),
            "what JSON cannot hold: Out of range float values are not JSON compliant: nan",
        ),
    ],
    ids=["date", "surrogate", "nan"],
)
def test_rows_that_no_file_can_hold_leave_the_old_file(tmp_path: Path, row: tk.Example, what: str) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_text("old")
    with pytest.raises(DataError) as caught:
        tk.Dataset([row]).write_jsonl(path)
    said = str(caught.value)
    assert said.startswith(f"row 'r:1' holds {what[:60]}")
    assert said.endswith("hint: map the dataset to examples of text and plain numbers")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.jsonl"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    data = tk.Dataset([CompletionExample(prompt="a", completion="b")])
    for path in (tmp_path, tmp_path / "no" / "such" / "folder.jsonl"):
        with pytest.raises(StorageError, match="cannot write"):
            data.write_jsonl(path)
    assert os.listdir(tmp_path) == []


def test_run_directory_rows_are_the_same_shape(tmp_path: Path) -> None:
    # The trainer reads data/train.jsonl; a person may load that very file.
    from tunekit.examples import from_dict, to_dict

    data = tk.Dataset([LabelledExample(text="a", label=("x", "y"), id="t:1")])
    data.write_jsonl(tmp_path / "train.jsonl")
    line = (tmp_path / "train.jsonl").read_text()
    assert from_dict(json.loads(line)) == data[0]
    assert json.loads(line) == to_dict(data[0])
