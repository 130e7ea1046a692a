"""Chat-like rows with anything wrong in them: an example that every shape can handle, or an error with a hint."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.catalogue import shape, shapes
from tunekit.errors import DataError

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo", "weight": 0.5, "reasoning_content": "hm", "name": "Bob"}
TEXT = {"type": "text", "text": "x"}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SEEDS: dict[str, dict[str, Any]] = {
    "openai": {
        "messages": [
            {"role": "system", "content": [TEXT, TEXT]},
            {
                "role": "user",
                "content": [TEXT, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "4", "tool_call_id": "c"},
            A,
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "source": "x",
    },
    "openai-functions": {
        "messages": [
            U,
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "4"},
            A,
        ],
        "functions": [FUNCTION],
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": "hi"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'},
            {"from": "observation", "value": "4"},
            {"from": "gpt", "value": "yo", "weight": 0.5},
        ],
        "tools": '[{"name": "f"}]',
        "system": "be brief",
    },
    "anthropic": {
        "system": [TEXT, TEXT],
        "messages": [
            {
                "role": "user",
                "content": [TEXT, {"type": "image", "source": {"type": "url", "url": "https://x"}}],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    TEXT,
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": [TEXT]}, TEXT],
            },
            {"role": "assistant", "content": "yo"},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
    "converse": {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "be brief"}],
        "messages": [
            {
                "role": "user",
                "content": [{"text": "x"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm"}}},
                    {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}]}}],
            },
            {"role": "assistant", "content": [{"text": "yo"}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
            },
            {
                "role": "model",
                "parts": [{"text": "hm", "thought": True}, {"functionCall": {"name": "f", "args": {}}}],
            },
            {"parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
            {"role": "model", "parts": [{"text": "yo"}]},
        ],
        "tools": [{"functionDeclarations": [FUNCTION]}],
    },
    "mistral": {
        "interactions": [
            {"role": "user", "text": "hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": [TEXT]}, TEXT]},
        ],
        "available_tools": [{"type": "function", "function": FUNCTION}],
        "only_last": True,
        "system_prompt": "be brief",
    },
    "typed-parts": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "value": "hi"}, {"type": "image_url", "value": "a.png"}],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "value": "hm"},
                    {"type": "tool_call", "value": '{"name": "f", "arguments": {}}'},
                ],
                "loss_weight": 1.0,
            },
        ],
        "tools": "[]",
    },
    "segments": {"segments": [{"label": False, "text": "a"}, {"label": True, "text": "b"}]},
}
SPICE: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**400, float("inf"), "", "x", [], {}, [[]], [{}], {"": 1}, ["x"]),
    *("[", "{}", "[]", "null", '{"a":1}', '[{"name":"f"}]', '{"a": 1, "a": 2}', "[" * 200, "\\ud800"),
    *("assistant", "user", "tool", "function", "system", "model", "data:image/png;base64,x", "call_1"),
    *(U, A, TEXT, CALL, {"text": "x"}, {"type": {}}, {"name": "f", "arguments": {}}),
]
KEYS = (
    "content",
    "role",
    "type",
    "text",
    "value",
    "name",
    "tool_calls",
    "weight",
    "parts",
    "system",
    "tools",
    "id",
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a value, itself first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))


def damaged(row: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The row with one to four things in it replaced, added or taken away."""
    row = copy.deepcopy(row)
    for _ in range(dice.choice((1, 1, 2, 4))):
        found = [path for path in paths(row) if path]
        *way, key = dice.choice(found)
        holder: Any = row
        for step in way:
            holder = holder[step]
        new = copy.deepcopy(dice.choice(SPICE))
        match dice.choice(("replace", "replace", "take", "add")):
            case "take":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[dice.choice(KEYS)] = new
            case "add":
                holder.insert(key, new)
            case _:
                holder[key] = new
        if not row:
            break
    return row


def is_helpful(error: DataError) -> None:
    """The error is short, and says what to do."""
    assert error.hint
    assert len(error.message) < 300


def handled(row: dict[str, Any], by: Shape) -> bool:
    """Whether the row can be read; then every shape writes what it can read again, or says why not."""
    try:
        example = by.read(row, "rows.jsonl:1")
    except DataError as error:
        is_helpful(error)
        return False
    assert not isinstance(example, tuple)
    for name in SEEDS:
        other = shape(name)
        try:
            record = other.write(example)
        except DataError as error:
            is_helpful(error)
        else:
            again = other.read(record, example.id)
            assert not isinstance(again, tuple)
            assert other.write(again) == record
    return True


def try_rows(count: int, seed: str) -> dict[str, int]:
    """How many damaged rows each shape could read all the same."""
    dice = random.Random(seed)
    known = dict.fromkeys(SEEDS, 0)
    for _ in range(count):
        name = dice.choice(list(SEEDS))
        row = damaged(SEEDS[name], dice)
        for each in shapes():
            each.recognises(row)
        for reader in SEEDS:
            known[reader] += handled(row, shape(reader))
    return known


def test_seeds_are_good_rows() -> None:
    for name, row in SEEDS.items():
        assert [each.name for each in shapes() if each.recognises(row)] == [name]
        assert handled(row, shape(name))


def test_damaged_rows_give_examples_or_errors_with_a_hint() -> None:
    assert min(try_rows(1_500, "tunekit").values()) > 5  # both ways were tried


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_million_damaged_rows() -> None:
    try_rows(1_000_000, "tunekit soak")
