"""Folders that `datasets` saved, read without it. Knows `Dataset.load` of a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunekit import DataError, Dataset, LabelledExample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    # In a process of its own: datasets draws progress bars, and keeps caches and locks.
    code = """
import sys, datasets
datasets.disable_progress_bars()
features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])})
made = datasets.Dataset.from_dict({"text": ["hi", "win!", "yo"], "label": [0, 1, 0]}, features=features)
made.save_to_disk(sys.argv[1] + "/one", num_shards=2)
datasets.DatasetDict({"train": made, "test": made.select([1])}).save_to_disk(sys.argv[1] + "/several")
"""
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)
    return folder


def test_a_saved_dataset_is_read_from_all_its_files(folder: Path) -> None:
    assert len(list((folder / "one").glob("*.arrow"))) == 2
    data = Dataset.load(folder / "one", input="text", target="label", kind="labelled")
    assert list(data) == [
        LabelledExample(text="hi", label="ham"),
        LabelledExample(text="win!", label="spam"),
        LabelledExample(text="yo", label="ham"),
    ]
    assert [row.id for row in data] == ["one:1", "one:2", "one:3"]


def test_saved_splits_are_read_as_one_or_one_of_them(folder: Path) -> None:
    data = Dataset.load(folder / "several", input="text", target="label")
    assert [row.meta["split"] for row in data] == ["train", "train", "train", "test"]
    assert len(Dataset.load(folder / "several", part="test", input="text", target="label")) == 1
    with pytest.raises(DataError, match="there is no part 'dev'; the parts are 'train', 'test'"):
        Dataset.load(folder / "several", part="dev")
    with pytest.raises(DataError, match="this is one split"):
        Dataset.load(folder / "one", part="train")


@pytest.mark.parametrize("name", ["../one/data-00000-of-00002.arrow", "/etc/passwd", "..", 5])
def test_a_folder_cannot_name_files_elsewhere(tmp_path: Path, name: object) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match="not what the package datasets writes there"):
        Dataset.load(tmp_path)


def test_another_folder_is_still_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a directory, not a file"):
        Dataset.load(tmp_path)
