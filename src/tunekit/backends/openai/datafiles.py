"""A dataset as the file that a host wants. Knows shapes and names of files; sends nothing."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.backends.openai.hosts import Host
from tunekit.data.profiles import profile_of
from tunekit.errors import PreflightError

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

PREFIX = "tunekit-"
"""What the names of our files begin with; no file without it is ever removed."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file on this machine that a host is to have.

    Attributes:
        path: Where it lies.
        filename: What the host calls it; it says what is in the file, so that equal files have one name.
        size_bytes: Its size.
    """

    path: Path
    filename: str
    size_bytes: int


def written(
    data: Dataset, directory: Path, host: Host, *, model: str, backend: str, tag: str = ""
) -> DataFile:
    """Write the file that a host wants of these data.

    Args:
        data: The examples.
        directory: Where to write.
        host: Who will read it.
        model: The base model.
        backend: Name of the backend, for the message.
        tag: Goes into the name, for hosts where that alone leads from a job to who made it.

    Raises:
        DataError: A row cannot be written in the host's shape.
        PreflightError: The file is larger than the host takes.
    """
    target = f"{host.data_rules}:{model}"
    path = directory / f"{len(list(directory.iterdir()))}.jsonl"
    report = _in_kinds_of(data, target).write(path, target=target)
    if report.left_out:
        _log.info("%s takes no meta columns, so these are left out: %s", host.title, report.left_out)
    _check_size(report.size_bytes, host, backend)
    name = f"{PREFIX}{report.sha256[:40]}{f'-{tag}' if tag else ''}.jsonl"
    return DataFile(path=path, filename=name, size_bytes=report.size_bytes)


def tag_of(key: str) -> str:
    """An idempotency key as a part of a file's name.

    Examples:
        >>> tag_of("run-0a1b2c")
        'run-0a1b2c'
        >>> tag_of("run 1/2")
        'key-ce69aff4c8736bb9d8a6'
    """
    if _PLAIN.fullmatch(key):
        return key
    return f"key-{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=10).hexdigest()}"


def bears(filename: str, key: str) -> bool:
    """Whether a file was made for the submission with this key."""
    return filename.startswith(PREFIX) and filename.endswith(f"-{tag_of(key)}.jsonl")


def _in_kinds_of(data: Dataset, target: str) -> Dataset:
    """Pairs of prompt and completion as chats, for a model that knows chats alone."""
    kinds = profile_of(target).kinds
    return data.to_chat() if "completion" in data.kinds - kinds and "chat" in kinds else data


def _check_size(size_bytes: int, host: Host, backend: str) -> None:
    most = host.max_upload_bytes if host.uploads else host.max_file_bytes
    if most is not None and size_bytes > most:
        raise PreflightError(
            (f"the file has {size_bytes:,} bytes, and {host.title} takes at most {most:,}",),
            backend=backend,
            hint="take fewer or shorter rows",
        )
