"""Folders that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` of the package `datasets` wrote.

Knows which files such a folder holds; their rows are read like those of any Arrow file, and the package is not needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from tunekit.data.findings import Finding
from tunekit.data.patterns.veil import veiled
from tunekit.data.readers import files, json_value, parquet
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.json_cells import in_part
from tunekit.data.sources.base import Source
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError

_SPLITS, _STATE = "dataset_dict.json", "state.json"
_MAX_BYTES = 16 << 20  # of those two
_NAME = re.compile(r"[\w-][\w.-]*")


class SavedDataset(Source):
    """Rows of such a folder. Those of several splits follow one another, each with the name of its split.

    Args:
        path: The folder.
        options: What the caller says; `part` names a split.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.place = path
        self.name = veiled(PurePath(path).name)
        self._options = options

    @contextmanager
    def opened(self, notes: Notes) -> Iterator[Iterator[Row]]:
        """The rows, from the first."""
        notes.name = self.name
        notes.facts["format"] = "saved dataset"
        folders = self._folders(notes)
        yield self._rows(folders, notes)

    def _folders(self, notes: Notes) -> dict[str, str]:
        """The folders to read, by the name of the split; "" where there is but one."""
        wanted = self._options.part
        if not os.path.exists(os.path.join(self.place, _SPLITS)):
            if wanted is not None:
                raise DataError(f"there is no part {brief(wanted)}: this is one split", hint="leave part out")
            return {"": self.place}
        path = os.path.join(self.place, _SPLITS)
        splits = _names(_object(path).get("splits"), path)
        if wanted is not None and wanted not in splits:
            raise DataError(
                f"there is no part {brief(wanted)}; the parts are {listed(splits)}",
                hint=nearest(wanted, splits) or "pass one of them, or leave part out to read all",
            )
        if wanted is None and len(splits) > 1:
            message = (
                f'the parts {listed(splits)} are read as one data set; each row has its own under "split"'
            )
            notes.findings.append(
                Finding(code="several-parts", severity="info", message=message, facts={"parts": splits})
            )
        chosen = splits if wanted is None else [wanted]
        return {split: os.path.join(self.place, split) for split in chosen}

    def _rows(self, folders: Mapping[str, str], notes: Notes) -> Iterator[Row]:
        number = 0
        for split, folder in folders.items():
            path = os.path.join(folder, _STATE)
            stored = _object(path).get("_data_files")
            for name in _names([each["filename"] for each in stored or ()], path):
                seen = Notes(name=self.name)
                with files.opened(os.path.join(folder, name)) as file:
                    for _, row in parquet.rows(file, self._options, seen):
                        number += 1
                        yield number, in_part(row, split)
                notes.facts.update(seen.facts)
                notes.findings += [finding for finding in seen.findings if finding not in notes.findings]


def is_saved(path: str) -> bool:
    """Whether this is such a folder."""
    return any(os.path.isfile(os.path.join(path, name)) for name in (_SPLITS, _STATE))


def _object(path: str) -> dict[str, Any]:
    with files.opened(path) as file:
        found = json_value.value(file.read(_MAX_BYTES))
    return found if isinstance(found, dict) else {}


def _names(found: Any, path: str) -> list[str]:
    """Names of files or folders beside this one; not the way to others."""
    if not isinstance(found, list) or not all(
        isinstance(name, str) and _NAME.fullmatch(name) for name in found
    ):
        raise DataError(
            "this is not what the package datasets writes there", path=path, hint="save the dataset again"
        )
    return found
