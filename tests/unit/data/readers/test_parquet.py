"""Parquet and Arrow: values as JSON holds them, names of class labels, damage as typed errors."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import datasets
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from tunekit.data.readers import compressed, parquet
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError, MissingExtraError

DAY = datetime.datetime.fromisoformat("2024-01-02T03:04:05")  # without a time zone, as most files have them


def as_parquet(table: pyarrow.Table, compression: str = "snappy") -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression=compression, row_group_size=150)
    return file.getvalue()


def as_arrow(make: Callable[..., Any], compression: str | None = None) -> Callable[[pyarrow.Table], bytes]:
    def write(table: pyarrow.Table) -> bytes:
        file = io.BytesIO()
        options = pyarrow.ipc.IpcWriteOptions(compression=compression)
        with make(file, table.schema, options=options) as writer:
            writer.write_table(table)
        return file.getvalue()

    return write


FILES = pytest.mark.parametrize(
    "write",
    [
        as_parquet,
        lambda table: as_parquet(table, "zstd"),
        as_arrow(pyarrow.ipc.new_file),
        as_arrow(pyarrow.ipc.new_stream),
        as_arrow(pyarrow.ipc.new_stream, "zstd"),
    ],
    ids=["parquet", "parquet zstd", "arrow file", "arrow stream", "arrow zstd"],
)


def read(content: bytes, **options: Any) -> tuple[list[tuple[int, Any]], Notes]:
    notes = Notes(name="data")
    return list(parquet.rows(io.BytesIO(content), ReadOptions(**options), notes)), notes


def failed(content: bytes, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(content, **options)
    assert caught.value.hint
    return caught.value


@FILES
def test_values_of_every_type_are_what_json_holds(write: Callable[[pyarrow.Table], bytes]) -> None:
    columns: dict[str, tuple[Any, Any, Any]] = {
        "text": ("a", None, "a"),
        "number": (7, None, 7),
        "share": (0.5, None, 0.5),
        "not a number": (float("nan"), pyarrow.float64(), None),
        "huge": (2**64 - 1, pyarrow.uint64(), 2**64 - 1),
        "yes": (True, None, True),
        "nothing": (None, None, None),
        "day": (DAY.date(), None, "2024-01-02"),
        "moment": (DAY, pyarrow.timestamp("ns"), "2024-01-02T03:04:05"),
        "zoned": (DAY, pyarrow.timestamp("us", "UTC"), "2024-01-02T03:04:05+00:00"),
        "clock": (DAY.time(), None, "03:04:05"),
        "length": (datetime.timedelta(hours=1), None, "1:00:00"),
        "price": (decimal.Decimal("1.50"), None, "1.50"),
        "old text": (b"caf\xc3\xa9", None, "café"),
        "map": ([("k", 1)], pyarrow.map_(pyarrow.string(), pyarrow.int8()), {"k": 1}),
        "turns": ([{"role": "user", "content": "hi"}], None, [{"role": "user", "content": "hi"}]),
        "category": ("p", pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), "p"),
        "deep": (
            [{"at": DAY, "of": [decimal.Decimal("2.0")]}],
            None,
            [{"at": "2024-01-02T03:04:05", "of": ["2.0"]}],
        ),
    }
    table = pyarrow.table({name: pyarrow.array([value], kind) for name, (value, kind, _) in columns.items()})
    rows, notes = read(write(table))
    assert rows == [(1, {name: shown for name, (*_, shown) in columns.items()})]
    assert notes.findings == []
    json.dumps(rows, allow_nan=False)


@FILES
def test_rows_are_numbered_through_all_batches(write: Callable[[pyarrow.Table], bytes]) -> None:
    table = pyarrow.table({"text": [f"text {number}" for number in range(400)], "n": list(range(400))})
    rows, _ = read(write(table))
    assert rows == [(number, {"text": f"text {number - 1}", "n": number - 1}) for number in range(1, 401)]


def test_bytes_that_are_no_text_are_in_base_64_and_that_is_said() -> None:
    table = pyarrow.table(
        {"image": [b"\xff\xd8", b"ok"], "in": [{"bytes": b"\xff"}, None], "name": [b"text", b"\xff"]}
    )
    rows, notes = read(as_parquet(table))
    assert rows[0][1] == {"image": "/9g=", "in": {"bytes": "/w=="}, "name": "text"}
    assert isinstance(rows[1][1], DataError) and rows[1][1].field == "name"
    assert [(finding.code, finding.facts["column"]) for finding in notes.findings] == [
        ("binary-column", "image"),
        ("binary-column", "in"),
    ]


def test_numbers_of_class_labels_get_the_names_that_the_file_has() -> None:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["ham", "spam"]),
            "tags": datasets.List(datasets.ClassLabel(names=["x", "y"])),
        }
    )
    rows = {"text": ["hi", "win!", "yo"], "label": [0, 1, -1], "tags": [[0], [1, 0], []]}
    table = datasets.Dataset.from_dict(rows, features=features).data.table
    found, notes = read(as_parquet(table))
    assert [row for _, row in found] == [
        {"text": "hi", "label": "ham", "tags": ["x"]},
        {"text": "win!", "label": "spam", "tags": ["y", "x"]},
        {"text": "yo", "label": None, "tags": []},
    ]
    assert [finding.code for finding in notes.findings] == ["label-names", "label-names"]
    assert "0 'ham', 1 'spam'" in notes.findings[0].message


@pytest.mark.parametrize(
    "said", [b"[]", b"{", b'{"info": 5}', b'{"info": {"features": {"a": {"names": 5}}}}']
)
def test_metadata_of_another_kind_changes_nothing(said: bytes) -> None:
    table = pyarrow.table({"a": [0]}).replace_schema_metadata({"huggingface": said})
    assert read(as_parquet(table))[0] == [(1, {"a": 0})]


def test_the_index_of_a_pandas_frame_is_left_out() -> None:
    file = io.BytesIO()
    pandas.DataFrame({"q": ["a", "b"]}, index=[5, 9]).to_parquet(file)
    rows, notes = read(file.getvalue())
    assert rows == [(1, {"q": "a"}), (2, {"q": "b"})]
    assert [finding.code for finding in notes.findings] == ["index-left-out"]


def test_a_value_that_python_cannot_hold_spoils_its_row_only() -> None:
    table = pyarrow.table({"at": pyarrow.array([1, 10**18, 2], pyarrow.timestamp("s")), "n": [1, 2, 3]})
    rows, _ = read(as_arrow(pyarrow.ipc.new_stream)(table))
    assert [number for number, row in rows if isinstance(row, DataError)] == [2]
    assert (rows[1][1].field, rows[2][1]["n"]) == ("at", 3)


def test_columns_are_checked() -> None:
    table = pyarrow.table({"text": ["a"], "label": ["b"]})
    assert (
        failed(as_parquet(table), wanted=("Text",)).message
        == "no column 'Text'; the columns are 'text', 'label'"
    )
    twice = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    assert failed(as_arrow(pyarrow.ipc.new_stream)(twice)).message == "several columns are called 'a'"


@FILES
def test_damage_is_an_error_that_says_so(write: Callable[[pyarrow.Table], bytes]) -> None:
    content = write(pyarrow.table({"text": ["a" * 50] * 300}))
    for damaged in (
        content[:40],
        content[: len(content) // 2],
        b"PAR1",
        b"ARROW1\0\0" + b"x" * 90,
        b"\xff\xff\xff\xff\xff",
    ):
        assert "damaged" in failed(damaged).message or "declares" in failed(damaged).message


def test_a_packed_file_is_read_though_it_cannot_go_back() -> None:
    content = as_parquet(pyarrow.table({"text": ["a"]}))
    packed = compressed.opened(io.BufferedReader(io.BytesIO(gzip.compress(content))), Notes())
    assert list(parquet.rows(packed, ReadOptions(), Notes())) == [(1, {"text": "a"})]


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_parquet(pyarrow.table({"text": ["a"]}))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="not installed") as caught:
        read(content)
    assert "tunekit[parquet]" in caught.value.hint
