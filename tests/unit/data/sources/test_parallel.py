"""Line-aligned files as datasets. Knows `from_parallel` only."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tunekit import CompletionExample, DataError, Dataset, DatasetStream


def write(folder: Path, inputs: str, targets: str) -> tuple[Path, Path]:
    (folder / "dev.en").write_bytes(inputs.encode())
    (folder / "dev.ne").write_bytes(targets.encode())
    return folder / "dev.en", folder / "dev.ne"


def test_lines_stand_side_by_side(tmp_path: Path) -> None:
    data = Dataset.from_parallel(*write(tmp_path, "one\ntwo\n", "ek\r\ndui"))
    assert list(data) == [
        CompletionExample(prompt="one", completion="ek"),
        CompletionExample(prompt="two", completion="dui"),
    ]
    assert [row.id for row in data] == ["dev.ne:1", "dev.ne:2"]
    assert data.source["format"] == "parallel"


@pytest.mark.parametrize(
    ("inputs", "targets", "says"),
    [
        ("a\nb\nc\n", "x\ny\n", "'dev.ne' ends before line 3"),
        ("a\n", "x\ny\n", "'dev.en' ends before line 2"),
    ],
)
def test_other_number_of_lines_is_an_error_with_the_line(
    tmp_path: Path, inputs: str, targets: str, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        Dataset.from_parallel(*write(tmp_path, inputs, targets))
    assert caught.value.line == int(says[-1])


def test_blank_answer_is_named_or_skipped(tmp_path: Path) -> None:
    paths = write(tmp_path, "a\nb\n", "x\n\n")
    with pytest.raises(DataError) as caught:
        Dataset.from_parallel(*paths)
    assert caught.value.line == 2
    assert [row.line for row in Dataset.from_parallel(*paths, on_error="skip").skipped] == [2]


def test_streams_and_packed_files(tmp_path: Path) -> None:
    inputs, targets = write(tmp_path, "a\n" * 1000, "x\n" * 1000)
    packed = tmp_path / "dev.en.gz"
    packed.write_bytes(gzip.compress(inputs.read_bytes()))
    stream = DatasetStream.from_parallel(packed, targets)
    assert sum(1 for _ in stream) == sum(1 for _ in stream) == 1000


def test_missing_file_is_named(tmp_path: Path) -> None:
    inputs, _ = write(tmp_path, "a\n", "x\n")
    with pytest.raises(DataError, match=r"none\.ne"):
        Dataset.from_parallel(inputs, tmp_path / "none.ne")
