"""Users by a name that only this directory can give them. Knows a key; not who they are.

HMAC-SHA256 under a key of the directory: rows of one user can be found and forgotten, and the files alone do not say
whose they are. With the key, whoever guesses an id can see whether it is in there: pseudonyms, not anonymity.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from tunekit._files import fsync_directory, make_private_directory, storage_errors, write_durable
from tunekit.errors import StorageError

_NAME, _BYTES = "users.key", 32


def has_key(directory: Path) -> bool:
    """Whether there is a key already."""
    return (directory / _NAME).exists()


def key_of(directory: Path) -> bytes:
    """The key, made where there is none: once, however many processes ask.

    Raises:
        StorageError: It cannot be made or read.
    """
    path = directory / _NAME
    with storage_errors(f"cannot read or make the key {str(path)!r}"):
        if not path.exists():
            make_private_directory(directory)
            new = directory / f".{_NAME}.{os.getpid()}.{os.urandom(4).hex()}"
            write_durable(new, os.urandom(_BYTES))
            try:
                os.link(new, path)  # unlike a rename, it never replaces the key of another process
            except FileExistsError:
                pass
            finally:
                new.unlink()
            fsync_directory(directory)
        key = path.read_bytes()
    if len(key) != _BYTES:
        raise StorageError(
            f"{str(path)!r} is no key: it has {len(key)} bytes, not {_BYTES}",
            hint="restore it from a backup: without it nobody's rows can be found by the user's id",
        )
    return key


def pseudonym(key: bytes, user: str) -> str:
    """What a user is called here.

    Examples:
        >>> pseudonym(bytes(32), "u-17")
        'd3761af277b2ca719277b23f'
    """
    return hmac.digest(key, user.encode("utf-8", "surrogatepass"), "sha256").hex()[:24]
