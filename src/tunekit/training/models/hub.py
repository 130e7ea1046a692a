"""Models of the hub as directories, and whether it can be reached. Knows its cache and sockets; believes no file.

A model is fetched in two steps, so that what its small files claim is looked at before gigabytes are asked for.
Without a network, the hub's client retries every file for half a minute, even for files that it has in its cache. One
look at the start decides instead: a hub that cannot be reached is not asked, and cached models load at once.
"""

from __future__ import annotations

import json
import os
import socket
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tunekit.errors import NotFoundError

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

_TEXTS = ["*.json", "*.jinja", "*.txt", "*.model", "*.spm", "*.tiktoken"]
_ELSEWHERE = [
    "onnx/*",
    "openvino/*",
    "original/*",
    "gguf/*",
    "coreml/*",
]  # the same models for other programs


def fetched_texts(source: str, revision: str | None) -> Path:
    """The directory in the hub's cache with a model's configuration and tokenizer, fetched where they are not there.

    Args:
        source: A hub id.
        revision: Branch, tag or commit.

    Raises:
        NotFoundError: It is not in the cache, and the hub cannot be reached or has no such model.
        OSError: It cannot be fetched for another reason.
        ValueError: It is no hub id.
    """
    return _fetched(source, revision, _TEXTS)


def fetch_weights(source: str, directory: Path) -> None:
    """Fetch the weights of a model whose `fetched_texts` lie in `directory`: what its index names, or the only file.

    Raises:
        NotFoundError: As for `fetched_texts`.
        OSError: They cannot be fetched.
    """
    index = directory / "model.safetensors.index.json"
    shards = (
        json.loads(index.read_bytes())["weight_map"].values() if index.is_file() else ["model.safetensors"]
    )
    if not all((directory / name).is_file() for name in shards):
        _fetched(source, directory.name, sorted(set(shards)))


def _fetched(source: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        found = snapshot_download(
            source,
            revision=revision,
            allow_patterns=patterns,
            ignore_patterns=_ELSEWHERE,
            local_files_only=not is_reachable(),
        )
    except GatedRepoError:
        raise  # the hub says where to ask for access
    except LocalEntryNotFoundError as error:
        raise _unknown(source, revision, "a model in the hub's cache, and the hub is not reached") from error
    except RepositoryNotFoundError as error:
        raise _unknown(source, revision, "a model of the hub that you may read") from error
    return Path(found)


def _unknown(source: str, revision: str | None, nor: str) -> NotFoundError:
    return NotFoundError(
        f"{source!r}{f' at revision {revision!r}' if revision else ''} is neither a directory here nor {nor}",
        hint="check the spelling; give a directory that holds config.json and *.safetensors, or the id of a hub model "
        "such as 'Qwen/Qwen3-0.6B', where the hub can be reached or has been asked for it before",
    )


@cache
def is_reachable(*, timeout_s: float = 5.0) -> bool:
    """Whether somebody answers at the hub's address; behind a proxy that is not ours to find out. Looked at once."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=timeout_s).close()
    except OSError:
        return False
    return True
