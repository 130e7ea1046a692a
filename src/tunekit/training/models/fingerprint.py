"""Which model it was. Knows the files of a model directory; no tensor, no run.

Three questions are asked. A submission asks whether this is the same model in every respect (`of_model`: weights,
configuration, tokenizer, template). An adapter asks whether these are the weights it was trained on (`of_base`). A card
asks whether the weights beside it are those that were saved with it (`of_weight_files`).
"""

from __future__ import annotations

import hashlib
import json
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, TypeAlias

from tunekit import _canonical, _files

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

FULL_BYTES = 2 << 30
_COMMIT = "commit:"
_INDEX = "model.safetensors.index.json"


def of_model(directory: Path, hashes: Hashes | None = None) -> str:
    """SHA-256 over the content of every file that decides what the model computes, names included.

    Args:
        directory: A model directory, base or tuned.
        hashes: What is known already; it is added to.

    Raises:
        OSError: A file cannot be read.
    """
    hashes = {} if hashes is None else hashes
    files = sorted(path for path in directory.iterdir() if path.is_file() and _decides(path.name))
    return _canonical.fingerprint([[path.name, _sha256(path, hashes)] for path in files])


def of_base(directory: Path | None, commit: str | None) -> str:
    """What identifies a base model: `of_weights` for a directory, the commit for a model of the hub, or "".

    Args:
        directory: Where it is loaded from; None for the hub.
        commit: The commit that it is loaded at; None for a directory, or if it is not known.
    """
    if directory is not None:
        return of_weights(directory)
    return f"{_COMMIT}{commit}" if commit else ""


def of_weight_files(directory: Path, hashes: Hashes | None = None) -> dict[str, str]:
    """SHA-256 of every safetensors file right in a directory, by name.

    Args:
        directory: An artifact.
        hashes: What is known already; it is added to.

    Raises:
        StorageError: A file cannot be read.
    """
    hashes = {} if hashes is None else hashes
    with _files.storage_errors(f"cannot read the weights in {str(directory)!r}"):
        paths = sorted(path for path in directory.glob("*.safetensors") if path.is_file())
        return {path.name: _sha256(path, hashes) for path in paths}


def commit_in(fingerprint: str) -> str | None:
    """The hub commit that a fingerprint of `of_base` names, or None.

    Examples:
        >>> commit_in("commit:c0ffee"), commit_in("sha256:c0ffee")
        ('c0ffee', None)
    """
    return fingerprint.removeprefix(_COMMIT) if fingerprint.startswith(_COMMIT) else None


def cached_commit(source: str, revision: str | None) -> str | None:
    """The commit that a revision of a hub model stands for, by the cache; None if nothing of it is there.

    transformers does not say which commit it has loaded. Ask once something was loaded, and load the rest at that.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(source, "config.json", revision=revision)
    return Path(path).parent.name if isinstance(path, str) else None


def of_weights(directory: Path) -> str:
    """Fingerprint of the safetensors that transformers loads from a directory.

    Up to 2 GB it is the SHA-256 of every byte ("sha256:..."), which takes a second or two. Above that it is that of the
    files' sizes and headers ("headers:..."): names, shapes and dtypes of all tensors. That tells one architecture from
    another, and not the same tensors with other numbers in them.

    Raises:
        StorageError: A file cannot be read.
    """
    with _files.storage_errors(f"cannot read the weights in {str(directory)!r}"):
        paths = _weight_files(directory)
        whole = sum(path.stat().st_size for path in paths) <= FULL_BYTES
        facts = [
            (path.name, path.stat().st_size, _files.sha256_file(path) if whole else _header_sha256(path))
            for path in paths
        ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return f"{'sha256' if whole else 'headers'}:{digest}"


def _decides(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _DECISIVE)


def _sha256(path: Path, hashes: Hashes) -> str:
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in hashes:
        hashes[key] = _files.sha256_file(path)
    return hashes[key]


def _weight_files(directory: Path) -> list[Path]:
    if (directory / "model.safetensors").is_file():
        return [directory / "model.safetensors"]
    if (directory / _INDEX).is_file():
        shards = json.loads((directory / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        return [directory / name for name in sorted(set(shards))]
    return sorted(directory.glob("*.safetensors"))


def _header_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(_header(file)).hexdigest()


def _header(file: BinaryIO) -> bytes:
    """A safetensors file begins with the length of its JSON header, in 8 bytes, little-endian."""
    length = file.read(8)
    return length + file.read(int.from_bytes(length, "little"))
