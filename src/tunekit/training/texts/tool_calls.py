"""Tool calls in the text of an answer, for graders. Knows one way of writing them; renders none (the template does)."""

from __future__ import annotations

from typing import Any

import msgspec

_BEGIN, _END = "<tool_call>", "</tool_call>"


def split_calls(text: str) -> tuple[str, tuple[dict[str, Any], ...]]:
    """An answer without its tool calls, and these in the shape of a chat completion's `tool_calls`.

    A call is JSON between `<tool_call>` and `</tool_call>`, as Hermes and Qwen write it. What is not of that form stays
    in the text.

    Examples:
        >>> text, calls = split_calls('Wait. <tool_call>{"name": "look", "arguments": {"x": 1}}</tool_call>')
        >>> text, calls[0]["function"]
        ('Wait.', {'name': 'look', 'arguments': '{"x":1}'})
    """
    first, *parts = text.split(_BEGIN)
    kept = [first]
    calls: list[dict[str, Any]] = []
    for part in parts:
        body, end, rest = part.partition(_END)
        function = _function(body) if end else None
        if function is None:
            kept.append(_BEGIN + part)
        else:
            calls.append({"id": f"call_{len(calls)}", "type": "function", "function": function})
            kept.append(rest)
    return ("".join(kept).strip() if calls else text), tuple(calls)


def _function(text: str) -> dict[str, str] | None:
    try:
        body = msgspec.json.decode(text.strip())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        return None
    arguments = body.get("arguments", {})
    written = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return {"name": body["name"], "arguments": written}
