"""Which files of a model directory decide what it computes, and one hash over them. Knows names; loads nothing."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

from tunekit import _files
from tunekit._canonical import fingerprint

# Weights, configuration, tokenizer and template. Not a README, not .git, not a download cache.
_DECISIVE = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "tunekit.json",
)

Hashes: TypeAlias = dict[tuple[str, int, int, int], str]
"""SHA-256 of files by path, size, time of change and inode, so that gigabytes are read once per holder of the dict."""


def model_fingerprint(directory: Path, hashes: Hashes | None = None) -> str:
    """SHA-256 over the content of every file that decides what the model computes, names included.

    Args:
        directory: A model directory, base or tuned.
        hashes: What is known already; it is added to.

    Raises:
        OSError: A file cannot be read.
    """
    hashes = {} if hashes is None else hashes
    files = sorted(path for path in directory.iterdir() if path.is_file() and _decides(path.name))
    return fingerprint([[path.name, _sha256(path, hashes)] for path in files])


def _decides(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _DECISIVE)


def _sha256(path: Path, hashes: Hashes) -> str:
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in hashes:
        hashes[key] = _files.sha256_file(path)
    return hashes[key]
