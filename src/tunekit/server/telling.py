"""What of an error a tenant may read: the one place that decides. Knows kinds of errors; no route, and writes no log.

A tenant reads what a request, a file or a job of theirs got wrong. What is wrong with this machine (its disk, its
directories, its account at another host) is for whoever runs it.
"""

from __future__ import annotations

import re

from tunekit.errors import (
    DataError,
    MissingExtraError,
    NotFoundError,
    RefError,
    StaleLeaseError,
    StorageError,
    TunekitError,
)
from tunekit.records import JobError

UNTOLD = "The server had an error while processing your request."

BAD_FILE_CODES = {"training_file": "invalid_training_file", "validation_file": "invalid_validation_file"}
"""By the parameter that named a file which cannot be trained on."""

_MACHINES = frozenset(
    kind.code for kind in (StorageError, MissingExtraError, RefError, StaleLeaseError, TunekitError)
)
_CALLERS = frozenset({DataError.code, *BAD_FILE_CODES.values()})
"""These quote what the caller has sent, which may well look like a path."""

# A host that stands behind this server refused our account, and not what the caller asked for, by any other status.
_REFUSED_REQUESTS = frozenset({400, 409, 413, 422})
_PATH = re.compile(r"""(?<=['"])(?:~?/|[A-Za-z]:\\)[^'"]*""")  # all our errors quote paths, as Python's do
_WHOLE_PATH = re.compile(r"(?:~?/|[A-Za-z]:\\)\S*\Z")


class UnknownHereError(NotFoundError):
    """What a caller named is not there, or is another tenant's. Its words are the server's own, and the caller's."""


def told(error: TunekitError | JobError) -> str:
    """What a tenant may read of an error, with its hint; "" for nothing.

    Examples:
        >>> told(UnknownHereError("no file 'file-1'", hint="check the id"))
        "no file 'file-1' (check the id)"
        >>> told(StorageError("cannot write '/srv/home/file-1'"))
        ''
    """
    if _is_machines(error):
        return ""
    hint = "" if names_path(error.hint) or "TUNEKIT_" in error.hint else error.hint
    return f"{error.message} ({hint})" if hint else error.message


def names_path(text: str) -> bool:
    """Whether a text names a path of this machine.

    Examples:
        >>> names_path("no model directory at '/srv/models/x'"), names_path("no /models/{id} of that name")
        (True, False)
    """
    return _PATH.search(text) is not None


def without_paths(text: str) -> str:
    """The text with dots for the paths in it: what a backend says on the way is too much to be left out whole.

    Examples:
        >>> without_paths("cannot save '/srv/runs/run-1': disk full")
        "cannot save '...': disk full"
    """
    return "..." if _WHOLE_PATH.match(text) else _PATH.sub("...", text)


def _is_machines(error: TunekitError | JobError) -> bool:
    """Whether an error is about this machine, or what stands behind it, and not about what was asked."""
    if error.code in _CALLERS or isinstance(error, UnknownHereError):
        return False
    if error.code in _MACHINES or error.details.get("status", 400) not in _REFUSED_REQUESTS:
        return True
    # What a backend does not find, the caller has not named: callers know only the server's names.
    return error.code == NotFoundError.code or names_path(error.message)
