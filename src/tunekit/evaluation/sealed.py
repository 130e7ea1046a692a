"""How often a sealed test was opened, and for which models. Knows a log in the home directory; not what was measured.

A test on which several rounds were scored is no fresh test any more: the best of them reads too high. A sealed test
keeps count. The log is one file for each test, named by its fingerprint, a line for each opening, which is written
before anybody sees a result. It is a reminder among colleagues, not a safe: whoever deletes the file, or evaluates
on a part of the rows or in another order, has a new seal.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from tunekit._files import make_private_directory, storage_errors
from tunekit.errors import SpecError, StorageError
from tunekit.evaluation.records import Record


class Opening(Record):
    """One look at a sealed test.

    Attributes:
        number: How many looks there were at this test, with this one.
        lineage: The line of work that looked: several rounds of one project are one.
        lineage_number: How many of them were of this lineage.
        models: What was evaluated; the two sides of a comparison are one look.
        evaluator: Hash of test, sampling and scorers.
        opened_at: Unix seconds.
    """

    number: int
    lineage: str
    lineage_number: int
    models: tuple[str, ...]
    evaluator: str
    opened_at: float

    def __str__(self) -> str:
        return f"opening {self.number} of this sealed test"

    @property
    def warning(self) -> str | None:
        """What to know from the second opening of a lineage on."""
        if self.lineage_number < 2:
            return None
        return (
            f"{self}, and number {self.lineage_number} of lineage {self.lineage!r}: whatever is chosen by several looks"
            " at one test reads too high; confirm it on a test that nobody has seen"
        )


def open_test(
    directory: Path,
    fingerprint: str,
    *,
    lineage: str,
    models: tuple[str, ...],
    evaluator: str,
    opened_at: float,
) -> Opening:
    """Count a look at a sealed test. Processes and threads that look at the same time get different numbers.

    Args:
        directory: Where the logs are; made if it is not there.
        fingerprint: Of the test.
        lineage: Who looks.
        models: What was evaluated.
        evaluator: Hash of how.
        opened_at: Unix seconds.

    Raises:
        StorageError: The log cannot be read or written, so the look must not be had.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as home:
        ...     looks = [
        ...         open_test(Path(home), "f", lineage="tickets", models=("local:a",), evaluator="e", opened_at=0.0)
        ...         for _ in range(3)
        ...     ]
        >>> str(looks[2]), looks[0].warning
        ('opening 3 of this sealed test', None)
    """
    make_private_directory(directory)
    path = _path(directory, fingerprint)
    with storage_errors(f"cannot count the opening of a sealed test in {str(path)!r}"), _log(path) as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # until the file is closed
        before, end = _read(log, path)
        opening = Opening(
            number=len(before) + 1,
            lineage=lineage,
            lineage_number=sum(each.lineage == lineage for each in before) + 1,
            models=models,
            evaluator=evaluator,
            opened_at=opened_at,
        )
        log.seek(end)
        log.truncate()
        log.write(opening.to_json().encode() + b"\n")
        log.flush()
        os.fsync(log.fileno())
    return opening


def openings(directory: Path, fingerprint: str) -> tuple[Opening, ...]:
    """All looks at a test so far.

    Raises:
        StorageError: The log is damaged or cannot be read.
    """
    path = _path(directory, fingerprint)
    with storage_errors(f"cannot read {str(path)!r}"):
        if not path.exists():
            return ()
        with path.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH)
            return tuple(_read(log, path)[0])


def _path(directory: Path, fingerprint: str) -> Path:
    return directory / f"{fingerprint}.jsonl"


def _log(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


def _read(log: BinaryIO, path: Path) -> tuple[list[Opening], int]:
    """The openings in a log and where its last whole line ends: nobody saw the result of one that was cut off."""
    text = log.read()
    end = text.rfind(b"\n") + 1
    return [_opening(line, number, path) for number, line in enumerate(text[:end].splitlines(), start=1)], end


def _opening(line: bytes, number: int, path: Path) -> Opening:
    try:
        return Opening.from_json(line)
    except SpecError as error:
        raise StorageError(
            f"line {number} of {str(path)!r} is no opening of a sealed test",
            hint="restore the file from a backup; deleting it starts the count again",
        ) from error
