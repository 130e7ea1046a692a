"""Files that datasets write: bytes, shapes, what is left out. Knows `Dataset.write` and what reads its files."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tunekit import (
    CompletionExample,
    DataError,
    Dataset,
    DatasetStream,
    LabelledExample,
    SpecError,
    StorageError,
)
from tunekit.data.writers.table import neutral

PAIRS = Dataset.from_records(
    [{"prompt": "2+2", "completion": "4", "day": "Mon"}, {"prompt": "é", "completion": "ß"}], name="sums.csv"
)


def test_own_shape_gives_everything_back(tmp_path: Path) -> None:
    report = PAIRS.write(tmp_path / "out.jsonl")
    again = Dataset.load(report.path)
    assert again == PAIRS
    assert [(row.id, row.meta) for row in again] == [("sums.csv:1", {"day": "Mon"}), ("sums.csv:2", {})]
    assert report.left_out == {}


def test_report_says_what_lies_there(tmp_path: Path) -> None:
    report = PAIRS.write(tmp_path / "out.jsonl")
    data = report.path.read_bytes()
    assert (report.rows, report.size_bytes) == (2, len(data))
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert json.loads(json.dumps(report.to_dict()))["path"] == str(report.path)


def test_openai_gets_chats_without_a_mark_and_foundry_with_one(tmp_path: Path) -> None:
    chats = PAIRS.to_chat()
    plain = chats.write(tmp_path / "a.jsonl", target="openai")
    marked = chats.write(tmp_path / "b.jsonl", target="foundry")
    assert plain.path.read_bytes()[:1] == b"{"
    assert marked.path.read_bytes() == b"\xef\xbb\xbf" + plain.path.read_bytes()
    assert json.loads(plain.path.read_text().splitlines()[0]) == {
        "messages": [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]
    }
    assert Dataset.load(marked.path) == chats


def test_meta_columns_that_a_service_would_refuse_are_left_out_and_counted(tmp_path: Path) -> None:
    report = PAIRS.to_chat().write(tmp_path / "a.jsonl", target="openai")
    assert report.left_out == {"day": 1}
    assert "'day'" in str(report)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".tsv", ".csv.gz"])
def test_equal_rows_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    one = PAIRS.write(tmp_path / f"one{suffix}")
    os.utime(one.path, (0, 0))
    other = PAIRS.write(tmp_path / f"other{suffix}")
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.sha256 == other.sha256


def test_packed_files_hold_the_same_lines(tmp_path: Path) -> None:
    plain = PAIRS.write(tmp_path / "a.jsonl").path.read_bytes()
    assert gzip.decompress(PAIRS.write(tmp_path / "a.jsonl.gz").path.read_bytes()) == plain
    with zstandard.open(PAIRS.write(tmp_path / "a.jsonl.zst").path) as file:
        assert file.read() == plain
    assert Dataset.load(tmp_path / "a.jsonl.gz") == PAIRS


def test_stream_writes_the_same_file(tmp_path: Path) -> None:
    held = PAIRS.write(tmp_path / "a.jsonl")
    streamed = DatasetStream.load(held.path).write(tmp_path / "b.jsonl")
    assert streamed.sha256 == held.sha256


def test_tables_are_for_people(tmp_path: Path) -> None:
    rows = [LabelledExample(text="=cmd()", label="+49 30", id="r:1", meta={"n": -5, "ok": True})]
    path = Dataset(rows).write(tmp_path / "a.csv").path
    with path.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row == {"id": "r:1", "text": "'=cmd()", "label": "'+49 30", "n": "-5", "ok": "true"}


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+x",
        "-cmd",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "-2+3",
        "=5",
        "+1+cmd|' /C calc'!A0",
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_neutral(cell: str) -> None:
    assert neutral(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "a=b", "-5", "+3.25", "'quoted", "text", " -x"])
def test_harmless_cells_stay_as_they_are(cell: str) -> None:
    assert neutral(cell) == cell


@given(st.text(max_size=20))
def test_no_cell_begins_a_formula(cell: str) -> None:
    written = neutral(cell)
    is_number = written[1:].replace(".", "", 1).isdecimal()
    assert not written or is_number or written[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_tables_read_back_as_what_they_show(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Any]
) -> None:
    data = Dataset(
        CompletionExample(prompt=one, completion=two, id=f"r:{n}") for n, (one, two) in enumerate(pairs)
    )
    path = data.write(tmp_path_factory.mktemp("t") / "a.csv").path
    again = Dataset.load(path, input="prompt", target="completion", format="csv", delimiter=",", header=True)
    assert [(row.prompt, row.completion) for row in again if isinstance(row, CompletionExample)] == [
        (neutral(one), neutral(two)) for one, two in pairs
    ]


def test_guarded_cells_are_counted_by_column(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": "=1+1", "completion": "'b", "n": -1e30},
        {"prompt": "a", "completion": "@b"},
        {"prompt": "=2"},
    ]
    report = Dataset.from_records([{"completion": "c", "n": 0} | row for row in rows]).write(
        tmp_path / "t.csv"
    )
    assert report.guarded == report.to_dict()["guarded"] == {"completion": 1, "prompt": 2}
    assert str(report).endswith(
        "; 3 cells that a spreadsheet would run got a ' in front: 'completion', 'prompt'"
    )


def test_a_character_that_ends_tables_is_not_written(tmp_path: Path) -> None:
    data = Dataset.from_records([{"prompt": "a\0b", "completion": "c"}])
    with pytest.raises(DataError, match="row 'records:1' has a NUL in 'prompt'"):
        data.write(tmp_path / "t.csv")
    assert data.fix("strip-control").write(tmp_path / "t.csv").rows == 1


def test_rows_with_other_columns_do_not_fit_a_table(tmp_path: Path) -> None:
    rows = [
        CompletionExample(prompt="a", completion="b"),
        CompletionExample(prompt="a", completion="b", meta={"x": 1}),
    ]
    with pytest.raises(DataError, match="'x', which the first row has not"):
        Dataset(rows).write(tmp_path / "a.csv")
    assert not list(tmp_path.iterdir()), "half a file was left"


def test_no_meta_column_takes_the_place_of_the_content_in_a_table(tmp_path: Path) -> None:
    row = LabelledExample(text="real text", label="ham", id="a:1", meta={"id": 7, "day": "Mon"})
    path = Dataset([row]).write(tmp_path / "a.csv").path
    assert path.read_text().splitlines() == ["id,text,label,day", "7,real text,ham,Mon"]
    with pytest.raises(DataError, match="'label' is called like what stands in the row"):
        Dataset([row.replace(meta={"label": "spam"})]).write(tmp_path / "b.csv")


def test_a_shape_of_lists_is_no_table(tmp_path: Path) -> None:
    data = Dataset([LabelledExample(text="real text", label="ham")] * 2)
    with pytest.raises(SpecError, match="no columns"):
        data.write(tmp_path / "a.csv", shape="pairs")
    assert Dataset.load(data.write(tmp_path / "a.jsonl", shape="pairs").path) == data


@pytest.mark.parametrize("shape", ["alpaca", "openai", "prompt-completion"])
def test_other_shapes_are_read_back(tmp_path: Path, shape: str) -> None:
    data = PAIRS.to_chat() if shape == "openai" else PAIRS
    again = Dataset.load(data.write(tmp_path / "a.jsonl", shape=shape).path)
    assert again == data
    assert [row.meta for row in again] == [row.meta for row in data]


def test_row_that_a_shape_cannot_hold_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sums\.csv:1"):
        PAIRS.write(tmp_path / "a.jsonl", shape="openai")
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"'a\.xlsx'"):
        PAIRS.write(tmp_path / "a.xlsx")
    with pytest.raises(SpecError, match="alpacca"):
        PAIRS.write(tmp_path / "a.jsonl", shape="alpacca")
    with pytest.raises(SpecError, match="opanai"):
        PAIRS.write(tmp_path / "a.jsonl", target="opanai")
    with pytest.raises(StorageError, match="no-such"):
        PAIRS.write(tmp_path / "no-such" / "a.jsonl")
    with pytest.raises(DataError, match="there are no rows"):
        Dataset().write(tmp_path / "a.csv")


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    PAIRS.write(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="JSON cannot hold"):
        (PAIRS + Dataset([CompletionExample(prompt="a", completion="b", meta={"x": {1}})])).write(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("rows", [1, 2, 40])
@pytest.mark.parametrize("label", ["spam", ("a", "b"), ("a",), ()])
def test_pairs_say_how_to_load_them_again(rows: int, label: str | tuple[str, ...], tmp_path: Path) -> None:
    data = Dataset(LabelledExample(text=f"mail {n}", label=label) for n in range(rows))
    report = data.write(tmp_path / "pairs.jsonl", shape="pairs")
    assert report.load_with == {"shape": "pairs"}
    assert str(report).endswith("; to load it again, pass shape='pairs'")
    assert Dataset.load(report.path, **report.load_with) == data  # type: ignore[arg-type]
    assert data.write(tmp_path / "own.jsonl").load_with == {}
