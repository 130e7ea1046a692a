"""64-bit hashes of what a row holds, asks and answers: equal things, equal keys. Knows the kinds; keeps no rows.

Chance makes two of a million rows share a key once in forty million times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from tunekit.data.views import asked, last_answer
from tunekit.examples import (
    EXAMPLE_KINDS,
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    SegmentsExample,
    UnpairedExample,
)

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")

_CONTENT: dict[type, Callable[[Any], Any]] = {
    cls: attrgetter(*(name for name in cls.__struct_fields__ if name not in ("id", "meta")))
    for cls in EXAMPLE_KINDS.values()
}


def text_key(text: str) -> int:
    """The key of a text."""
    return _key(text.encode("utf-8", "surrogatepass"))


def value_key(value: Any) -> int:
    """The key of any JSON-like value; the order of an object's keys does not count."""
    return _key(_encoded(value))


def content_key(example: Example) -> int:
    """The key of what the fingerprint counts: everything but the row id and the meta columns."""
    return value_key((example.kind, _CONTENT[type(example)](example)))


def question_key(example: Example) -> int | None:
    """The key of what the row asks: rows with the same question and other answers disagree. None if it asks nothing.

    For a preference that is the conversation with both answers, and for an unpaired example the conversation with the
    completion: what can differ is the verdict.
    """
    question = _question(example)
    return None if question is None else value_key((example.kind, question))


def answer_key(example: Example) -> int:
    """The key of what the row answers to its question."""
    return value_key(_answer(example))


def _question(example: Example) -> Any:
    if isinstance(example, CompletionExample):
        return example.prompt or None
    if isinstance(example, LabelledExample):
        return example.text
    if isinstance(example, SegmentsExample):
        return [segment for segment in example.segments if not segment.learn] or None
    if isinstance(example, ChatExample):
        return _asked(example)
    turns = _unweighted(example.messages)
    if isinstance(example, PreferenceExample):
        pair = sorted([_encoded(_said(example.chosen)), _encoded(_said(example.rejected))])
        return turns, example.tools, pair
    if isinstance(example, UnpairedExample):
        return turns, example.tools, _said(example.completion)
    return turns, example.tools


def _answer(example: Example) -> Any:
    if isinstance(example, CompletionExample):
        return example.completion
    if isinstance(example, LabelledExample):
        return example.label if isinstance(example.label, str) else sorted(example.label)
    if isinstance(example, SegmentsExample):
        return [segment for segment in example.segments if segment.learn]
    if isinstance(example, ChatExample):
        return _unweighted(example.messages[last_answer(example.messages) :])
    if isinstance(example, PreferenceExample):
        return _said(example.chosen)
    return example.reference if isinstance(example, PromptExample) else example.desirable


def _asked(chat: ChatExample) -> Any:
    """What a chat asks; None where nothing is, or nothing is answered."""
    turns = asked(chat.messages)
    return (_unweighted(turns), chat.tools) if 0 < len(turns) < len(chat.messages) else None


def _said(answer: str | tuple[Message, ...]) -> Any:
    return answer if isinstance(answer, str) else _unweighted(answer)


def _unweighted(turns: Sequence[Message]) -> list[Message]:
    return [turn if turn.weight == 1.0 else turn.replace(weight=1.0) for turn in turns]


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        # Half a surrogate pair, a number over 64 bits, a date among the tools: rare, and other checks name them.
        return json.dumps(value, sort_keys=True, default=repr).encode()


def _key(encoded: bytes) -> int:
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "little")
