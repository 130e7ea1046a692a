"""Google's rows for reinforcement tuning: `contents` that end with the user, and `references` for the reward.

Knows no other shape of prompts; turns are Gemini's. The contract is Vertex AI's page on the data of reinforcement
tuning: `systemInstruction`, `contents` and `references`, an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields, gemini
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.gemini import GEMINI
from tunekit.data.shapes.rft import asked
from tunekit.examples import ChatExample, Example, PromptExample

_KINDS = frozenset({"prompt"})
_REFERENCES = "references"


def _recognises(record: Mapping[str, Any]) -> bool:
    contents = record.get("contents")
    last = contents[-1] if isinstance(contents, list) and contents else None
    is_open = isinstance(last, dict) and last.get("role") != "model"
    return is_open and isinstance(record.get(_REFERENCES), Mapping)


def _read(record: Mapping[str, Any], id: str) -> Example:
    return PromptExample(
        messages=asked(gemini.conversation(record), "contents"),
        reference=fields.mapping(record.get(_REFERENCES, {}), _REFERENCES),
        tools=gemini.tools(record.get("tools")),
        id=id,
        meta=fields.rest(record, {*gemini.USED, _REFERENCES}),
    )


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, PromptExample):
        raise fields.refused(example, "gemini-rft", _KINDS)
    turns = asked(example.messages, "messages")
    body: dict[str, Any] = GEMINI.write(ChatExample(messages=turns, tools=example.tools))
    return fields.with_meta(body | {_REFERENCES: dict(example.reference)}, example, gemini.USED)


GEMINI_PROMPTS = Shape(
    name="gemini-rft",
    says="Gemini contents with references for graders",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
