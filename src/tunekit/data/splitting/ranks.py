"""Ranks of rows: a hash of seed and content. Knows what the input of a row is; not what a rank is for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tunekit._canonical import canonical_json
from tunekit.data.arguments import whole
from tunekit.data.views import asked
from tunekit.errors import SpecError
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    SegmentsExample,
    message_to_dict,
    to_dict,
)


def rank(seed: int, purpose: str, content: bytes, copy: int = 0) -> bytes:
    """Where this content stands in the order of this seed: 128 bits, the same on every machine.

    Raises:
        SpecError: The seed is no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise SpecError(f"seed is {seed!r}", hint="use a whole number")
    # 128 bits: the rank is also the identity of the content, and chance collisions must not happen.
    return hashlib.blake2b(f"{purpose}:{seed}:{copy}:".encode() + content, digest_size=16).digest()


def ranks(examples: Iterable[Example], seed: int, purpose: str) -> list[bytes]:
    """The rank of each row by its whole content; equal rows get ranks of their own."""
    seen: Counter[bytes] = Counter()
    found = []
    for example in examples:
        content = canonical_json(to_dict(example, with_row=False))
        found.append(rank(seed, purpose, content, seen[content]))
        seen[content] += 1
    return found


def sample(examples: Sequence[Example], n: int, seed: int) -> list[int]:
    """Indices of `n` rows drawn without replacement, in order."""
    size = whole("n", n, least=0)
    # Equal rows have ranks of their own, else copies would be drawn all together or not at all.
    return sorted(_by_rank(examples, seed, "sample")[:size])


def shuffled(examples: Sequence[Example], seed: int) -> list[int]:
    """Indices of all rows in an order that depends on content and seed only."""
    return _by_rank(examples, seed, "shuffle")


def _by_rank(examples: Sequence[Example], seed: int, purpose: str) -> list[int]:
    found = ranks(examples, seed, purpose)
    return sorted(range(len(found)), key=lambda index: (found[index], index))


def input_key(example: Example) -> bytes:
    """What makes two rows the same question, whatever their answers."""
    if isinstance(example, LabelledExample):
        return canonical_json(example.text)
    if isinstance(example, CompletionExample):
        return canonical_json(example.prompt or example.completion)  # raw text is its own input
    if isinstance(example, SegmentsExample):
        read = [segment.text for segment in example.segments if not segment.learn]
        return canonical_json(read or [segment.text for segment in example.segments])
    return canonical_json([_unweighted(turn) for turn in asked(example.messages) or example.messages])


def _unweighted(turn: Message) -> dict[str, Any]:
    body = message_to_dict(turn)
    body.pop("weight", None)
    return body


def json_key(value: Any, what: str) -> bytes:
    """A value of the caller's as bytes that are equal for equal values.

    Raises:
        SpecError: It is nothing that JSON holds.
    """
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        raise SpecError(
            f"{what} is {type(value).__name__!r}", hint="use text, numbers or lists of them"
        ) from None
