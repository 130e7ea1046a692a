"""Rows of the wrong shape: whole messages, so that each names the field and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import DataError

SKIP = 'fill them in, or pass on_error="skip" to leave such rows out and list them in `skipped`'
ROLES = "roles are 'system', 'developer', 'user', 'assistant', 'tool'"
ONLY_CALLS = "only an assistant turn with tool_calls may"
KNOWN = (
    "known keys are 'role', 'content', 'name', 'weight', 'tool_calls', 'tool_call_id', 'reasoning_content'; "
    'facts about the row go beside "messages"'
)
PART = 'a part is {"type": "text", "text": "..."} or {"type": "image_url", "image_url": {"url": "..."}}'
OWN_META = "put columns of your own under 'meta'"
NO_LESSON = "messages: every assistant turn is empty or has weight 0"
WEIGHT = "messages[1].weight: expected a finite number from 0 up, found"
CHAT = 'a chat is [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'
A_CALL = 'a call is {"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}'
ANSWER = "add what the model should answer as a turn with the role 'assistant'"
IN_LOSS = "0 leaves the turn out of the loss, 1 is what a turn without a weight has"
TOOLS = 'write [{"type": "function", "function": {...}}], or leave the key out'
AS_TEXT = "write it as a JSON text"
AS_OBJECT = "write {...}, or leave the key out"

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": []}}


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ({"messages": "x"}, "messages: expected a list of messages, found text", CHAT),
        ({"messages": []}, "messages: the list of messages is empty", CHAT),
        ({"messages": [U]}, "messages: no assistant turn, so nothing to learn", ANSWER),
        ({"messages": [U, {**A, "content": " "}]}, NO_LESSON, SKIP),
        ({"messages": [U, {**A, "weight": 0}]}, NO_LESSON, SKIP),
        ({"messages": ["x", A]}, "messages[0]: expected a message object, found text", CHAT),
        ({"messages": [{"content": "x"}, A]}, "messages[0]: a message has no role", ROLES),
        ({"messages": [{"role": "usr", "content": "x"}, A]}, "messages[0].role: unknown role 'usr'", ROLES),
        (
            {"messages": [{"role": ["user"], "content": "x"}, A]},
            "messages[0].role: unknown role ['user']",
            ROLES,
        ),
        ({"messages": [{"role": "user"}, A]}, "messages[0].content: a message has no content", ONLY_CALLS),
        (
            {"messages": [U, {"role": "assistant", "content": None}]},
            "messages[1].content: a message has no content",
            ONLY_CALLS,
        ),
        (
            {"messages": [{**U, "content": 3}, A]},
            "messages[0].content: expected text, found a number",
            AS_TEXT,
        ),
        (
            {"messages": [{**U, "content": [{"type": "text", "text": 7}]}, A]},
            "messages[0].content[0].text: expected text, found a number",
            PART,
        ),
        ({"messages": [U, {**A, "weight": "1"}]}, f"{WEIGHT} '1'", IN_LOSS),
        ({"messages": [U, {**A, "weight": True}]}, f"{WEIGHT} True", IN_LOSS),
        ({"messages": [U, {**A, "weight": 10**400}]}, f"{WEIGHT} {10**36}...", IN_LOSS),
        (
            {"messages": [U, {**A, "name": 5}]},
            "messages[1].name: expected text, found a number",
            f"{AS_TEXT}, or leave the key out",
        ),
        (
            {"messages": [U, {**A, "wieght": 1}]},
            "messages[1].wieght: a message has the unknown key 'wieght'",
            KNOWN,
        ),
        (
            {"messages": [U, {"role": "assistant", "function_call": {"name": "f"}}]},
            "messages[1].function_call.arguments: expected an object or its JSON text, found null or nothing",
            "write the arguments as a JSON text, '{}' where there are none",
        ),
        (
            {"messages": [U, {**A, "tool_calls": {}}]},
            "messages[1].tool_calls: expected a list of tool calls, found an object",
            A_CALL,
        ),
        (
            {"messages": [U, {**A, "tool_calls": ["f"]}]},
            "messages[1].tool_calls[0]: expected a call of type 'function', found 'f'",
            A_CALL,
        ),
        (
            {"messages": [U, {**A, "tool_calls": [{"id": "1"}]}]},
            "messages[1].tool_calls[0].function: expected an object, found null or nothing",
            A_CALL,
        ),
        (
            {"messages": [U, {**A, "tool_calls": [CALL]}]},
            "messages[1].tool_calls[0].function.arguments: expected an object or its JSON text, found a list",
            "write the arguments as a JSON text, '{}' where there are none",
        ),
        ({"messages": [U, A], "tools": {}}, "tools: expected a list of tool objects, found an object", TOOLS),
        (
            {"messages": [U, A], "functions": ["f"]},
            "functions: expected a list of tool objects, found a list",
            TOOLS,
        ),
        (
            {"kind": "labelled", "text": "a", "label": "b", "x": 1},
            "x: unknown key 'x' in a 'labelled' row",
            OWN_META,
        ),
        (
            {"kind": "labelled", "text": "a", "label": [None]},
            "label: expected a list of texts",
            'write labels as ["a", "b"]',
        ),
        (
            {"kind": "completion", "prompt": "a", "completion": "b", "id": 3},
            "id: expected text, found a number",
            "put quotes around it, or leave it out",
        ),
        (
            {"kind": "completion", "prompt": "a", "completion": "b", "meta": 3},
            "meta: expected an object, found a number",
            AS_OBJECT,
        ),
        (
            {"kind": "prompt", "messages": [U], "reference": "x"},
            "reference: expected an object, found text",
            AS_OBJECT,
        ),
    ],
)
def test_rows(tmp_path: Path, row: dict[str, Any], message: str, hint: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path)
    assert type(caught.value) is DataError
    assert str(caught.value) == f"{path}:1:{message}\n  hint: {hint}"
