"""pandas and polars frames as datasets. Knows `Dataset.from_pandas`, `from_polars` and their streams."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import numpy
import pandas
import polars
import pytest

from tunekit import CompletionExample, DataError, Dataset, DatasetStream, LabelledExample, SpecError

DAY = datetime.date(2026, 11, 22)


def test_pandas_cells_are_what_a_person_sees() -> None:
    frame = pandas.DataFrame(
        {
            "q": ["2+2", "3+3"],
            "a": [4, 6],
            "share": [0.5, numpy.nan],
            "day": [pandas.Timestamp("2026-11-22 10:00"), pandas.NaT],
            "seen": pandas.array([True, None], dtype="boolean"),
            "n": numpy.array([1, 2], dtype="int8"),
            "tags": [["x"], []],
        },
        index=[7, 9],
    )
    data = Dataset.from_pandas(frame, name="sheet", input="q", target="a")
    assert [(row.id, row.completion) for row in data if isinstance(row, CompletionExample)] == [
        ("sheet:1", "4"),
        ("sheet:2", "6"),
    ]
    assert data[0].meta == {"share": 0.5, "day": "2026-11-22T10:00:00", "seen": True, "n": 1, "tags": ["x"]}
    assert data[1].meta == {"share": None, "day": None, "seen": None, "n": 2, "tags": []}


def test_missing_answer_is_an_error_or_skipped() -> None:
    frame = pandas.DataFrame({"q": ["a", "b"], "a": ["x", None]})
    with pytest.raises(DataError) as caught:
        Dataset.from_pandas(frame, input="q", target="a")
    assert caught.value.line == 2
    assert len(Dataset.from_pandas(frame, input="q", target="a", on_error="skip")) == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_polars_frames_lazy_or_not(lazy: bool) -> None:
    frame = polars.DataFrame(
        {
            "text": ["hi", "yo"],
            "label": ["greet", "greet"],
            "day": [DAY, None],
            "price": [decimal.Decimal("1.50"), None],
        }
    )
    given = frame.lazy() if lazy else frame
    data = Dataset.from_polars(given, input="text", target="label", kind="labelled")
    assert list(data) == [
        LabelledExample(text="hi", label="greet"),
        LabelledExample(text="yo", label="greet"),
    ]
    assert data[0].meta == {"day": "2026-11-22", "price": "1.50"}
    assert data[1].meta == {"day": None, "price": None}


def test_frames_can_be_gone_through_again() -> None:
    frame = pandas.DataFrame({"prompt": ["a"], "completion": ["b"]})
    stream = DatasetStream.from_pandas(frame)
    assert list(stream) == list(stream)
    assert stream.check().rows == 1


def test_what_json_cannot_hold_is_named_when_it_is_written(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"prompt": ["a"], "completion": ["b"], "blob": [b"\x00"]})
    with pytest.raises(DataError, match="'frame:1' holds what JSON cannot"):
        Dataset.from_pandas(frame).write(tmp_path / "out.jsonl")


def test_other_things_are_refused() -> None:
    frame = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(SpecError, match="several columns are called 'a'"):
        Dataset.from_pandas(frame)
    with pytest.raises(SpecError, match="expected a pandas frame, found 'list'"):
        Dataset.from_pandas([{"a": 1}])
    with pytest.raises(SpecError, match="expected a polars frame, found 'DataFrame'"):
        Dataset.from_polars(frame)
