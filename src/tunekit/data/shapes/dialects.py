"""Which of the chat-like shapes a record has: one decision, so that no two of them claim the same row.

Knows what tells the shapes apart; reads no turn whole. A row that several shapes would read alike (an Anthropic row
without a system prompt and tools, a Mistral row in its modern form) is OpenAI chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.examples import EXAMPLE_KINDS

# These beside a conversation make a preference, an unpaired answer or a prompt to be graded of it.
_ELSEWHERE = frozenset(
    {
        "chosen",
        "rejected",
        "chosen_messages",
        "rejected_messages",
        "preferred_output",
        "non_preferred_output",
        "rejected_response",
        "kto_tag",
    }
)
_PLAIN = frozenset({"messages", "tools", "parallel_tool_calls"})
REFERENCES = frozenset(
    {
        "reference",
        "references",
        "reference_answer",
        "answer",
        "ground_truth",
        "solution",
        "target",
        "expected",
        "expected_output",
    }
)
"""Keys that, beside a conversation that ends with the user, say what a good answer is."""
_MISTRAL = ("interactions", "available_tools", "only_last", "system_prompt")
_ANTHROPIC_BLOCKS = frozenset({"tool_use", "tool_result"})
_CONVERSE_BLOCKS = frozenset({"text", "image", "video", "toolUse", "toolResult", "reasoningContent"})


def dialect(record: Mapping[str, Any]) -> str | None:
    """Name of the chat-like shape of a record; None for a record of any other shape.

    Examples:
        >>> dialect({"messages": [{"role": "user", "content": "hi"}]})
        'openai'
        >>> dialect({"conversations": [{"from": "human", "value": "hi"}]})
        'sharegpt'
        >>> dialect({"prompt": "a", "completion": "b"})
    """
    if _is_plain(record):
        return "openai"
    if _is_elsewhere(record):
        return None
    if _are_objects(record.get("contents")):
        return "gemini"
    if "messages" not in record and "interactions" not in record:
        return "sharegpt" if _are_objects(record.get("conversations", record.get("conversation"))) else None
    return _of_row(record) or _of_turns(record) or _of_system_and_tools(record) or _openai(record)


def _is_plain(record: Mapping[str, Any]) -> bool:
    # Nearly every row of nearly every file; the rest of the decision costs several times as much.
    return len(record) == 1 and _are_plain(record.get("messages"))


def _are_plain(said: Any) -> bool:
    """Whether these are turns as any chat has them."""
    return type(said) is list and all(
        type(turn) is dict
        and len(turn) == 2
        and type(turn.get("content")) is str
        and turn.get("role") in ("user", "assistant", "system")
        for turn in said
    )


def _is_elsewhere(record: Mapping[str, Any]) -> bool:
    kind = record.get("kind")
    own = isinstance(kind, str) and kind in EXAMPLE_KINDS
    if own or isinstance(record.get("label"), bool):
        return True
    return not _ELSEWHERE.isdisjoint(record) and any(record.get(key) for key in _ELSEWHERE)


def _of_row(record: Mapping[str, Any]) -> str | None:
    if "toolConfig" in record or str(record.get("schemaVersion", "")).startswith("bedrock-conversation"):
        return "converse"
    if any(key in record for key in _MISTRAL):
        return "mistral"
    return "openai-functions" if record.get("functions") else None


def _of_turns(record: Mapping[str, Any]) -> str | None:
    said = record.get("messages")
    return None if _are_plain(said) else next(filter(None, map(_of_turn, _objects(said))), None)


def _of_turn(turn: Mapping[str, Any]) -> str | None:
    if "from" in turn and "value" in turn:
        return "sharegpt"
    if turn.get("function_call") or turn.get("role") == "function":
        return "openai-functions"
    content = turn.get("content")
    if "text" in turn and content is None:
        return "mistral"
    return next(filter(None, map(_of_block, _objects(content))), None)


def _of_block(block: Mapping[str, Any]) -> str | None:
    kind = block.get("type")
    if kind is None:
        return "converse" if len(block) == 1 and not _CONVERSE_BLOCKS.isdisjoint(block) else None
    if not isinstance(kind, str):
        return None
    if "value" in block and kind not in block:
        return "typed-parts"
    if kind == "thinking":
        return "anthropic" if isinstance(block.get("thinking"), str) and "closed" not in block else "mistral"
    anthropic = kind in _ANTHROPIC_BLOCKS or (kind == "image" and isinstance(block.get("source"), dict))
    return "anthropic" if anthropic else None


def _of_system_and_tools(record: Mapping[str, Any]) -> str | None:
    if any("input_schema" in tool for tool in _objects(record.get("tools"))):
        return "anthropic"
    system = record.get("system")
    if not isinstance(system, (str, list)) or any(turn.get("role") == "system" for turn in _turns(record)):
        return None
    return next(filter(None, map(_of_block, _objects(system))), "anthropic")


def _openai(record: Mapping[str, Any]) -> str | None:
    roles = [turn.get("role") for turn in _turns(record)]
    if roles and roles[-1] == "user":
        graded = any(key in REFERENCES for key in record)
        if graded or ("assistant" not in roles and record.keys() - _PLAIN):
            return None  # the model is to answer, and graders say how well
    return "openai"


def _turns(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _objects(record.get("messages"))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
