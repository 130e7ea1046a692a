"""What only the untrained model can tell of the rows, kept in the run directory. Knows files; not what is measured.

A run that is taken up again must not pay for it twice, nor may it differ in a bit. So it is kept in blocks of rows,
each a file that appears whole: whoever is stopped in the middle goes on behind the last of them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from tunekit import _files
from tunekit.training.objectives.base import EachRow
from tunekit.training.texts.rows import Row

R = TypeVar("R", bound=Row)

_ROWS_PER_FILE = 512
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Untrained:
    """Measures rows with the model as it is before the first step, once per run.

    Attributes:
        directory: Where the numbers are kept.
        key: Identity of everything they depend on, the rows included; numbers of another key are not used.
        passes: Goes through rows in forward passes, as for training.
        notice: Told about numbers that cannot be used.
        elsewhere: Directories of other runs, where numbers of this key may lie already.
        progress: Told after each block how many rows are done.
        keeps: Whether this process writes them down.
    """

    directory: Path
    key: str
    passes: EachRow
    notice: Callable[[str], object]
    elsewhere: tuple[Path, ...] = ()
    progress: Callable[[int], object] = lambda rows: None
    keeps: bool = True

    def __call__(self, rows: Sequence[R], measure: Callable[[Sequence[R]], torch.Tensor]) -> torch.Tensor:
        """Numbers of each row, fp32, shape (rows, numbers).

        Args:
            rows: All rows of one part of the data, no object twice.
            measure: Gives those of the rows of one forward pass, in their order.

        Raises:
            StorageError: They cannot be written or read.
        """
        _files.make_private_directory(self.directory)
        if self.keeps:  # the run's lock says that nobody else writes here: this is what a killed writer left
            _files.remove_old_files(self.directory, ".*", older_than_s=-math.inf)
        starts = range(0, len(rows), _ROWS_PER_FILE)
        blocks = [self._block(start, rows[start : start + _ROWS_PER_FILE], measure) for start in starts]
        return torch.cat(blocks)

    def _block(
        self, start: int, rows: Sequence[R], measure: Callable[[Sequence[R]], torch.Tensor]
    ) -> torch.Tensor:
        path = self.directory / f"{self.key[:16]}-{start:08d}"
        found = self._known(path.name)
        if found is None:
            found = self._measured(rows, measure)
            self._keep(path, found)
        self.progress(start + len(rows))
        return found

    def _known(self, name: str) -> torch.Tensor | None:
        tried = (self._read(directory / name) for directory in (self.directory, *self.elsewhere))
        return next((found for found in tried if found is not None), None)

    def _measured(self, rows: Sequence[R], measure: Callable[[Sequence[R]], torch.Tensor]) -> torch.Tensor:
        def numbers(cut: Sequence[R]) -> list[list[float]]:
            found: list[list[float]] = measure(cut).float().tolist()
            return found

        return torch.tensor(self.passes(rows, numbers))

    def _keep(self, path: Path, values: torch.Tensor) -> None:
        if self.keeps:
            body = save({"values": values})
            _files.write_atomic(path, self._digest(body) + body)

    def _read(self, path: Path) -> torch.Tensor | None:
        with _files.storage_errors(f"cannot read {str(path)!r}"):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest == self._digest(body):
            try:
                return load(body)["values"]
            except (SafetensorError, KeyError):  # the digest holds, so another version wrote it
                pass
        self.notice(f"{path.name!r} of what the untrained model says is damaged and is computed again")
        return None

    def _digest(self, body: bytes) -> bytes:
        return hashlib.sha256(self.key.encode() + body).digest()
