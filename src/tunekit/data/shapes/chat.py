"""OpenAI's chat rows: `messages`, `tools`, and any columns beside them. Knows no other shape.

The contract is OpenAI's API description (schemas `ChatCompletionRequestMessage` and what it reaches). What other tools
write into this shape is read too: content in the parts of transformers and vLLM, reasoning and weights under their
several names, arguments as objects, `tools` as one JSON text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import fields, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import dialect
from tunekit.examples import ChatExample, Example, message_to_dict

NAME = "openai"
_USED = frozenset({"messages", "tools"})


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    found = messages.conversation(record.get("messages"))
    return turns.chat(record, id, found, messages.tools(record.get("tools")), used=_USED)


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    body: dict[str, Any] = {"messages": [message_to_dict(turn) for turn in chat.messages]}
    if chat.tools:
        body["tools"] = [dict(tool) for tool in chat.tools]
    return fields.with_meta(body, chat, _USED)


OPENAI = Shape(
    name=NAME,
    says="OpenAI chat",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
