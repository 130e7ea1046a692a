"""Counting tokens as a local model's own tokenizer does, in the host. Knows tokenizer files; loads no model.

The only place outside the trainer that reads a tokenizer: it takes milliseconds and no torch, and data are prepared
before there is a trainer.
"""

from __future__ import annotations

from pathlib import Path

from tunekit.data.profiles.local import prompt_format_of
from tunekit.data.tokens import TextCounter
from tunekit.errors import MissingExtraError, ModelError


def token_counter(model: str) -> TextCounter:
    """A counter for `Dataset.check(counter=...)` and `Dataset.estimate_cost(counter=...)`.

    Texts are counted exactly; what a chat template writes around each message is approximate, as for hosted
    models.

    Args:
        model: A model directory, or a hub id that was downloaded before.

    Raises:
        MissingExtraError: The package `tokenizers` is not installed.
        ModelError: There is no `tokenizer.json`, or it cannot be read.

    Examples:
        >>> token_counter("acme/none")
        Traceback (most recent call last):
        ...
        tunekit.errors.ModelError: no tokenizer.json for 'acme/none' on this machine
          hint: name a model directory, or download the model first: tunekit does when it trains
    """
    path = _tokenizer_file(model)
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtraError("tokenizers", extra="local") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare exceptions
        raise ModelError(
            f"{str(path)!r} is no tokenizer: {error}",
            hint="save the model's tokenizer again with transformers",
        ) from None
    tokenizer.no_truncation()
    return TextCounter(
        name=Path(model).name,
        tokens_of=lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids),
        prompt_format=prompt_format_of(model)[0],
        says="counted by the model's own tokenizer",
    )


def _tokenizer_file(model: str) -> Path:
    path = Path(model).expanduser() / "tokenizer.json"
    if path.is_file():
        return path
    found = None if path.parent.exists() else _cached(model)
    if found is None:
        raise ModelError(
            f"no tokenizer.json for {model!r} on this machine",
            hint="name a model directory, or download the model first: tunekit does when it trains",
        )
    return found


def _cached(repo: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(repo, "tokenizer.json")
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None
