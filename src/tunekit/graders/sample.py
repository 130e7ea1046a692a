"""An answer as graders see it: OpenAI's `sample` namespace. Knows its shape; not which model answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

NAMES = ("output_text", "output_json", "output_tools", "choices")
"""What templates can read. `output_audio` is left out: models that we grade answer in text."""

_NOTHING = object()


@dataclass(frozen=True)
class Sample:
    """One answer of a model.

    Attributes:
        output_text: What it said.
        output_tools: The tools that it calls, in the shape of a chat completion's `tool_calls`.
        finish_reason: "stop", "length", or "tool_calls".

    Examples:
        >>> Sample('{"city": "Graz"}').namespace["output_json"]
        {'city': 'Graz'}
    """

    output_text: str
    output_tools: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str = "stop"

    @property
    def is_json(self) -> bool:
        """Whether the text is one JSON value, and nothing around it."""
        return self._json is not _NOTHING

    @cached_property
    def namespace(self) -> Mapping[str, Any]:
        """What templates and `python` graders see. `output_json` is None where the text is no JSON."""
        tools = [dict(call) for call in self.output_tools]
        message = {"role": "assistant", "content": self.output_text, "tool_calls": tools}
        return {
            "choices": [{"index": 0, "finish_reason": self.finish_reason, "message": message}],
            "output_text": self.output_text,
            "output_json": self._json if self.is_json else None,
            "output_tools": tools,
        }

    @cached_property
    def _json(self) -> Any:
        try:
            return msgspec.json.decode(self.output_text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _NOTHING
