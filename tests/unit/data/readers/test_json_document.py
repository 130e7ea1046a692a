"""JSON documents: every way in which people write rows as JSON, streamed; and what is wrong, with its place."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.readers import compressed, json_document, json_scanner
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

PAIRS = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "é"}]


def read(content: bytes | str | Any, **options: Any) -> tuple[list[tuple[int, Any]], Notes]:
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content)
    raw = content.encode() if isinstance(content, str) else content
    notes = Notes(name="doc")
    return list(json_document.rows(io.BytesIO(raw), ReadOptions(**options), notes)), notes


def rows(content: Any, **options: Any) -> list[Any]:
    return [row for _, row in read(content, **options)[0]]


def failed(content: Any, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(content, **options)
    assert caught.value.hint
    return caught.value


# --- layouts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "layout"),
    [
        (PAIRS, "array"),
        ({"data": PAIRS}, "wrapper"),
        ({"version": "1.1", "rows": PAIRS, "about": {"by": "us"}}, "wrapper"),
        ({"prompt": ["a", "c"], "completion": ["b", "é"]}, "columns"),
        ({"prompt": {"0": "a", "1": "c"}, "completion": {"0": "b", "1": "é"}}, "indexed columns"),
        ({"columns": ["prompt", "completion"], "index": [0, 1], "data": [["a", "b"], ["c", "é"]]}, "grid"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_the_same_rows_in_every_layout_and_encoding(
    document: Any, layout: str, indent: int | None, encoding: str
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    found, notes = read(text.encode(encoding))
    assert found == [(1, PAIRS[0]), (2, PAIRS[1])]
    assert notes.facts["layout"] == layout


@pytest.mark.parametrize(
    "record",
    [
        {
            "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
            "tools": [{"a": 1}],
        },
        {"prompt": [{"role": "user"}], "completion": [{"role": "assistant"}]},
        {"conversations": [{"from": "human", "value": "x"}]},
        {"prompt": "a", "completion": "b"},
        {"text": "a", "labels": ["x", "y"]},
        {"question": "a", "choices": [{"text": "x"}, {"text": "y"}]},
        {"segments": [{"text": "a", "label": True}]},
        {"input": {"messages": []}, "preferred_output": [{"role": "assistant"}]},
        {str(number): "token" for number in range(2_000)},
    ],
)
def test_one_object_is_one_row(record: dict[str, Any]) -> None:
    found, notes = read(record)
    assert found == [(1, record)]
    assert notes.facts["layout"] == "record"
    assert notes.findings == []


def test_columns_of_message_lists_are_columns() -> None:
    turns = [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]
    assert rows({"messages": turns}) == [{"messages": turns[0]}, {"messages": turns[1]}]


def test_objects_by_their_key() -> None:
    document = {
        "q1": {"text": "a", "label": "x"},
        "q2": {"text": "b", "label": "y"},
        "q3": {"text": "c", "label": "x"},
    }
    assert rows(document)[1] == {"key": "q2", "text": "b", "label": "y"}


# --- parts --------------------------------------------------------------------------------------------

SPLITS = {
    "oos_val": [["meaning of life", "oos"]],
    "train": [["hi", "greet"], ["bye", "part"]],
    "test": [["hello", "greet"]],
    "info": "two thousand",
}


def test_splits_are_read_as_one_and_each_row_says_its_own() -> None:
    found, notes = read(SPLITS)
    assert found == [
        (1, {"text": "meaning of life", "label": "oos", "split": "oos_val"}),
        (2, {"text": "hi", "label": "greet", "split": "train"}),
        (3, {"text": "bye", "label": "part", "split": "train"}),
        (4, {"text": "hello", "label": "greet", "split": "test"}),
    ]
    said = {finding.code: finding for finding in notes.findings}
    assert said["several-parts"].facts["parts"] == {"oos_val": 1, "train": 2, "test": 1}
    assert said["keys-not-read"].facts["keys"] == ["info"]


@pytest.mark.parametrize("part", ["oos_val", "train", "test"])
def test_rows_of_one_part_keep_the_numbers_that_they_have_among_all(part: str) -> None:
    found, notes = read(SPLITS, part=part)
    assert found == [row for row in read(SPLITS)[0] if row[1]["split"] == part]
    assert notes.findings == []


def test_a_row_with_a_split_of_its_own_keeps_it() -> None:
    document = {"train": [{"text": "a", "split": "mine"}], "test": [{"text": "b"}]}
    assert [row["split"] for row in rows(document)] == ["mine", "test"]


def test_splits_may_hold_columns_or_wider_lists() -> None:
    document = {"train": {"p": ["a", "b"], "c": ["x", "y"]}, "test": [["a", "b", 3]]}
    assert rows(document) == [
        {"p": "a", "c": "x", "split": "train"},
        {"p": "b", "c": "y", "split": "train"},
        {"column 1": "a", "column 2": "b", "column 3": 3, "split": "test"},
    ]


@pytest.mark.parametrize(
    ("document", "part", "message", "hint"),
    [
        (
            SPLITS,
            "tset",
            "there is no part 'tset'; the parts are 'oos_val', 'train', 'test', 'info'",
            "did you mean 'test'",
        ),
        (SPLITS, "info", "the part 'info' is text, not rows", "the key of a list"),
        (PAIRS, "train", "there is no part 'train': the document is one list", "leave part out"),
    ],
)
def test_parts_that_are_not_there(document: Any, part: str, message: str, hint: str) -> None:
    error = failed(document, part=part)
    assert error.message.startswith(message)
    assert hint in error.hint


def test_any_key_with_a_list_can_be_read_as_a_part() -> None:
    assert rows({"greet": ["hi", "hello"], "part": ["bye"]}, part="greet") == ["hi", "hello"]


# --- lists --------------------------------------------------------------------------------------------

TABLE = [["text", "label"], ["hi", "greet"], ["bye", "part"]]


def test_lists_stay_lists_until_their_columns_are_named() -> None:
    named = [{"text": "hi", "label": "greet"}, {"text": "bye", "label": "part"}]
    assert rows(TABLE) == TABLE
    assert read(TABLE, header=True)[0] == [(2, named[0]), (3, named[1])]
    assert rows([["a note"], *TABLE], header=2) == named
    assert rows(TABLE[1:], header=("text", "label")) == named
    assert rows(TABLE, wanted=("label",)) == named
    assert rows(TABLE[1:], wanted=("label",)) == TABLE[1:]
    wrong = rows([*TABLE, ["short"]], header=True)[-1]
    assert wrong.message == "the row has 1 cell, the table has 2 columns"
    assert failed(TABLE, header=("a", "b", "c")).message == "3 names for 2 columns: 'a', 'b', 'c'"


# --- what is wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", None, "the document is empty"),
        (" \n ", None, "the document is empty"),
        ("5", 1, "a JSON document of one value, which begins with '5', holds no rows"),
        ("null", 1, "a JSON document of one value, which begins with 'n', holds no rows"),
        ('[{"a": 1},]', 1, "item 2: not valid JSON: expected another value, found ']'"),
        ('[{"a": 1}', 1, "the JSON breaks off"),
        ('[\n{"a": 1},\n{"a": 2', 3, "item 2: the JSON breaks off"),
        ('[{"a": 1} {"b": 2}]', 1, "not valid JSON: expected ',' or ']', found '{'"),
        ('[{"a": 1}]\nx', 2, "the document ends, and then goes on with 'x'"),
        ('{"a": 1}\n{"b": 2}', 2, "the document ends, and then goes on with '{'"),
        (
            '[\n{"a": 1},\n{"a" 1}\n]',
            3,
            "item 2 on line 3: not valid JSON: Expecting ':' delimiter at column 6",
        ),
        (
            '[\n\n{"a": "x"y"},\n{"a": "z"}]',
            3,
            "item 1: not valid JSON: Expecting ',' delimiter at column 10",
        ),
        ('{"a": 1,\n"a": 2}', 2, "the key 'a' occurs twice in one object"),
        ("{1: 2}", 1, "not valid JSON: expected '\"', found '1'"),
        ('{"a": [1], "b": [1, 2]}', 1, "an object with lists of different lengths: 'a' 1, 'b' 2"),
        (
            '{"a": {"0": 1, "1": 2}, "b": {"0": 1, "2": 2}}',
            1,
            "item 2: the columns name different rows, '1', '2'",
        ),
        ("[" * 20_000, 1, "item 1: JSON nested deeper than 10,000 levels"),
        ('[{"é": 1}'.encode("utf-16")[:-1], 1, "item 1: not UTF-16 from somewhere here on"),
    ],
)
def test_a_broken_document_is_an_error_with_its_line(
    content: str | bytes, line: int | None, message: str
) -> None:
    error = failed(content)
    assert error.message.startswith(message)
    assert error.line == line


def test_an_item_that_cannot_be_used_spoils_no_other() -> None:
    items = [
        '{"n": NaN}',
        '{"a": 1, "a": 2}',
        '{"t": "\\ud800"}',
        '{"n": 1e999}',
        "9" * 5_000,
        "[" * 200 + "]" * 200,
    ]
    found, _ = read('[{"ok": 1},\n' + ",\n".join(items) + ',\n{"ok": 2}]')
    assert [number for number, row in found if isinstance(row, DataError)] == [2, 3, 4, 5, 6, 7]
    assert (found[0], found[-1]) == ((1, {"ok": 1}), (8, {"ok": 2}))
    assert found[2][1].message == "item 3 on line 3: the key 'a' occurs twice in one object"
    assert (found[2][1].line, found[2][1].hint) == (3, "keep one of them, or rename one")


def test_bytes_that_are_no_utf8_are_read_as_cp1252_and_said() -> None:
    content = b'[{"a": "caf\xe9"}, {"a": "plain"}, {"a": "\xfcber"}]'
    found, notes = read(content)
    assert found == [(1, {"a": "café"}), (2, {"a": "plain"}), (3, {"a": "über"})]
    assert [(finding.code, finding.rows) for finding in notes.findings] == [
        ("assumed-cp1252", ("doc:1", "doc:3"))
    ]
    strict = read(content, encoding="utf-8")[0]
    assert "byte 0xe9" in strict[0][1].message
    assert strict[1] == (2, {"a": "plain"})


def test_a_packed_object_is_read_though_it_cannot_go_back() -> None:
    content = gzip.compress(json.dumps({"data": PAIRS}).encode())
    file = compressed.opened(io.BufferedReader(io.BytesIO(content)), Notes())
    assert not file.seekable()
    assert [row for _, row in json_document.rows(file, ReadOptions(), Notes())] == PAIRS


# --- streaming ----------------------------------------------------------------------------------------

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


class Trickle(io.BytesIO):
    """Gives a few bytes at once, as pipes do."""

    def __init__(self, content: bytes, dice: random.Random) -> None:
        super().__init__(content)
        self._dice = dice

    def read(self, size: int | None = -1) -> bytes:
        return super().read(
            min(size or 1, self._dice.choice((1, 2, 3, 7, 50))) if size and size > 0 else size
        )


@settings(max_examples=150, deadline=None)
@given(st.lists(values, max_size=8), st.sampled_from([None, 1]), st.booleans(), st.integers())
def test_wherever_chunks_end_the_values_are_those_of_json(
    items: list[Any], indent: int | None, ascii: bool, seed: int
) -> None:
    content = json.dumps(items, indent=indent, ensure_ascii=ascii).encode()
    file = Trickle(content, random.Random(seed))
    found = list(json_document.rows(file, ReadOptions(), Notes()))
    assert found == list(enumerate(items, start=1))


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.text(max_size=5), min_size=3, max_size=3), min_size=1, max_size=4
    ),
    st.integers(),
)
def test_columns_read_in_step_are_those_of_json(table: dict[str, list[str]], seed: int) -> None:
    file = Trickle(json.dumps(table).encode(), random.Random(seed))
    notes = Notes()
    found = [row for _, row in json_document.rows(file, ReadOptions(), notes)]
    if notes.facts["layout"] == "columns":
        assert found == [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]
    else:
        assert notes.facts["layout"] in ("splits", "grid")


def test_another_wording_of_the_decoder_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    json_scanner._shift.cache_clear()
    monkeypatch.setattr(json_scanner, "_TRAILING", re.compile("something else (\\d+)"))
    try:
        assert rows(PAIRS * 50) == PAIRS * 50
    finally:
        json_scanner._shift.cache_clear()


@pytest.mark.parametrize("value", ["token", {"text": "a"}])
def test_what_follows_an_object_of_many_keys_is_refused(value: Any) -> None:
    document = json.dumps({str(number): value for number in range(2_000)})
    assert "the document ends, and then goes on with '['" in failed(document + "[1]").message
