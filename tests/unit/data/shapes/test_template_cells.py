"""Inputs put together from several columns, one of them empty: nothing is guessed, and it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunekit import Dataset, DatasetStream

TABLE = "title,body,label\nParcel,Where is it?,a\n,Where is it?,b\nParcel,  ,a\n,,b\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "t.csv"
    file.write_text(TABLE)
    return file


def test_the_text_around_an_empty_cell_stays_and_is_told_of(path: Path) -> None:
    data = Dataset.load(path, input="{title}, {body}", target="label")
    assert [row.prompt for row in data] == ["Parcel, Where is it?", ", Where is it?", "Parcel,   ", ", "]  # type: ignore[union-attr]
    finding = data.check()["empty-template-cells"]
    assert finding.severity == "warning"
    assert finding.message == (
        "3 rows with nothing in 'title', 'body'; the other text of the input '{title}, {body}' stays around the gap"
    )
    assert finding.rows == ("t.csv:3", "t.csv:4", "t.csv:5")
    assert [place.field for place in finding.places] == ["title", "body", "title", "body"]
    assert finding.facts == {"rows": 3, "columns": {"title": 2, "body": 2}}
    assert (
        DatasetStream.load(path, input="{title}, {body}", target="label").check()["empty-template-cells"]
        == finding
    )


def test_full_cells_and_single_columns_have_nothing_to_say(path: Path) -> None:
    for text, column in ((TABLE.splitlines()[1], "{title}, {body}"), ("x,,a", "title")):
        path.write_text(f"title,body,label\n{text}\n")
        assert "empty-template-cells" not in Dataset.load(path, input=column, target="label").check()


def test_rows_that_are_lists_and_columns_called_like_templates() -> None:
    rows = [["", "b", "c"], ["a", "b", "c"]]
    data = Dataset.from_records(rows, input="{column 1}: {column 2}", target="column 3")
    assert data.check()["empty-template-cells"].rows == ("records:1",)
    named = Dataset.from_records([{"{a} {b}": "x", "a": "", "b": "", "y": "z"}], input="{a} {b}", target="y")
    assert "empty-template-cells" not in named.check()
