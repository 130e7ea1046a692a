"""What is kept of a product's traffic, a line of JSON each. Knows the two kinds of line; not where they are kept.

A turn's row goes by a digest of the turn's id: whoever has the files alone cannot tell what stood behind a placeholder.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from typing import Any, Literal, TypeAlias

import msgspec

from tunekit.errors import DataError, StorageError
from tunekit.examples import Message

VERSION = 1
"""Of these lines; it stands behind the kind: `"type": "turn/1"`."""

_KIND = re.compile("(?:turn|feedback)/([0-9]{1,9})$")

Thumb: TypeAlias = Literal["up", "down"]
Said: TypeAlias = str | tuple[Message, ...]
"""A text, or turns of a chat."""


class Turn(msgspec.Struct, frozen=True, kw_only=True, tag="turn/1", omit_defaults=True):
    """A question and what the model answered.

    Attributes:
        id: Digest of the turn's id.
        at: Unix seconds.
        prompt: What was asked.
        answer: What the model said.
        tools: Tools that it might have called.
        model: What answered, as the host calls it.
        user: Pseudonym of the user; "" where none was given.
        meta: Whatever else the host knows.
        hidden: By placeholder, a tag of what stood there, which the turn's id alone can be held against.
    """

    id: str
    at: float
    prompt: Said
    answer: Said
    tools: tuple[dict[str, Any], ...] = ()
    model: str = ""
    user: str = ""
    meta: dict[str, Any] = {}
    hidden: dict[str, str] = {}


class Feedback(msgspec.Struct, frozen=True, kw_only=True, tag="feedback/1", omit_defaults=True):
    """What became known of a turn later.

    Attributes:
        turn: Digest of the turn's id.
        at: Unix seconds.
        thumb: Whether somebody liked the answer.
        correction: What should have been answered.
        outcome: What came of it.
        comment: What somebody wrote about it.
        hidden: As in `Turn`.
    """

    turn: str
    at: float
    thumb: Thumb | None = None
    correction: Said | None = None
    outcome: dict[str, Any] | None = None
    comment: str | None = None
    hidden: dict[str, str] = {}


Row: TypeAlias = Turn | Feedback


def as_turns(said: Said) -> tuple[Message, ...]:
    """Turns of a chat; a text is what the user says."""
    return (Message(role="user", content=said),) if isinstance(said, str) else said


def new_id() -> str:
    """An id that nobody can guess."""
    return f"turn-{os.urandom(16).hex()}"


def digest(turn: str) -> str:
    """What a turn goes by in the files.

    Examples:
        >>> digest("turn-1")
        'f7efcda2e5bf4c1e54165a48'
    """
    return hashlib.blake2b(turn.encode(), digest_size=12).hexdigest()


def tag(turn: str, value: str) -> str:
    """What tells that two values of one turn are the same, to those who have its id."""
    return hmac.digest(turn.encode(), value.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]


def plain(value: Any) -> Any:
    """The value as JSON has it: moments, UUIDs, dataclasses and their kin spelled out; bytes as the text they are.

    Raises:
        DataError: JSON cannot hold it.
    """
    try:
        return _decoded(
            msgspec.to_builtins(value, str_keys=True, builtin_types=(bytes, bytearray, memoryview))
        )
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise _unholdable(error) from None


def _decoded(value: Any) -> Any:
    # In base64 nothing would be found that is to be masked.
    if isinstance(value, dict):
        return {name: _decoded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decoded(item) for item in value]
    return (
        bytes(value).decode("utf-8", "replace")
        if isinstance(value, (bytes, bytearray, memoryview))
        else value
    )


def line(row: Row) -> bytes:
    """A row as it stands in a file: JSON in ASCII, so that no line end is in it.

    Raises:
        DataError: It holds what JSON cannot hold.
    """
    try:
        # Not msgspec's encoder: models do write halves of characters, and it refuses them.
        return json.dumps(msgspec.to_builtins(row), allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise _unholdable(error) from None


def _unholdable(error: Exception) -> DataError:
    return DataError(
        f"what JSON cannot hold cannot be collected: {error}",
        hint="give texts, finite numbers, true, false, None, and lists and dictionaries of them",
    )


def row(text: bytes) -> Row | None:
    """What `line` wrote; None for what is spoilt.

    Raises:
        StorageError: A newer tunekit wrote it.
    """
    try:
        found: Row = msgspec.convert(json.loads(text), Row)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        if _is_newer(text):
            raise StorageError(
                "a newer tunekit wrote what was collected here",
                hint="update tunekit in all processes that share this directory",
            ) from None
        return None
    return found


def _is_newer(text: bytes) -> bool:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return False
    found = _KIND.match(str(body.get("type"))) if isinstance(body, dict) else None
    return found is not None and int(found[1]) > VERSION
