"""What comes before the answer, under any of the keys that people use for it. Knows no answers.

One of: `prompt` (a text, a transcript or messages), `messages`, `conversations`, `question`, `query`, `instruction`
with its `input`, or `input` alone; and beside it `system` and `history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import answers, fields
from tunekit.data.shapes.answers import Turns
from tunekit.data.shapes.turns import with_system
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import Message

_LISTS = ("messages", "conversations", "conversation")
_TEXTS = ("question", "query", "instruction", "input")
_INPUTS = ("input", "context")  # Stanford's Alpaca; Databricks' Dolly
_BESIDE_INSTRUCTION = (*_INPUTS, "history")
_BETWEEN = "\n\n"

KEYS = ("prompt", *_LISTS, *_TEXTS)
"""Every key that may hold a prompt."""
RESERVED = ("prompt", "system", "tools")
"""Keys that are read before all others, and so mean something in every record that is written with `prompt`."""


def has(record: Mapping[str, Any]) -> bool:
    """Whether there is something that could be a prompt."""
    return key_of(record) is not None


def key_of(record: Mapping[str, Any]) -> str | None:
    """The key of the prompt; an empty `prompt` is none."""
    if isinstance(record.get("prompt"), (str, list)) and record["prompt"]:
        return "prompt"
    lists = (key for key in _LISTS if isinstance(record.get(key), list))
    texts = (key for key in _TEXTS if isinstance(record.get(key), str) and record[key].strip())
    return next(lists, None) or next(texts, None)


def read(record: Mapping[str, Any], key: str) -> tuple[Turns, tuple[str, ...]]:
    """The turns under a key that `key_of` gave, and all keys that they were made of."""
    used = (key, "system", *empty_prompt(record), *(_BESIDE_INSTRUCTION if key == "instruction" else ()))
    if key in _LISTS:
        said = answers.conversation(record[key], key)
    elif key == "instruction":
        user = Message(role="user", content=instruction(record)[0])
        said = (*history(record.get("history")), user)
    else:
        said = answers.prompt(record[key], key)
    return with_system(said, fields.optional_text(record, "system")), used


def empty_prompt(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The key `prompt`, where it stands there for nothing."""
    return ("prompt",) if record.get("prompt") in ("", None, []) else ()


def instruction(record: Mapping[str, Any]) -> tuple[str, str]:
    """Instruction and input as one text with a blank line between, and the input alone."""
    said = fields.text(record, "instruction")
    given = next((found for key in _INPUTS if (found := fields.optional_text(record, key)).strip()), "")
    return (said + _BETWEEN + given, given) if given else (said, "")


def without_input(text: str, given: Any) -> tuple[str, str]:
    """The inverse of `instruction`, as long as nobody has changed the end of the text since."""
    if isinstance(given, str) and given.strip() and text.endswith(_BETWEEN + given):
        return text.removesuffix(_BETWEEN + given), given
    return text, ""


def history(value: Any) -> Turns:
    """Earlier rounds: pairs of what the user and the assistant said."""
    if fields.missing(value) or value == "":
        return ()
    if not isinstance(value, list):
        raise DataError(
            f"expected a list of pairs, found {shown(value)}",
            field="history",
            hint='write [["question", "answer"], ...]',
        )
    said: list[Message] = []
    for index, pair in enumerate(value):
        field = f"history[{index}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError(
                f"expected a pair, found {shown(pair)}", field=field, hint='write ["question", "answer"]'
            )
        said.append(Message(role="user", content=fields.as_text(pair[0], f"{field}[0]")))
        said.append(Message(role="assistant", content=fields.as_text(pair[1], f"{field}[1]")))
    return tuple(said)
