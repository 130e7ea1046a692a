"""API keys and to whom they belong. Knows hashes only: a key that was given is hashed at once and forgotten."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tunekit import _files
from tunekit.errors import SpecError, StorageError

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


def read_keys(path: Path) -> Keys:
    """The keys of a file that `add_key` wrote.

    Raises:
        StorageError: It cannot be read.
        SpecError: It is not such a file.
    """
    return Keys(_read(path))


def add_key(path: Path, tenant: str) -> str:
    """Make a key for a tenant, write its hash to the file, and return the key, which is kept nowhere.

    Raises:
        SpecError: The tenant has no proper name, or the file is not one of keys.
        StorageError: The file cannot be written.
    """
    key = new_key()
    keys = {**(_read(path) if path.exists() else {}), hashed(key): _checked_tenant(tenant)}
    _files.make_private_directory(path.parent)
    _files.write_json(path, keys)
    return key


def _read(path: Path) -> dict[str, str]:
    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(
            f"cannot read {str(path)!r}: {error.strerror}", hint="make it readable for this user"
        ) from error
    except ValueError:
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
