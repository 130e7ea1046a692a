"""Change every text of a row, whatever its kind. Knows where texts stand; not what is to be changed in them.

The counterpart of `tunekit.data.views.texts`. Names of tools and of speakers stay: something else refers to them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tunekit.data.fixes.base import Fix
from tunekit.examples import Example, Message, Segment, ToolCall, text_of

Change: TypeAlias = Callable[[str], str]

_TEXTS = ("prompt", "messages", "completion", "chosen", "rejected", "text", "label", "segments", "reference")


class TextFix(Fix):
    """A fix that needs to see one text at a time."""

    def apply(self, example: Example) -> Example | None:
        """The row with all its texts mended."""
        return rewritten(example, self.mended)

    @abstractmethod
    def mended(self, text: str) -> str:
        """One text mended."""


def rewritten(example: Example, change: Change) -> Example:
    """The row with `change` applied to all its texts, in the order of the fields; the same object if none changes.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> rewritten(CompletionExample(prompt="a", completion="b"), str.upper)
        CompletionExample(prompt='A', completion='B')
    """
    changes = {}
    for name in _TEXTS:
        value = getattr(example, name, None)
        new = value if value is None else _rewritten(value, change)
        if new is not value:
            changes[name] = new
    return example.replace(**changes) if changes else example


def _rewritten(value: Any, change: Change) -> Any:
    """The value with its texts changed; the very same object where that makes no difference."""
    if isinstance(value, str):
        new: Any = change(value)
        return value if new == value else new
    if isinstance(value, Message):
        return _message(value, change)
    if isinstance(value, Segment):
        text = change(value.text)
        return value if text == value.text else value.replace(text=text)
    if isinstance(value, Mapping):  # the reference: its names are no texts, all that is in it is
        new = {key: _values(item, change) for key, item in value.items()}
        return value if new == value else new
    if isinstance(value, (tuple, list)):
        items = [_rewritten(item, change) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value


def _message(turn: Message, change: Change) -> Message:
    # In the order in which `texts` shows them, for changes that count.
    changes: dict[str, Any] = {}
    if turn.reasoning is not None:
        changes["reasoning"] = change(turn.reasoning)
    if turn.parts:
        parts = tuple(_part(part, change) for part in turn.parts)
        changes |= {"parts": parts, "content": text_of(parts)} if parts != turn.parts else {}
    elif turn.content is not None:
        changes["content"] = change(turn.content)
    if turn.tool_calls:
        changes["tool_calls"] = tuple(_call(call, change) for call in turn.tool_calls)
    return turn.replace(**changes) if any(getattr(turn, name) != changes[name] for name in changes) else turn


def _part(part: Mapping[str, Any], change: Change) -> Mapping[str, Any]:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        return part
    text = change(part["text"])
    return part if text == part["text"] else {**part, "text": text}


def _call(call: ToolCall, change: Change) -> ToolCall:
    arguments = _json(call.arguments, change)
    return call if arguments == call.arguments else call.replace(arguments=arguments)


def _json(text: str, change: Change) -> str:
    """A JSON text changed as it stands; value by value where that would break it."""
    new = change(text)
    if new == text or _is_json(new) or not _is_json(text):
        return new
    return json.dumps(_values(json.loads(text), change), ensure_ascii=False)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _values(value: Any, change: Change) -> Any:
    """A JSON value with its texts changed; a number becomes a text where the change is about its digits."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {
            change(key) if isinstance(key, str) else key: _values(item, change) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_values(item, change) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        new = change(str(value))
        return value if new == str(value) else new
    return value
