"""API keys and to whom they belong. Knows hashes only: a key that was given is hashed at once and forgotten."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from tunekit import _files
from tunekit.errors import SpecError, StorageError, TunekitError

_log = logging.getLogger(__name__)

_PREFIX: Final = "sk-tunekit-"
_HASH = re.compile(r"sha256:[0-9a-f]{64}\Z")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")
_MIN_CHARACTERS = 16


class Keys:
    """Which key belongs to which tenant. Files, jobs and models are a tenant's; no other ever sees them.

    Args:
        keys: From API key, or what `hashed` made of one, to the name of the tenant.

    Raises:
        SpecError: A key is too short to be a secret, or a tenant has no proper name. No key is ever shown.

    Examples:
        >>> keys = Keys({"sk-of-the-support-team": "support"})
        >>> keys.tenant_of("sk-of-the-support-team"), keys.tenant_of("sk-wrong")
        ('support', None)
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._tenants = {_checked_hash(key): _checked_tenant(tenant) for key, tenant in keys.items()}
        self._nobody = ""

    @classmethod
    def nobody_asks(cls, tenant: str = "local") -> Keys:
        """Keys for a server that only its own machine can reach: any key, or none, is this tenant's."""
        made = cls({})
        made._nobody = _checked_tenant(tenant)
        return made

    @property
    def are_asked(self) -> bool:
        """Whether a key is needed."""
        return not self._nobody

    def tenant_of(self, key: str) -> str | None:
        """Whose key this is, or None. Takes the same time for all keys of one length."""
        given = _hash(key)
        found = None
        for known, tenant in self._tenants.items():
            if hmac.compare_digest(known, given):
                found = tenant
        return found or self._nobody or None

    def __repr__(self) -> str:
        return f"Keys({len(self._tenants)} of {sorted(set(self._tenants.values()))})"


_Seen: TypeAlias = tuple[int, int, int]
"""A file as it was when it was read: its inode, its size, and when it was changed, in nanoseconds."""


class _KeysOfFile(Keys):
    """The keys of a file, read again when it has changed. One that is broken or gone changes nothing, and is logged."""

    def __init__(self, path: Path, meanwhile: str = "") -> None:
        self._path, self._seen = path, _seen(path)
        is_awaited = bool(meanwhile) and self._seen is None
        super().__init__({} if is_awaited else _read(path))
        self._nobody = _checked_tenant(meanwhile) if is_awaited else ""

    @property
    def are_asked(self) -> bool:
        """See `Keys.are_asked`."""
        self._look()
        return super().are_asked

    def tenant_of(self, key: str) -> str | None:
        """See `Keys.tenant_of`."""
        self._look()
        return super().tenant_of(key)

    def _look(self) -> None:
        seen = _seen(self._path)
        if seen != self._seen:
            self._seen = seen  # before it is read: what changes meanwhile is seen by the next look
            self._read_again()

    def _read_again(self) -> None:
        # Whoever makes the file, even a broken one, wants keys to be asked for; and so they are when it is gone again.
        self._nobody = ""
        try:
            self._tenants = Keys(_read(self._path))._tenants
        except TunekitError as error:
            _log.error("the keys stay what they were: %s", error)
            return
        _log.info("read the keys again: %r", self)


def _seen(path: Path) -> _Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def new_key() -> str:
    """A new API key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """What to keep of a key. A plain hash is enough for what nobody can guess.

    Raises:
        SpecError: It is too short to be a secret.

    Examples:
        >>> hashed("sk-of-the-support-team")[:13]
        'sha256:ffcb7f'
    """
    return _checked_hash(key)


def read_keys(path: Path, *, meanwhile: str = "") -> Keys:
    """The keys of a file that `add_key` wrote, as they are from then on: what changes in the file changes in them.

    A key that is taken out of the file is good no more, with the next request. A file that is broken or gone changes
    nothing; the log says so.

    Args:
        path: The file.
        meanwhile: The tenant of all requests for as long as there is no such file, with or without a key; only for a
            server that only its own machine can reach. From the moment that there is one, keys are asked for.

    Raises:
        StorageError: It cannot be read.
        SpecError: It is not such a file.
    """
    return _KeysOfFile(path, meanwhile)


def add_key(path: Path, tenant: str) -> str:
    """Make a key for a tenant, write its hash to the file, and return the key, which is kept nowhere.

    Raises:
        SpecError: The tenant has no proper name, or the file is not one of keys.
        StorageError: The file cannot be written.
    """
    key, tenant = new_key(), _checked_tenant(tenant)
    _files.make_private_directory(path.parent)
    with _alone(path):
        _files.write_json(path, {**(_read(path) if path.exists() else {}), hashed(key): tenant})
    return key


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let nobody else add a key meanwhile: each would write the file without the other's."""
    # The file itself is replaced with each write, so the lock is on one beside it, which stays.
    lock = path.with_name(f".{path.name}.lock")
    with _files.storage_errors(f"cannot lock {str(lock)!r}"):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _read(path: Path) -> dict[str, str]:
    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(
            f"cannot read {str(path)!r}: {error.strerror}", hint="make it readable for this user"
        ) from error
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or not all(isinstance(tenant, str) for tenant in body.values()):
        raise SpecError(
            f"{str(path)!r} is not a file of keys",
            hint="move it away and add the keys with tunekit serve --add-key",
        )
    return body


def _checked_hash(key: str) -> str:
    if _HASH.match(key):
        return key
    if len(key) < _MIN_CHARACTERS or not key.isascii():
        raise SpecError(
            f"an API key is not ASCII text of at least {_MIN_CHARACTERS} characters",
            hint="make one with: tunekit serve --add-key TENANT",
        )
    return _hash(key)


def _hash(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()}"


def _checked_tenant(tenant: str) -> str:
    if not _TENANT.match(tenant):
        raise SpecError(
            f"{tenant[:40]!r} is no name for a tenant",
            hint="use up to 40 letters, digits, '-', '_' and '.'",
        )
    return tenant
