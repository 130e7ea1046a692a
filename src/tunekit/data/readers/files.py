"""Opening a file for reading bytes. Knows what the system may have against that; not what is in the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from tunekit.errors import DataError

BUFFER_BYTES = 256 << 10
"""Read at once; what recognition sees of a file."""


@contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """The file, open for reading bytes.

    Raises:
        DataError: Whatever the system has against that, also later while it is being read.
    """
    try:
        file: io.BufferedReader = io.BufferedReader(io.FileIO(path), BUFFER_BYTES)
        with file:
            yield file
    except FileNotFoundError:
        hint = "check the path; relative paths start where Python runs"
        raise DataError("no such file", path=path, hint=hint) from None
    except IsADirectoryError:
        raise DataError("this is a directory, not a file", path=path, hint="name one file in it") from None
    except OSError as error:
        hint = "check its permissions, and the disk that it lies on"
        raise DataError(f"cannot be read: {error.strerror}", path=path, hint=hint) from error
