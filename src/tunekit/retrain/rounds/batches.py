"""Rows that were handed to a pipeline, as files by their content. Knows rows and files; not what is trained on them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tunekit._files import atomic_writer, make_private_directory, storage_errors
from tunekit.data.dataset import Dataset
from tunekit.errors import DataError, StorageError
from tunekit.examples import from_dict, to_dict

_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")


class BatchFiles:
    """The rows of each batch in a file that is named by their fingerprint, readable by its owner only.

    A file is written whole before anything points to it, so a batch that is in the store has its rows.

    Args:
        directory: Where they lie; made when the first is written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, data: Dataset) -> str:
        """Keep the rows; the fingerprint by which `read` gives them back. Rows that are there already cost nothing.

        Raises:
            DataError: A row holds something that JSON cannot, such as a date among its tools.
            StorageError: The file cannot be written.
        """
        fingerprint = data.fingerprint()
        path = self._path(fingerprint)
        if path.is_file():
            return fingerprint
        make_private_directory(self._directory)
        with atomic_writer(path) as file:
            for example in data:
                line = json.dumps(to_dict(example), ensure_ascii=False, separators=(",", ":"), default=str)
                file.write(line.encode("utf-8", "surrogatepass") + b"\n")
        return fingerprint

    def read(self, fingerprint: str) -> Dataset:
        """The rows of a batch.

        Raises:
            StorageError: The file is gone, or its rows are others than were written.
        """
        path = self._path(fingerprint)
        with storage_errors(f"cannot read the rows of a batch in {str(path)!r}"), path.open("rb") as file:
            try:
                data = Dataset([from_dict(json.loads(line)) for line in file])
            except (ValueError, TypeError, KeyError) as error:
                raise self._damaged(path, f"a line is no row ({error})") from error
        try:
            found = data.fingerprint()
        except DataError as error:
            raise self._damaged(path, error.message) from error
        if found != fingerprint:
            raise self._damaged(path, "its rows are others than were written")
        return data

    def _path(self, fingerprint: str) -> Path:
        if not _FINGERPRINT.match(fingerprint):
            raise StorageError(f"{fingerprint!r} is no fingerprint", hint="the store of rounds is damaged")
        return self._directory / f"{fingerprint}.jsonl"

    @staticmethod
    def _damaged(path: Path, why: str) -> StorageError:
        return StorageError(
            f"the rows in {str(path)!r} cannot be used: {why}",
            hint="restore the file from a backup, or hand the same rows in again after removing it",
        )
